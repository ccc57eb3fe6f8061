"""What happens by itself: jobs in the order they are due, and calls to receivers."""

import asyncio
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any

import urllib3

from .clock import Clock
from .instants import micros, moment
from .state import Job, Store

PARALLEL = 32
AT_ONCE = 16
"""Jobs between which nothing else has the loop."""

REMEMBERED = 1000
_TIMEOUT = urllib3.Timeout(total=10.0)
# The clock may be set meanwhile, or the machine suspended.
_LONGEST_SLEEP = 5.0

_log = logging.getLogger("simulator")

Step = Callable[[Job], None]


@dataclass(frozen=True)
class Courier:
    """How one carrier brings an event to its customer.

    `bring` makes the call and says whether the event is done with. If not, it is
    brought again after `first`, doubling up to `longest`, until `window` has passed.
    """

    bring: Callable[[Any], bool]
    first: int
    longest: int
    window: int


class Http:
    """Posts over kept connections; follows no redirect and repeats nothing."""

    def __init__(self) -> None:
        self._pool = urllib3.PoolManager(num_pools=8, maxsize=2 * PARALLEL)

    def post(
        self, url: str, body: bytes, headers: Mapping[str, str]
    ) -> urllib3.BaseHTTPResponse | None:
        """Return the answer; None if there was none within 10 seconds, or no URL."""
        if not url:
            return None
        try:
            return self._pool.request(
                "POST",
                url,
                body=body,
                headers=dict(headers),
                timeout=_TIMEOUT,
                retries=False,
                redirect=False,
            )
        except (urllib3.exceptions.HTTPError, OSError, ValueError):
            return None

    def close(self) -> None:
        self._pool.clear()


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One event as it was brought to the customer, and what was said to it.

    `told` is what proves the sender, `expected` what the customer was told to
    expect, both as digests; `status` is 0 if there was no answer.
    """

    id: str
    at: int
    url: str
    tries: int
    status: int
    body: str
    base: bytes
    scheme: str
    told: str
    expected: str
    note: str


class Calls:
    """The last calls of one carrier, for whoever wants to see them or repeat one."""

    def __init__(self, carrier: str) -> None:
        self._carrier = carrier
        self._numbers = count(1)
        self._guard = threading.Lock()
        self._sent: deque[Sent] = deque(maxlen=REMEMBERED)

    def add(self, **sent: Any) -> None:
        with self._guard:
            call = Sent(id=f"{self._carrier}-{next(self._numbers)}", **sent)
            self._sent.append(call)

    def newest(self) -> Sequence[Sent]:
        """Return them, oldest first."""
        with self._guard:
            return tuple(self._sent)

    def forget(self) -> None:
        with self._guard:
            self._sent.clear()

    def find(self, name: str) -> Sent | None:
        return next((sent for sent in self.newest() if sent.id == name), None)


class Scheduler:
    """Does each job of the store once it is due by the clock.

    Steps run one by one on the event loop that serves the carriers, each in the
    transaction that removes it: threads would wait for the store, and for the
    interpreter at each of its statements. Calls run in threads, 32 at a time per
    courier.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        steps: Mapping[str, Step],
        couriers: Mapping[str, Courier],
    ) -> None:
        self._store = store
        self._clock = clock
        self._steps = steps
        self._couriers = couriers
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.Handle | None = None
        self._pools = {
            kind: ThreadPoolExecutor(PARALLEL, f"simulator-{kind}") for kind in couriers
        }
        self._running: dict[int, str] = {}
        store.on_schedule = self._wake
        clock.on_change(self._wake)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._wake()

    def stop(self) -> None:
        """Begin nothing any more. Calls under way are left to end; jobs are kept."""
        loop, self._loop = self._loop, None
        if loop:
            asyncio.run_coroutine_threadsafe(self._rest(), loop).result()
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    async def _rest(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _wake(self) -> None:
        """Look again soon; any thread may say so."""
        if self._loop:
            self._loop.call_soon_threadsafe(self._plan, 0.0)

    def _plan(self, seconds: float | None) -> None:
        if self._timer:
            self._timer.cancel()
        if self._loop:
            pause = _LONGEST_SLEEP if seconds is None else min(seconds, _LONGEST_SLEEP)
            self._timer = self._loop.call_later(pause, self._look)

    def _look(self) -> None:
        try:
            pause = self._passes()
        except sqlite3.Error as error:
            pause = _failed(error)
        self._plan(pause)

    def _passes(self) -> float | None:
        for _ in range(AT_ONCE):
            pause = self._pass()
            if pause != 0:
                return pause
        return 0

    def _pass(self) -> float | None:
        """Do the next thing due: 0, or else the seconds until there is one."""
        kinds = list(self._running.values())
        full = {kind for kind in self._couriers if kinds.count(kind) >= PARALLEL}
        job = self._store.next_job(skip=set(self._running), full=full)
        if job is None:
            return None
        if job.due > micros(self._clock.now()):
            wait = self._clock.seconds_until(moment(job.due))
            return None if wait is None else max(wait, 0.001)
        if job.kind in self._couriers:
            self._running[job.id] = job.kind
            self._pools[job.kind].submit(self._bring, job)
            return 0
        self._do(job)
        return 0

    def _do(self, job: Job) -> None:
        try:
            with self._store.transaction():
                # It may have been cancelled since it was found due.
                if self._store.finish(job.id):
                    self._steps[job.kind](job)
        except Exception as error:  # noqa: BLE001 - one bad job must not stop the rest
            _log.error("%s failed: %s", job.kind, type(error).__name__)
            self._store.finish(job.id)

    def _bring(self, job: Job) -> None:
        courier = self._couriers[job.kind]
        try:
            done = courier.bring(job.payload)
        except Exception as error:  # noqa: BLE001 - brought again like any failure
            _log.error("%s failed: %s", job.kind, type(error).__name__)
            done = False
        if loop := self._loop:
            loop.call_soon_threadsafe(self._brought, job, done)

    def _brought(self, job: Job, done: bool) -> None:  # noqa: FBT001 - what a call says
        if not self._loop:
            return
        del self._running[job.id]
        pause = 0.0
        try:
            again = None if done else self._again(self._couriers[job.kind], job)
            if again is None:
                self._store.finish(job.id)
            else:
                tries = job.payload["tries"] + 1
                self._store.postpone(job.id, again, {**job.payload, "tries": tries})
        except sqlite3.Error as error:
            pause = _failed(error)
        self._plan(pause)

    def _again(self, courier: Courier, job: Job) -> int | None:
        now = micros(self._clock.now())
        gap = min(courier.first << min(job.payload["tries"], 30), courier.longest)
        ends = job.payload["since"] + courier.window
        return now + gap if now + gap <= ends else None


def _failed(error: sqlite3.Error) -> float:
    """Say so; return after how many seconds to go on."""
    _log.error("store failed: %s", type(error).__name__)
    return 1.0
