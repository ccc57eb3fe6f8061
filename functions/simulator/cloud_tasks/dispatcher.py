"""Rings tasks when they are due by the clock, within each queue's limits."""

import logging
import math
import sqlite3
import threading
from collections import Counter
from datetime import datetime
from typing import Any

from simulator.clock import Clock

from .book import Attempt, Book
from .courier import Courier
from .rules import SECOND, Queue, backoff, micros, moment, retry_config, spent

_LONGEST_SLEEP = 3600.0
_AT_A_TIME = 200
_NEARLY = 1e-9

_log = logging.getLogger("simulator.cloud_tasks")


class Bucket:
    """A queue's tokens, refilled by the message clock."""

    def __init__(self, now: int) -> None:
        self._tokens = math.inf
        self._at = now

    def tokens(self, limits: Any, now: int) -> float:
        gained = (now - self._at) / SECOND * limits.max_dispatches_per_second
        self._tokens = min(self._tokens + gained, limits.max_burst_size)
        self._at = now
        return self._tokens + _NEARLY

    def take(self, count: int) -> None:
        self._tokens -= count

    def next_at(self, limits: Any, now: int) -> int:
        """Return when there is a token again; *now* if there is one."""
        lack = 1 - self.tokens(limits, now)
        if lack <= 0:
            return now
        pause = lack / float(limits.max_dispatches_per_second)
        return now + math.ceil(pause * SECOND)


class Dispatcher:
    """Every attempt has a thread of its own, so that none waits for another.

    `shift` moves all rings of tasks: late if positive, early if negative.
    """

    def __init__(self, book: Book, clock: Clock, courier: Courier) -> None:
        self.shift = 0
        self.twice = False
        self.dispatches = 0
        self._book = book
        self._clock = clock
        self._courier = courier
        self._buckets: dict[str, Bucket] = {}
        self._under_way: dict[object, tuple[str, int]] = {}
        self._wake = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(
            target=self._loop, name="cloud-tasks", daemon=True
        )
        clock.on_change(self.wake)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread. Attempts under way are left to end; their tasks are kept."""
        with self._book.lock:
            self._stopped = True
        self.wake()
        if self._thread.is_alive():
            self._thread.join()

    def wake(self) -> None:
        self._wake.set()

    def run(self, number: int) -> Any:
        """Dispatch a task now, whatever its time, its queue's state and limits."""
        with self._book.lock:
            attempt = self._book.begin(number, self._now())
            key = self._note(attempt)
        self._launch(key, attempt)
        return attempt.task

    def idle(self) -> bool:
        with self._book.lock:
            due = self._next()
            return not self._under_way and (due is None or due > self._now())

    def next_due(self) -> datetime | None:
        with self._book.lock:
            found = [since for _, since in self._under_way.values()]
            due = self._next()
            if due is not None:
                found.append(due)
            return moment(min(found)) if found else None

    def _now(self) -> int:
        return micros(self._clock.now())

    def _loop(self) -> None:
        while not self._stopped:
            self._wake.clear()
            try:
                pause = self._pass()
            except sqlite3.Error as error:
                _log.error("store failed: %s", type(error).__name__)
                pause = 1.0
            self._wake.wait(_LONGEST_SLEEP if pause is None else pause)

    def _pass(self) -> float | None:
        """Launch all that may be; the real seconds until more may, if that is known."""
        with self._book.lock:
            if self._stopped:
                return None
            ready = self._begin_due()
            due = self._next()
        for key, attempt in ready:
            self._launch(key, attempt)
        if due is None:
            return None
        wait = self._clock.seconds_until(moment(due))
        return None if wait is None else min(wait, _LONGEST_SLEEP)

    def _begin_due(self) -> list[tuple[object, Attempt]]:
        now = self._now()
        ready = []
        with self._book.transaction():
            for queue in self._running():
                bucket = self._bucket(queue.name, now)
                tokens = bucket.tokens(queue.rate_limits, now)
                most = min(int(tokens), self._free(queue), _AT_A_TIME)
                numbers = self._book.due(queue.name, now - self.shift, max(most, 0))
                bucket.take(len(numbers))
                ready += [self._book.begin(number, now) for number in numbers]
        return [(self._note(attempt), attempt) for attempt in ready]

    def _running(self) -> list[Any]:
        return [q for q in self._book.queues() if q.state == Queue.State.RUNNING]

    def _bucket(self, name: str, now: int) -> Bucket:
        return self._buckets.setdefault(name, Bucket(now))

    def _free(self, queue: Any) -> int:
        used = Counter(name for name, _ in self._under_way.values())[queue.name]
        return int(queue.rate_limits.max_concurrent_dispatches) - used

    def _next(self) -> int | None:
        """Return when a waiting task may ring, if not only after another's end."""
        now = self._now()
        found = []
        for queue in self._running():
            due = self._book.earliest(queue.name)
            if due is not None and self._free(queue) > 0:
                bucket = self._bucket(queue.name, now)
                free_at = bucket.next_at(queue.rate_limits, now)
                found.append(max(due + self.shift, free_at))
        return min(found, default=None)

    def _note(self, attempt: Attempt) -> object:
        key = object()
        self._under_way[key] = (attempt.queue, self._now())
        self.dispatches += 2 if self.twice else 1
        return key

    def _launch(self, key: object, attempt: Attempt) -> None:
        threading.Thread(
            target=self._attempt,
            args=(key, attempt, self.twice),
            name="cloud-tasks-attempt",
            daemon=True,
        ).start()

    def _attempt(self, key: object, attempt: Attempt, twice: bool) -> None:  # noqa: FBT001
        twin = threading.Thread(
            target=self._courier.bring, args=(attempt,), daemon=True
        )
        if twice:
            twin.start()
        outcome = self._courier.bring(attempt)
        if twice:
            twin.join()
        with self._book.lock:
            del self._under_way[key]
            if self._stopped:
                return
            now = self._now()
            # An answer as good as instant may find its queue deleted by now.
            queues = {queue.name: queue for queue in self._book.queues()}
            queue = queues.get(attempt.queue)
            success = outcome.status // 100 == 2  # noqa: PLR2004 - 200 to 299
            config = None if queue is None else retry_config(queue, attempt.task)
            if success or config is None or spent(config, attempt.task, now):
                self._book.finish(attempt, now)
            else:
                pause = backoff(config, attempt.task.dispatch_count)
                due = now + max(pause, outcome.retry_after)
                self._book.postpone(attempt, outcome, now, due)
        self.wake()
