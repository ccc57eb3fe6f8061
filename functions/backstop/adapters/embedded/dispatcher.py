"""Rings timers and pushes events over HTTP until they are answered with 2xx.

Every subscriber has a lane of its own, and so do the timers: a slow one delays
nobody else. What is due stands in the file and leaves it only when it was
answered, so a killed process forgets nothing, and "idle" is a question to the
file.
"""

import json
import logging
import threading
from base64 import b64encode
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

import urllib3

from backstop.adapters.embedded.database import Database
from backstop.adapters.embedded.stores import Subscription, forget_old
from backstop.adapters.records import instant, micros
from backstop.domain.times import format_time
from backstop.errors import Unavailable
from backstop.ports import Random

WIDTH = 12
"""Requests under way in one lane."""

ANSWER_WAIT = 60.0
"""Seconds of the machine's time that a handler may take: an ack deadline."""

DEAD_AFTER = 12
"""Deliveries before an event becomes a dead letter: about half an hour."""

RETENTION = timedelta(days=31)
"""Outcomes and events are kept for this long; a repeat after it is new."""

LONGEST_SLEEP = 5.0
"""Seconds until the clock is asked again: it may be set, or the machine suspended."""

FAILED_WAIT = 1.0
"""Seconds of the machine's time until a failing disk is tried again."""

CLEANING = timedelta(minutes=1)

SHORTEST_BACKOFF = timedelta(seconds=1)
LONGEST_RING_BACKOFF = timedelta(minutes=1)
LONGEST_PUSH_BACKOFF = timedelta(minutes=10)


_log = logging.getLogger(__name__)


