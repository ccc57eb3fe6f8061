"""Whether this machine keeps up with what it has taken on."""

import asyncio
from collections import deque
from statistics import median

PERIOD = 0.1
"""Seconds between two looks."""

LATE = 0.01
"""Seconds that what is ready waits for its turn where a processor is wanting."""

LOOKS = 5
"""Most of the last few have to be late: one pause says nothing."""


class Pace:
    """Looks how late an event loop comes to what it was to do.

    That tells the want of a processor: a carrier that hangs makes nobody wait for a
    turn.
    """

    def __init__(self) -> None:
        self._late = deque([0.0] * LOOKS, LOOKS)

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look for as long as *loop* runs."""
        loop.call_soon_threadsafe(self._look, loop, loop.time())

    def behind(self) -> bool:
        """Whether there is more to do than can be done."""
        return median(self._late) > LATE

    def _look(self, loop: asyncio.AbstractEventLoop, wanted: float) -> None:
        now = loop.time()
        self._late.append(now - wanted)
        loop.call_at(now + PERIOD, self._look, loop, now + PERIOD)
