"""The bounded pool of threads in which blocking clients work."""

import asyncio
import threading
from contextvars import ContextVar

import pytest

from backstop.edge.workers import Pool
from contracts.waiting import until

WIDTH = 3

word = ContextVar("word", default="")


class Gauge:
    """Work that waits, and knows how many wait at once."""

    def __init__(self):
        self.most = 0
        self._now = 0
        self._guard = threading.Lock()
        self.gate = threading.Event()

    def __call__(self):
        with self._guard:
            self._now += 1
            self.most = max(self.most, self._now)
        self.gate.wait()
        with self._guard:
            self._now -= 1


def test_what_work_returns_comes_back():
    assert asyncio.run(Pool(WIDTH).run(lambda: "done")) == "done"


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyError])
def test_what_work_raises_is_raised(error):
    def work():
        raise error

    with pytest.raises(error):
        asyncio.run(Pool(WIDTH).run(work))


def test_an_end_of_iteration_is_an_error_too():
    """A future cannot hold one; nobody may wait for ever because of it."""
    with pytest.raises(RuntimeError):
        asyncio.run(Pool(WIDTH).run(lambda: next(iter(()))))


def test_no_more_works_at_once_than_there_is_room_for():
    """All of it is done all the same, and no thread is idle meanwhile."""
    pool, gauge = Pool(WIDTH), Gauge()

    async def many():
        works = [asyncio.ensure_future(pool.run(gauge)) for _ in range(3 * WIDTH)]
        await asyncio.sleep(0)
        await asyncio.to_thread(until, lambda: gauge.most == WIDTH)
        gauge.gate.set()
        await asyncio.gather(*works)

    asyncio.run(many())
    assert gauge.most == WIDTH


def test_work_sees_what_its_caller_sees():
    """Each its own, whoever else works in the same thread."""
    pool = Pool(1)

    async def ask(text):
        word.set(text)
        return await pool.run(word.get)

    async def both():
        return await asyncio.gather(ask("one"), ask("two"))

    assert asyncio.run(both()) == ["one", "two"]


def test_a_caller_that_is_gone_harms_nobody():
    """Its work goes on in its thread, and the next finds one."""
    pool, gauge = Pool(1), Gauge()

    async def leave():
        work = asyncio.ensure_future(pool.run(gauge))
        await asyncio.to_thread(until, lambda: gauge.most)
        work.cancel()
        gauge.gate.set()
        return await pool.run(lambda: "next")

    assert asyncio.run(leave()) == "next"


def test_threads_end_with_their_pool():
    pool = Pool(WIDTH)
    thread = asyncio.run(pool.run(threading.current_thread))

    del pool
    thread.join(10)
    assert not thread.is_alive()
