"""Work that waits without a thread."""

import asyncio
import threading
from contextvars import ContextVar

import pytest

from backstop import fibres
from backstop.fibres import Fibres, Promise, bring, lender

WIDTH = 3

word = ContextVar("word", default="")


async def answer(what):
    await asyncio.sleep(0)
    if isinstance(what, BaseException):
        raise what
    return what


def in_fibre(work):
    """Return what *work* returns in a fibre."""
    return asyncio.run(Fibres(WIDTH).run(work))


PLACES = {"a fibre": in_fibre, "a thread": lambda work: work()}


@pytest.fixture(params=PLACES.values(), ids=PLACES)
def here(request):
    """Wherever work is done."""
    return request.param


def test_work_returns_what_it_returns():
    assert in_fibre(lambda: "done") == "done"


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyError])
def test_what_work_raises_is_raised(error):
    def work():
        raise error

    with pytest.raises(error):
        in_fibre(work)


def test_an_end_of_iteration_is_an_error_too():
    """No coroutine may raise one."""
    with pytest.raises(RuntimeError):
        in_fibre(lambda: next(iter(())))


def test_what_is_waited_for_comes(here):
    """As often as it is."""
    waited = here(lambda: [fibres.wait(answer(n)) for n in range(3)])
    assert waited == [0, 1, 2]


def test_what_is_waited_for_may_fail(here):
    """Where it is waited for, so that plain code can see to it."""

    def work():
        try:
            fibres.wait(answer(KeyError("gone")))
        except KeyError:
            return fibres.wait(answer("mended"))

    assert here(work) == "mended"


def test_others_go_on_meanwhile():
    """One waits for what only the other does, on the same loop."""

    async def both():
        gate = asyncio.Event()
        workers = Fibres(WIDTH)
        waiting = asyncio.ensure_future(
            workers.run(lambda: (fibres.wait(gate.wait()), threading.get_ident()))
        )
        await asyncio.sleep(0)
        setting = await workers.run(lambda: (gate.set(), threading.get_ident()))
        return (await waiting)[1], setting[1]

    one, other = asyncio.run(both())
    assert one == other


def test_no_more_work_at_once_than_there_is_room_for():
    """All of it is done all the same."""
    now = most = 0

    async def pause():
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1

    async def many():
        workers = Fibres(WIDTH)
        works = (workers.run(lambda: fibres.wait(pause())) for _ in range(4 * WIDTH))
        await asyncio.gather(*works)

    asyncio.run(many())
    assert (now, most) == (0, WIDTH)


def test_work_sees_what_its_caller_sees():
    """Each its own, also after it has waited."""
    workers = Fibres(WIDTH)

    async def ask(text):
        word.set(text)
        return await workers.run(lambda: (fibres.wait(answer("")), word.get())[1])

    async def both():
        return await asyncio.gather(ask("one"), ask("two"))

    assert asyncio.run(both()) == ["one", "two"]


def test_who_is_given_up_is_told_where_it_waits():
    """It may clean up, and its room is free again."""
    told = []

    def work():
        try:
            fibres.wait(asyncio.sleep(60))
        except asyncio.CancelledError:
            told.append("given up")
            raise

    async def leave():
        workers = Fibres(1)
        task = asyncio.ensure_future(workers.run(work))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await workers.run(lambda: "next")

    assert asyncio.run(leave()) == "next"
    assert told == ["given up"]


def test_a_pause_takes_its_time(here):
    """In either place."""
    assert here(lambda: fibres.sleep(0.001)) is None


class TestPromises:
    """What another thread brings."""

    def test_it_is_brought_to_who_waits(self, here):
        """From a thread that knows nothing of it."""

        def work():
            promise = Promise(lender())
            threading.Thread(target=bring, args=([(promise, "it", None)],)).start()
            return promise.wait()

        assert here(work) == "it"

    @pytest.mark.parametrize("error", [KeyError, StopIteration, SystemExit])
    def test_a_failure_is_brought_too(self, here, error):
        """Whatever it is."""

        def work():
            promise = Promise(lender())
            threading.Thread(target=bring, args=([(promise, 0, error())],)).start()
            try:
                promise.wait()
            except error:
                return "seen"

        assert here(work) == "seen"

    def test_patience_ends(self, here):
        """And what comes after it harms nobody."""

        def work():
            promise = Promise(lender())
            with pytest.raises(TimeoutError):
                promise.wait(0.001)
            bring([(promise, "late", None)])

        here(work)

    def test_a_loop_that_is_gone_has_nobody_who_waits(self):
        """The others are still told."""

        async def promised():
            return Promise(asyncio.get_running_loop())

        gone, waited = asyncio.run(promised()), Promise(None)

        bring([(gone, "nobody", None), (waited, "it", None)])

        assert waited.wait() == "it"
