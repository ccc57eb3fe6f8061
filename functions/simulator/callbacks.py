"""What happens by itself: jobs in the order they are due, and calls to receivers."""

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

    Steps run one by one under the store's lock, each in the transaction that removes
    it. Calls run beside them, 32 at a time per courier, and outside of any lock.
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
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._loop, name="simulator-scheduler", daemon=True
        )
        self._pools = {
            kind: ThreadPoolExecutor(PARALLEL, f"simulator-{kind}") for kind in couriers
        }
        self._running: dict[int, str] = {}
        store.on_schedule = self._wake.set
        clock.on_change(self._wake.set)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread. Calls under way are left to end; their jobs are kept."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    def _loop(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                pause = self._pass()
            except sqlite3.Error as error:
                _log.error("store failed: %s", type(error).__name__)
                pause = 1.0
            if pause != 0:
                self._wake.wait(_LONGEST_SLEEP if pause is None else pause)

    def _pass(self) -> float | None:
        """Do the next thing due: 0, or else the seconds until there is one."""
        # A call's thread leaves this dictionary only after its commit, so a copy that
        # is stale errs on the safe side, and the thread wakes us again.
        running = dict(self._running)
        kinds = list(running.values())
        full = {kind for kind in self._couriers if kinds.count(kind) >= PARALLEL}
        job = self._store.next_job(skip=set(running), full=full)
        if job is None:
            return None
        if job.due > micros(self._clock.now()):
            wait = self._clock.seconds_until(moment(job.due))
            return None if wait is None else min(max(wait, 0.001), _LONGEST_SLEEP)
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
        if self._stopping.is_set():
            return
        with self._store.transaction():
            again = None if done else self._again(courier, job)
            if again is None:
                self._store.finish(job.id)
            else:
                tries = job.payload["tries"] + 1
                self._store.postpone(job.id, again, {**job.payload, "tries": tries})
        del self._running[job.id]
        self._wake.set()

    def _again(self, courier: Courier, job: Job) -> int | None:
        now = micros(self._clock.now())
        gap = min(courier.first << min(job.payload["tries"], 30), courier.longest)
        ends = job.payload["since"] + courier.window
        return now + gap if now + gap <= ends else None
