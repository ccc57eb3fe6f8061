"""Work that waits without a thread.

A use case reads from top to bottom, and waits where it must: for a commit, for a
carrier. In a fibre it lends its event loop to others meanwhile; in a plain thread the
thread waits. So it is written once, and knows nothing of either.

A fibre is a greenlet: the least there is that can stop in the middle of plain code.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from functools import cache
from typing import Any, Generic, TypeVar, cast

from greenlet import GreenletExit, getcurrent, greenlet

T = TypeVar("T")


class Fibres:
    """A bounded number of fibres. What more there is to do waits for one of them."""

    def __init__(self, width: int) -> None:
        self._room = asyncio.Semaphore(width)

    async def run(self, work: Callable[[], T]) -> T:
        """Return what *work* returns, or raise what it raises.

        Its caller's end is its own: it is thrown what the caller was thrown.
        """
        async with self._room:
            return await run(work)


async def run(work: Callable[[], T]) -> T:
    """Return what *work* returns in a fibre, or raise what it raises."""
    resting = _resting.fibres
    fibre = resting.pop() if resting else _Fibre()
    fibre.work, fibre.busy = work, True
    fibre.gr_context = copy_context()
    awaited = fibre.switch()
    while fibre.busy:
        try:
            result = await awaited
        except BaseException as error:  # noqa: BLE001 - it belongs to who waits
            awaited = fibre.throw(error)
        else:
            awaited = fibre.switch(result)
    outcome, fibre.outcome = fibre.outcome, None
    resting.append(fibre)
    return cast("T", _unwrap(outcome))


class _Fibre(greenlet):
    """Does one work after another: to begin a greenlet costs more than to switch to it.

    Its parent is whoever made it: the event loop of its thread, in some task.
    """

    work: Callable[[], Any]
    busy = False
    outcome: Any = None

    def run(self) -> None:
        loop = cast("greenlet", self.parent)
        while self.busy:
            try:
                self.outcome = self.work(), None
            except GreenletExit:
                # Nobody can switch to it any more.
                raise
            except BaseException as error:  # noqa: BLE001 - it is the caller's
                self.outcome = None, error
            # It keeps nothing of the last work alive.
            del self.work
            self.busy = False
            loop.switch()

    def lend(self, awaited: Awaitable[T]) -> T:
        """Let others have the loop until *awaited* is here."""
        return cast("T", cast("greenlet", self.parent).switch(awaited))


class _Resting(threading.local):
    """Fibres without work. They cannot leave their thread."""

    def __init__(self) -> None:
        self.fibres: list[_Fibre] = []


_resting = _Resting()


def wait(work: Coroutine[Any, Any, T]) -> T:
    """Return what *work* returns on an event loop: the fibre's, or one for threads."""
    fibre = getcurrent()
    if isinstance(fibre, _Fibre):
        return fibre.lend(work)
    return asyncio.run_coroutine_threadsafe(work, _threads_loop()).result()


def sleep(seconds: float) -> None:
    wait(asyncio.sleep(seconds))


@cache
def _threads_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="fibres", daemon=True).start()
    return loop


def lender() -> asyncio.AbstractEventLoop | None:
    """Return the loop that the fibre at work lends, None in a plain thread."""
    return asyncio.get_running_loop() if isinstance(getcurrent(), _Fibre) else None


class Promise(Generic[T]):
    """What another thread will bring: to who awaits it on *loop*, or to a thread."""

    __slots__ = ("_future", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self._loop = loop
        # No future holds every exception: an end of iteration would be lost.
        self._future: asyncio.Future[_Result] | Future[_Result] = (
            loop.create_future() if loop else Future()
        )

    def __await__(self) -> Generator[Any, None, T]:
        future = cast("asyncio.Future[_Result]", self._future)
        return cast("T", _unwrap((yield from future.__await__())))

    def wait(self, seconds: float | None = None) -> T:
        """Return what is brought, or raise it, in a fibre of its loop or a thread.

        Raises TimeoutError when that took more than *seconds*.
        """
        if isinstance(self._future, Future):
            return cast("T", _unwrap(self._future.result(seconds)))
        fibre = cast("_Fibre", getcurrent())
        in_time = (
            self._future if seconds is None else asyncio.wait_for(self._future, seconds)
        )
        return cast("T", _unwrap(fibre.lend(in_time)))


_Result = tuple[Any, BaseException | None]
Outcome = tuple[Promise[Any], Any, BaseException | None]


def bring(outcomes: Iterable[Outcome]) -> None:
    """Keep promises: each loop is called once, however many are for it."""
    loops: dict[asyncio.AbstractEventLoop, list[Outcome]] = {}
    for outcome in outcomes:
        loop = outcome[0]._loop  # noqa: SLF001 - this module's own
        if loop:
            loops.setdefault(loop, []).append(outcome)
        else:
            _settle([outcome])
    for loop, group in loops.items():
        # A loop that was closed has nobody who waits.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, group)


def _settle(outcomes: list[Outcome]) -> None:
    for promise, result, error in outcomes:
        # Else nobody waits any more.
        if not promise._future.done():  # noqa: SLF001 - likewise
            promise._future.set_result((result, error))  # noqa: SLF001 - likewise


def _unwrap(outcome: _Result) -> Any:
    result, error = outcome
    if error is not None:
        raise error
    return result
