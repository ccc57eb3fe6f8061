"""The platform in memory: what the ports promise, single-threaded and fast.

It passes the same contract tests as the real adapters, and stands in for them
where a million lives are lived. What it keeps is what a disk would hold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from backstop.adapters.records import make_token, read_token
from backstop.domain.consent import Consent
from backstop.domain.event import Event
from backstop.domain.message import Message, MessageId, Outcome
from backstop.domain.reach import Reach
from backstop.errors import AlreadyExists, Conflict
from backstop.ports import Clock, Page, Stored

Subscriptions = Mapping[str, frozenset[str]]
"""Subscribers by name, and the kinds each wants; none means all."""

RINGS = "rings"
DEAD_AFTER = 12
SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)
LONGEST = {RINGS: timedelta(minutes=1)}
LONGEST_PUSH = timedelta(minutes=10)


@dataclass
class Job:
    """A ring or a push that has not been answered with 2xx.

    `lane` is who gets it. `subject` is a message's id, or an event.
    """

    lane: str
    subject: Any
    due_at: datetime
    next_at: datetime
    seq: int = 0
    tries: int = 0
    begun: bool = False


class Platform(Protocol):
    """Ports, and the queues behind two of them."""

    messages: Any
    recipients: Any
    reaches: Any
    timers: Any
    events: Any

    def due(self, now: datetime) -> Sequence[Job]: ...
    def next_at(self) -> datetime | None: ...
    def put_off(self, job: Job, until: datetime) -> None: ...
    def finish(self, job: Job) -> None: ...
    def bury(self, job: Job) -> None: ...
    def armed(self, message: str) -> bool: ...
    def pushing(self) -> bool: ...
    def left(self, before: datetime) -> int: ...
    def close(self) -> None: ...


class Memory:
    """All four ports over dictionaries, and the jobs they leave to be done."""

    def __init__(self, clock: Clock, subscriptions: Subscriptions) -> None:
        self.messages = MemoryMessages()
        self.recipients = MemoryRecipients()
        self.reaches = MemoryReaches()
        self._jobs: dict[tuple[str, Any, Any], Job] = {}
        self.timers = MemoryTimers(clock, self._jobs)
        self.events = MemoryEvents(clock, self._jobs, subscriptions)
        self.dead: list[Job] = []

    def due(self, now: datetime) -> list[Job]:
        due = [job for job in self._jobs.values() if job.next_at <= now]
        if len(due) > 1:
            due.sort(key=_turn)
        return due

    def next_at(self) -> datetime | None:
        if not self._jobs:
            return None
        return min(job.next_at for job in self._jobs.values())

    def put_off(self, job: Job, until: datetime) -> None:
        job.next_at = until

    def finish(self, job: Job) -> None:
        self._jobs.pop(_key(job), None)

    def bury(self, job: Job) -> None:
        self.finish(job)
        self.dead.append(job)

    def revive(self, job: Job, now: datetime) -> bool:
        if job not in self.dead:
            return False
        self.dead.remove(job)
        self._jobs[_key(job)] = replace(job, tries=0, next_at=now)
        return True

    def armed(self, message: str) -> bool:
        return any(key[0] == RINGS and key[1] == message for key in self._jobs)

    def pushing(self) -> bool:
        return any(key[0] != RINGS for key in self._jobs)

    def left(self, before: datetime) -> int:
        return sum(
            job.lane == RINGS or job.due_at < before for job in self._jobs.values()
        )

    def close(self) -> None:
        """Nothing to let go of."""


def _key(job: Job) -> tuple[str, Any, Any]:
    if job.lane == RINGS:
        return job.lane, job.subject, job.due_at
    return job.lane, job.seq, None


def _turn(job: Job) -> tuple[Any, ...]:
    """Rings first, then pushes, each by age: as a database would list them."""
    if job.lane == RINGS:
        return 0, job.next_at, job.subject, job.due_at
    return 1, job.next_at, job.seq, job.lane


def backoff(job: Job, share: float) -> timedelta:
    """Return how long a refused job waits; *share* is the jitter, in [0, 1)."""
    wait = SECOND * 2 ** min(job.tries, 12)
    return min(wait, LONGEST.get(job.lane, LONGEST_PUSH)) * (0.5 + share / 2)


class MemoryMessages:
    def __init__(self) -> None:
        self._records: dict[MessageId, Stored[Message]] = {}

    def create(self, message: Message) -> int:
        if message.id in self._records:
            raise AlreadyExists(message.id)
        self._records[message.id] = Stored(message, 1)
        return 1

    def load(self, message: MessageId) -> Stored[Message] | None:
        return self._records.get(message)

    def save(self, message: Message, *, version: int) -> int:
        stored = self._records.get(message.id)
        if stored is None or stored.version != version:
            raise Conflict(message.id)
        self._records[message.id] = Stored(message, version + 1)
        return version + 1

    def of_phone(self, phone: str, *, limit: int, token: str = "") -> Page:
        before = read_token(token) if token else None
        found = sorted(
            (
                stored.value
                for stored in self._records.values()
                if stored.value.phone == phone
                and (before is None or _place(stored.value) < before)
            ),
            key=_place,
            reverse=True,
        )
        shown = tuple(found[:limit])
        return Page(shown, make_token(shown[-1]) if len(found) > limit else "")

    def open_of_phone(self, phone: str, agent: str) -> Sequence[MessageId]:
        return [
            stored.value.id
            for stored in self._records.values()
            if stored.value.phone == phone
            and stored.value.agent == agent
            and stored.value.outcome is Outcome.PENDING
        ]


def _place(message: Message) -> tuple[datetime, str]:
    return message.accepted_at, message.id


class MemoryRecipients:
    def __init__(self) -> None:
        self._records: dict[tuple[str, str], Stored[Consent]] = {}

    def load(self, phone: str, agent: str) -> Stored[Consent]:
        return self._records.get((phone, agent)) or Stored(Consent(), 0)

    def save(self, phone: str, agent: str, consent: Consent, *, version: int) -> None:
        if self.load(phone, agent).version != version:
            raise Conflict("recipient")
        self._records[phone, agent] = Stored(consent, version + 1)


class MemoryReaches:
    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Reach] = {}

    def load(self, phone: str, agent: str) -> Reach | None:
        return self._known.get((phone, agent))

    def save(self, agent: str, reaches: Mapping[str, Reach]) -> None:
        self._known |= {(phone, agent): reach for phone, reach in reaches.items()}

    def forget(self, phone: str, agent: str) -> None:
        self._known.pop((phone, agent), None)


class MemoryTimers:
    def __init__(self, clock: Clock, jobs: dict[tuple[str, Any, Any], Job]) -> None:
        self._clock = clock
        self._jobs = jobs

    def arm(self, message: MessageId, *, at: datetime) -> None:
        while job := self._jobs.get((RINGS, message, at)):
            if at > self._clock.now() and not job.begun:
                return
            # It may be ringing at this moment: this is another ring (rule 6).
            at += TICK
        self._jobs[RINGS, message, at] = Job(RINGS, message, at, at)

    def disarm(self, message: MessageId, *, at: datetime) -> None:
        self._jobs.pop((RINGS, message, at), None)


class MemoryEvents:
    def __init__(
        self,
        clock: Clock,
        jobs: dict[tuple[str, Any, Any], Job],
        subscriptions: Subscriptions,
    ) -> None:
        self._clock = clock
        self._jobs = jobs
        self._subscriptions = subscriptions
        self._published = 0

    def publish(self, *events: Event) -> None:
        now = self._clock.now()
        for event in events:
            self._published += 1
            kind = event.type.kind.value
            for name, kinds in self._subscriptions.items():
                if not kinds or kind in kinds:
                    self._jobs[name, self._published, None] = Job(
                        name, event, now, now, seq=self._published
                    )
