"""Who does the blocking work of a request, so that the loop serves others."""

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context
from queue import SimpleQueue
from threading import Thread
from typing import Any, Protocol, TypeVar

from backstop.fibres import Promise, bring

T = TypeVar("T")


class Workers(Protocol):
    """Fibres, where nothing blocks but what waits by them; else threads."""

    async def run(self, work: Callable[[], T]) -> T:
        """Return what *work* returns, or raise what it raises."""


class Pool:
    """A bounded number of threads for clients that block.

    One queue takes the work there, one call of the loop brings the outcome back.
    asyncio's own threads, and anyio's, take more than twice the time for it, and that
    was most of what a webhook took.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._threads = 0
        self._busy = 0
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()

    async def run(self, work: Callable[[], T]) -> T:
        done: Promise[T] = Promise(asyncio.get_running_loop())
        self._busy += 1
        if self._threads < min(self._busy, self._width):
            self._threads += 1
            Thread(target=_serve, args=(self._jobs,), name="pool", daemon=True).start()
        self._jobs.put((copy_context(), work, done))
        try:
            return await done
        finally:
            self._busy -= 1

    def __del__(self) -> None:
        for _ in range(self._threads):
            self._jobs.put(None)


_Job = tuple[Context, Callable[[], Any], Promise[Any]]


def _serve(jobs: SimpleQueue[_Job | None]) -> None:
    while job := jobs.get():
        context, work, done = job
        try:
            bring([(done, context.run(work), None)])
        except BaseException as error:  # noqa: BLE001 - it is the caller's
            bring([(done, None, error)])
        # A thread that waits for the next job keeps nothing of the last alive.
        del job, context, work, done
