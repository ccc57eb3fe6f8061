"""Rings timers and pushes events over HTTP until they are answered with 2xx.

Every subscriber has a lane of its own, and so do the timers: a slow one delays
nobody else. What is due stands in the file and leaves it only when it was
answered, so a killed process forgets nothing, and "idle" is a question to the
file.
"""

import asyncio
import json
import logging
import sqlite3
import threading
from base64 import b64encode
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

import msgspec
import uvloop

from backstop.adapters.embedded.database import Change, Database
from backstop.adapters.embedded.stores import Subscription, forget_old
from backstop.adapters.records import instant, micros
from backstop.calls import NoAnswer, NotSent
from backstop.domain.times import format_time
from backstop.errors import Unavailable
from backstop.ports import Random

WIDTH = 48
"""Requests under way in one lane."""

TAKEN = 64
"""Jobs that a lane has in hand: beside those, what is next, and what was answered
and is being written down, so that no request waits for the disk."""

ANSWER_WAIT = 60.0
"""Seconds of the machine's time that a handler may take: an ack deadline."""

Post = Callable[[bytes], Awaitable[int]]
"""Delivers a body, and returns the status it was answered with.

Raises NotSent, NoAnswer and TimeoutError when it was not.
"""

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


_NEVER = 2**63 - 1

_Key = tuple[Any, Any]


@dataclass(frozen=True)
class _Job:
    key: _Key
    tries: int
    body: bytes


@dataclass(eq=False)
class _Lane:
    """One queue in the file: what is due in it, and what an answer does to it."""

    subscription: Subscription | None
    post: Post
    busy: set[_Key] = field(default_factory=set)
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(WIDTH))


@dataclass(frozen=True)
class _Answer:
    """What came of a job: None is a 2xx, anything else why it is put off."""

    lane: _Lane
    job: _Job
    reason: str | None