class MovableClock(Protocol):
    """A clock that may run faster, pause or jump, and says so."""

    def now(self) -> datetime: ...

    def seconds_until(self, instant: datetime) -> float | None:
        """Return the machine's seconds until then, None when time stands still."""

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call *callback* after every jump and change of pace."""


@dataclass(frozen=True)
class _Job:
    key: tuple[object, ...]
    tries: int
    url: str
    body: bytes


@dataclass
class _Lane:
    """One queue in the file: what is due in it, and what an answer does to it."""

    subscription: Subscription | None
    url: str
    busy: set[tuple[object, ...]] = field(default_factory=set)


class Dispatcher:
    """Rings and pushes what is due, when it is due, at least once."""

    def __init__(
        self,
        database: Database,
        clock: MovableClock,
        random: Random,
        subscriptions: Sequence[Subscription],
    ) -> None:
        self._database = database
        self._clock = clock
        self._random = random
        self._subscriptions = subscriptions
        self._lanes: list[_Lane] = []
        self._headers: dict[str, str] = {}
        self._changed = threading.Condition()
        self._dirty = False
        self._cleaned_at = clock.now()
        self._stopping = False
        self._ended = threading.Event()
        self._threads: ThreadPoolExecutor | None = None
        self._loop: threading.Thread | None = None
        self._http = urllib3.PoolManager(maxsize=64, retries=False)
        clock.on_change(self.wake)

    def start(self, *, ring: str, push: Callable[[str], str], token: str) -> None:
        """Begin. Timers ring at *ring*; *push* completes a subscriber's endpoint."""
        self._headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {token}",
        }
        self._lanes = [_Lane(None, ring)] + [
            _Lane(subscription, push(subscription.endpoint))
            for subscription in self._subscriptions
        ]
        self._threads = ThreadPoolExecutor(WIDTH * len(self._lanes), "dispatch")
        self._loop = threading.Thread(target=self._run, name="dispatcher", daemon=True)
        self._loop.start()

    def stop(self) -> None:
        """Stop beginning anything, and wait for what is under way."""
        with self._changed:
            self._stopping = True
            self._ended.set()
            self._changed.notify()
        if self._loop:
            self._loop.join()
        if self._threads:
            self._threads.shutdown()
        self._http.clear()

    def wake(self) -> None:
        """Look again: something may be due, or due earlier."""
        with self._changed:
            self._dirty = True
            self._changed.notify()

    def idle(self) -> bool:
        """Whether nothing is due and nothing under way."""
        earliest = self.next_due()
        return earliest is None or earliest > self._clock.now()

    def next_due(self) -> datetime | None:
        """Return the instant of the earliest ring or push that is left."""
        [(next_at,)] = self._database.read(
            "SELECT min(next_at) FROM (SELECT min(next_at) AS next_at FROM timers"
            " UNION ALL SELECT min(next_at) FROM deliveries WHERE NOT dead)"
        )
        return None if next_at is None else instant(next_at)

    def _run(self) -> None:
        while not self._stopping:
            try:
                with self._changed:
                    self._changed.wait_for(
                        lambda: self._dirty or self._stopping, timeout=self._patience()
                    )
                    self._dirty = False
                self._clean()
                for lane in self._lanes:
                    self._begin(lane)
            except Unavailable as error:
                # A full or failing disk: go on when it does.
                _log.error("dispatcher_failed", extra={"cause": type(error).__name__})
                self._ended.wait(FAILED_WAIT)

    def _clean(self) -> None:
        now = self._clock.now()
        if now >= self._cleaned_at + CLEANING:
            self._cleaned_at = now
            self._database.write(partial(forget_old, before=now - RETENTION))

    def _patience(self) -> float:
        """Return the machine's seconds until it is time to look again."""
        now = micros(self._clock.now())
        waits = [
            0.0 if at <= now else self._clock.seconds_until(instant(at))
            for lane in self._lanes
            if (at := self._next(lane, now)) is not None
        ]
        wait = min((wait for wait in waits if wait is not None), default=LONGEST_SLEEP)
        return min(wait, LONGEST_SLEEP)

    def _next(self, lane: _Lane, now: int) -> int | None:
        """Return when the lane has more to begin; a full one is woken by answers."""
        if len(lane.busy) >= WIDTH:
            return None
        if self._due(lane, now):
            return now
        if lane.subscription is None:
            rows = self._database.read(
                "SELECT min(next_at) FROM timers WHERE next_at > ?", now
            )
        else:
            rows = self._database.read(
                "SELECT min(next_at) FROM deliveries"
                " WHERE subscription = ? AND NOT dead AND next_at > ?",
                lane.subscription.name,
                now,
            )
        found: int | None = rows[0][0]
        return found

    def _begin(self, lane: _Lane) -> None:
        for job in self._due(lane, micros(self._clock.now())):
            if len(lane.busy) < WIDTH and self._threads:
                lane.busy.add(job.key)
                self._threads.submit(self._deliver, lane, job)

    def _due(self, lane: _Lane, now: int) -> list[_Job]:
        """Return what is due and not under way."""
        # Asked before the file is: a row that is answered while it is read was
        # busy, and must not be begun again.
        busy = set(lane.busy)
        limit = WIDTH + len(busy)
        if lane.subscription is None:
            rows = self._database.read(
                "SELECT message, due_at, tries FROM timers WHERE next_at <= ?"
                " ORDER BY next_at LIMIT ?",
                now,
                limit,
            )
            return [self._ring(lane, *row) for row in rows if row[:2] not in busy]
        name = lane.subscription.name
        rows = self._database.read(
            "SELECT seq, tries, published_at, attributes, data"
            " FROM deliveries JOIN events USING (seq)"
            " WHERE subscription = ? AND NOT dead AND next_at <= ?"
            " ORDER BY next_at LIMIT ?",
            name,
            now,
            limit,
        )
        return [
            self._push(lane, name, row) for row in rows if (row[0], name) not in busy
        ]

    def _ring(self, lane: _Lane, message: str, due_at: int, tries: int) -> _Job:
        body = {"message": message, "dueAt": format_time(instant(due_at))}
        return _Job((message, due_at), tries, lane.url, json.dumps(body).encode())

    def _push(self, lane: _Lane, name: str, row: tuple[Any, ...]) -> _Job:
        seq, tries, published_at, attributes, data = row
        body = {
            "message": {
                "data": b64encode(data).decode(),
                "attributes": json.loads(attributes),
                "messageId": str(seq),
                "publishTime": format_time(instant(published_at)),
            },
            "subscription": name,
            "deliveryAttempt": tries + 1,
        }
        return _Job((seq, name), tries, lane.url, json.dumps(body).encode())

    def _deliver(self, lane: _Lane, job: _Job) -> None:
        reason = self._post(job)
        try:
            if reason is None:
                self._finish(lane, job)
            else:
                self._put_off(lane, job, reason)
        except Unavailable as error:
            # It will be begun again, but not in a tight loop.
            _log.error("dispatcher_failed", extra={"cause": type(error).__name__})
            self._ended.wait(FAILED_WAIT)
        finally:
            lane.busy.discard(job.key)
            self.wake()

    def _post(self, job: _Job) -> str | None:
        """Return None for a 2xx, else what came instead."""
        try:
            answer = self._http.request(
                "POST",
                job.url,
                body=job.body,
                headers=self._headers,
                timeout=ANSWER_WAIT,
                redirect=False,
            )
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return type(error).__name__
        ok = 200 <= answer.status < 300  # noqa: PLR2004 - HTTP's own words
        return None if ok else f"HTTP {answer.status}"

    def _finish(self, lane: _Lane, job: _Job) -> None:
        table, where = _place(lane)
        self._database.write(
            lambda connection: connection.execute(
                f"DELETE FROM {table} WHERE {where}",  # noqa: S608 - our own words
                job.key,
            )
        )

    def _put_off(self, lane: _Lane, job: _Job, reason: str) -> None:
        longest = LONGEST_PUSH_BACKOFF if lane.subscription else LONGEST_RING_BACKOFF
        wait = min(SHORTEST_BACKOFF * 2 ** min(job.tries, 12), longest)
        next_at = micros(self._clock.now() + wait * (0.5 + self._random.random() / 2))
        tries = job.tries + 1
        table, where = _place(lane)
        changes = "next_at = ?, tries = ?"
        values: tuple[object, ...] = (next_at, tries)
        if lane.subscription:
            changes += ", dead = ?, reason = ?"
            values += (tries >= DEAD_AFTER, reason)
        self._database.write(
            lambda connection: connection.execute(
                f"UPDATE {table} SET {changes} WHERE {where}",  # noqa: S608 - our own words
                (*values, *job.key),
            )
        )


def _place(lane: _Lane) -> tuple[str, str]:
    if lane.subscription is None:
        return "timers", "message = ? AND due_at = ?"
    return "deliveries", "seq = ? AND subscription = ?"