class Dispatcher:
    """Rings and pushes what is due, when it is due, at least once.

    All of it happens on one event loop, but for commits. Answers are
    written down together: those that come during one commit, in the next.
    """

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
        self._answers: list[_Answer] = []
        self._writing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._cleaned_at = clock.now()
        self._stopping = False
        # Guards these two, which any thread may ask and set.
        self._lock = threading.Lock()
        self._next = _NEVER
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._running: Callable[[], None] = lambda: None
        clock.on_change(self.wake)

    def start(
        self,
        *,
        ring: str,
        post: Callable[[str], Post],
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Begin, on *loop* or in a thread of its own.

        Timers ring at the endpoint *ring*; *post* says how an endpoint is reached.
        """
        self._lanes = [_Lane(None, post(ring))] + [
            _Lane(subscription, post(subscription.endpoint))
            for subscription in self._subscriptions
        ]
        if loop:
            self._running = asyncio.run_coroutine_threadsafe(self._run(), loop).result
            return
        thread = threading.Thread(target=self._serve, name="dispatcher", daemon=True)
        thread.start()
        self._running = thread.join

    def stop(self) -> None:
        """Stop beginning anything, and wait for what is under way."""
        self._stopping = True
        self.wake()
        self._running()

    def wake(self, at: datetime | None = None) -> None:
        """Look again, when *at* has come if that is given: something may be due."""
        wanted = micros(at) if at else 0
        with self._lock:
            if wanted < self._next:
                self._next = wanted
                if self._loop:
                    self._loop.call_soon_threadsafe(self._plan)

    def idle(self) -> bool:
        """Whether nothing is due and nothing under way."""
        earliest = self.next_due()
        return earliest is None or earliest > self._clock.now()

    def crowded(self) -> bool:
        """Whether a lane has all in hand that it can: more may be due."""
        return any(len(lane.busy) >= TAKEN for lane in self._lanes)

    def next_due(self) -> datetime | None:
        """Return the instant of the earliest ring or push that is left."""
        [(next_at,)] = self._database.read(
            "SELECT min(next_at) FROM (SELECT min(next_at) AS next_at FROM timers"
            " UNION ALL SELECT min(next_at) FROM deliveries WHERE NOT dead)"
        )
        return None if next_at is None else instant(next_at)

    def oldest_due(self) -> datetime | None:
        """Return the earliest instant of a timer that is due and not answered."""
        now = self._clock.now()
        # No ring is put off for longer, and only these have an index to be found by.
        within = micros(now + LONGEST_RING_BACKOFF)
        [(due_at,)] = self._database.read(
            "SELECT min(due_at) FROM timers WHERE next_at <= ? AND due_at <= ?",
            within,
            micros(now),
        )
        return None if due_at is None else instant(due_at)

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._run())

    async def _run(self) -> None:
        self._ended = asyncio.Event()
        with self._lock:
            self._loop = asyncio.get_running_loop()
        self._look()
        await self._ended.wait()
        while self._tasks:
            await asyncio.wait(self._tasks)
        with self._lock:
            self._loop = None

    def _look(self) -> None:
        # Before anything is asked: whoever wakes us from here on is heard.
        with self._lock:
            self._next = _NEVER
        if self._stopping:
            self._ended.set()
            return
        now = self._clock.now()
        if now >= self._cleaned_at + CLEANING:
            self._cleaned_at = now
            self._spawn(self._clean(now - RETENTION))
        self._begin(self._lanes)

    def _begin(self, lanes: Iterable[_Lane]) -> None:
        """Begin what is due in these, and plan when to look again."""
        if self._stopping:
            return
        try:
            following = min(self._begin_lane(lane) for lane in lanes)
        except Unavailable as error:
            # A full or failing disk: go on when it does.
            _failed(error)
            self._sleep(FAILED_WAIT)
            return
        with self._lock:
            self._next = min(self._next, following)
        self._plan()

    def _plan(self) -> None:
        at = self._next
        wait: float | None = 0.0
        if at > micros(self._clock.now()):
            wait = None if at == _NEVER else self._clock.seconds_until(instant(at))
        self._sleep(LONGEST_SLEEP if wait is None else min(wait, LONGEST_SLEEP))

    def _sleep(self, seconds: float) -> None:
        """Look again after so much of the machine's time, and not before."""
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _begin_lane(self, lane: _Lane) -> int:
        """Begin what is due; return when more will be. Answers wake a full lane."""
        if len(lane.busy) >= TAKEN:
            return _NEVER
        now = micros(self._clock.now())
        for next_at, key, tries in self._earliest(lane):
            if key in lane.busy:
                continue
            if next_at > now:
                return next_at
            if len(lane.busy) >= TAKEN:
                break
            job = _Job(key, tries, self._body(lane, key, tries))
            lane.busy.add(key)
            self._spawn(self._deliver(lane, job))
        return _NEVER

    def _earliest(self, lane: _Lane) -> Iterator[tuple[int, _Key, int]]:
        """Return what is first in the lane, all that is in hand and one more."""
        limit = TAKEN + 1
        if lane.subscription is None:
            rows = self._database.read(
                "SELECT next_at, message, due_at, tries FROM timers"
                " ORDER BY next_at LIMIT ?",
                limit,
            )
        else:
            rows = self._database.read(
                "SELECT next_at, seq, subscription, tries FROM deliveries"
                " WHERE subscription = ? AND NOT dead ORDER BY next_at LIMIT ?",
                lane.subscription.name,
                limit,
            )
        return ((row[0], row[1:3], row[3]) for row in rows)

    def _body(self, lane: _Lane, key: _Key, tries: int) -> bytes:
        body = self._push(key, tries) if lane.subscription else _ring(key)
        return msgspec.json.encode(body)

    def _push(self, key: _Key, tries: int) -> dict[str, object]:
        seq, name = key
        [(published_at, attributes, data)] = self._database.read(
            "SELECT published_at, attributes, data FROM events WHERE seq = ?", seq
        )
        return {
            "message": {
                "data": b64encode(data).decode(),
                "attributes": json.loads(attributes),
                "messageId": str(seq),
                "publishTime": format_time(instant(published_at)),
            },
            "subscription": name,
            "deliveryAttempt": tries + 1,
        }

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, lane: _Lane, job: _Job) -> None:
        try:
            async with lane.slots:
                status = await lane.post(job.body)
        except (NotSent, NoAnswer, TimeoutError) as error:
            reason: str | None = type(error).__name__
        else:
            ok = 200 <= status < 300  # noqa: PLR2004 - HTTP's own words
            reason = None if ok else f"HTTP {status}"
        self._answers.append(_Answer(lane, job, reason))
        if not self._writing:
            self._writing = True
            self._spawn(self._write_down())

    async def _write_down(self) -> None:
        """Let the file know of all answers, as many at a time as there are."""
        while self._answers:
            answers, self._answers = self._answers, []
            try:
                await self._commit(partial(self._settle, answers))
            except Unavailable as error:
                # They will be begun again, but not in a tight loop.
                _failed(error)
                await asyncio.sleep(FAILED_WAIT)
            for answer in answers:
                answer.lane.busy.discard(answer.job.key)
            self._begin({answer.lane for answer in answers})
        self._writing = False

    def _settle(
        self, answers: Sequence[_Answer], connection: sqlite3.Connection
    ) -> None:
        for answer in answers:
            table, where = _place(answer.lane)
            if answer.reason is None:
                connection.execute(
                    f"DELETE FROM {table} WHERE {where}",  # noqa: S608 - our own words
                    answer.job.key,
                )
                continue
            changes, values = self._put_off(answer)
            connection.execute(
                f"UPDATE {table} SET {changes} WHERE {where}",  # noqa: S608 - our own words
                (*values, *answer.job.key),
            )

    def _put_off(self, answer: _Answer) -> tuple[str, tuple[object, ...]]:
        pushed = answer.lane.subscription is not None
        longest = LONGEST_PUSH_BACKOFF if pushed else LONGEST_RING_BACKOFF
        tries = answer.job.tries
        wait = min(SHORTEST_BACKOFF * 2 ** min(tries, 12), longest)
        next_at = micros(self._clock.now() + wait * (0.5 + self._random.random() / 2))
        changes, values = "next_at = ?, tries = ?", (next_at, tries + 1)
        if not pushed:
            return changes, values
        dead = tries + 1 >= DEAD_AFTER
        return f"{changes}, dead = ?, reason = ?", (*values, dead, answer.reason)

    async def _clean(self, before: datetime) -> None:
        try:
            await self._commit(partial(forget_old, before=before))
        except Unavailable as error:
            _failed(error)

    async def _commit(self, change: Change[None]) -> None:
        await self._database.begin(change)


def _ring(key: _Key) -> dict[str, object]:
    message, due_at = key
    return {"message": message, "dueAt": format_time(instant(due_at))}


def _place(lane: _Lane) -> tuple[str, str]:
    if lane.subscription is None:
        return "timers", "message = ? AND due_at = ?"
    return "deliveries", "seq = ? AND subscription = ?"


def _failed(error: Unavailable) -> None:
    _log.error("dispatcher_failed", extra={"cause": type(error).__name__})
