"""The use cases over the embedded stores, call by call, with a death in between.

The desk plays the platform: it rings what is due, pushes what was published,
and keeps both until the use case returned. A `Death` is the process dying: all
that was in memory is gone, and whoever was not answered comes again.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from backstop.adapters.embedded.database import Database
from backstop.adapters.embedded.stores import (
    SqliteEvents,
    SqliteMessages,
    SqliteRecipients,
    SqliteTimers,
    Subscription,
)
from backstop.adapters.records import instant, micros
from backstop.domain import event as events
from backstop.domain.consent import Choice
from backstop.domain.event import Event, Type, event_id, read_attributes
from backstop.domain.message import (
    Contract,
    Json,
    Message,
    MessageId,
    Policy,
    Request,
    Terms,
    Traffic,
    message_key,
)
from backstop.domain.queued import Queued
from backstop.domain.signal import Kind, Signal
from backstop.errors import Refusal, Refused, Unanswered
from backstop.ports import Ports, Stored
from backstop.usecases.accept import Order, accept
from backstop.usecases.consent import consent
from backstop.usecases.follow import NotYet, acknowledge, cancel, report, ring

START = datetime(2026, 1, 1, tzinfo=UTC)
PHONE = "+15551230001"
AGENT = "agent"

SUBSCRIPTIONS = (
    Subscription(name="fallback", endpoint="", kinds=frozenset({"expiry", "due"})),
    Subscription(name="record", endpoint="", kinds=frozenset({"receipt", "inbound"})),
)

SIGNALS = {
    events.RCS_DELIVERED: Kind.RCS_DELIVERED,
    events.RCS_EXPIRED: Kind.RCS_EXPIRED,
    events.RCS_EXPIRY_FAILED: Kind.RCS_EXPIRY_FAILED,
    events.SMS_DELIVERED: Kind.SMS_DELIVERED,
    events.SMS_DUE: Kind.HANDED_OVER,
}


class Death(BaseException):
    """The process dies here."""


@dataclass
class Fate:
    """Counts the calls that cross a port; one of them is the last.

    `meanwhile` is what else happens just before the named call, once.
    """

    last: int = 0
    after: bool = False
    calls: int = 0
    names: list[str] = field(default_factory=list)
    meanwhile: dict[str, Callable[[], Any]] = field(default_factory=dict)

    def call(self, name: str, do: Callable[[], Any]) -> Any:
        self.calls += 1
        self.names.append(name)
        self.meanwhile.pop(name, lambda: None)()
        if self.calls == self.last and not self.after:
            raise Death
        answer = do()
        if self.calls == self.last:
            raise Death
        return answer


class Mortal:
    """A port whose every call may be the last."""

    def __init__(self, port: object, name: str, fate: Fate) -> None:
        self._port = port
        self._name = name
        self._fate = fate

    def __getattr__(self, method: str) -> Callable[..., Any]:
        do = getattr(self._port, method)
        name = f"{self._name}.{method}"
        return lambda *args, **more: self._fate.call(name, lambda: do(*args, **more))


class Clock:
    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at


class Even:
    """Jitter that is always the same."""

    def random(self) -> float:
        return 0.5

    def new_id(self) -> str:
        return "made"


@dataclass
class Carriers:
    """RBM and an SMS provider with one behaviour each; `texts` left for real."""

    clock: Clock
    rcs: str = "online"
    sms: str = "ok"
    contract: Contract = Contract.CONFIRMING
    queued: bool = False
    delivered: bool = False
    expired: bool = False
    texts: list[tuple[datetime, str]] = field(default_factory=list)
    deletes: list[datetime] = field(default_factory=list)
    pending: list[Event] = field(default_factory=list)

    def create(self, **_what: Any) -> None:
        if self.rcs == "unreachable":
            raise Refused("404", refusal=Refusal.UNREACHABLE)
        if not (self.queued or self.delivered):
            self.queued = True
            if self.rcs == "online":
                self.deliver()

    def revoke(self, **_what: Any) -> None:
        self.deletes.append(self.clock.now())
        if self.contract is Contract.LEGACY or self.queued:
            self.queued = False
            return
        raise Refused("404", refusal=Refusal.WITHDRAWAL_FAILED)

    def send(self, *, tag: str, **_what: Any) -> Queued:
        if self.sms == "lost":
            raise Unanswered("reset")
        self.texts.append((self.clock.now(), tag))
        number = len(self.texts)
        attempt = int(tag.rpartition("/")[2])
        self.report(events.SMS_DELIVERED, str(number), attempt)
        if self.sms == "unanswered":
            raise Unanswered("reset")
        return Queued(f"id-{number}", 1)

    def deliver(self) -> None:
        self.queued, self.delivered = False, True
        self.report(events.RCS_DELIVERED, "rcs")

    def expire(self) -> None:
        """What RBM does at `expireTime`."""
        if self.queued and self.rcs != "silent" and not self.expired:
            self.expired = True
            self.queued = False
            self.report(events.RCS_EXPIRED, "ttl")

    def report(self, kind: Type, unique: str, attempt: int = 0) -> None:
        self.pending.append(
            Event(
                id=event_id(kind.name, unique),
                type=kind,
                time=self.clock.now(),
                data=b"{}",
                agent=AGENT,
                message_id="one",
                attempt=attempt,
            )
        )


class Desk:
    """One message's world."""

    def __init__(
        self,
        path: Path,
        *,
        policy: Policy = Policy.CONFIRMED,
        contract: Contract = Contract.CONFIRMING,
        traffic: Traffic = Traffic.TRANSACTION,
        rcs: str = "online",
        sms: str = "ok",
        fate: Fate | None = None,
    ) -> None:
        self.clock = Clock()
        self.fate = fate or Fate()
        self.lines: list[tuple[str, Mapping[str, object]]] = []
        self.database = Database(path)
        self.carriers = Carriers(self.clock, rcs=rcs, sms=sms, contract=contract)
        self.key = message_key(AGENT, "one")
        self._policy = policy
        self._contract = contract
        self._traffic = traffic
        self.messages = SqliteMessages(self.database)
        self._events = SqliteEvents(
            self.database, self.clock, SUBSCRIPTIONS, lambda: None
        )
        self._timers = SqliteTimers(self.database, self.clock, lambda _at: None)

    def close(self) -> None:
        self.database.close()

    def ports(self, *, rcs: bool = False, sms: bool = False) -> Ports:
        def mortal(port: object, name: str) -> Any:
            return Mortal(port, name, self.fate)

        return Ports(
            messages=mortal(self.messages, "messages"),
            recipients=mortal(SqliteRecipients(self.database), "recipients"),
            timers=mortal(self._timers, "timers"),
            events=mortal(self._events, "events"),
            clock=self.clock,
            random=Even(),
            log=lambda message, fields: self.lines.append((message, fields)),
            rcs=mortal(self.carriers, "rcs") if rcs else None,
            sms=mortal(self.carriers, "sms") if sms else None,
        )

    def order(self) -> Order:
        prompt = self._policy is Policy.PROMPT
        return Order(
            agent=AGENT,
            message_id="one",
            phone=PHONE,
            at=self.clock.now(),
            request=Request(
                digest="body",
                content={"text": "Hello"},
                traffic=self._traffic,
                sender="+15550100001",
                text="Hello",
            ),
            terms=Terms(
                policy=self._policy,
                contract=self._contract,
                deadline=START + timedelta(minutes=10),
                margin=timedelta(seconds=5),
                grace=timedelta(seconds=60),
                lost_answer=timedelta(seconds=30 if prompt else 900),
                receipt_wait=timedelta(hours=2, minutes=15),
                sms_validity=timedelta(minutes=10),
            ),
        )

    def survive(self, trigger: Callable[[], Any]) -> Any:
        """Call until it is answered: callers and queues come again."""
        while True:
            try:
                return trigger()
            except (Death, NotYet):
                self.clock.at += timedelta(seconds=1)

    def send(self) -> Message:
        sent: Message = self.survive(lambda: accept(self.ports(rcs=True), self.order()))
        return sent

    def cancel(self) -> None:
        self._say(cancel)

    def acknowledge(self) -> None:
        self._say(acknowledge)

    def _say(self, word: Callable[[Ports, Stored[Message]], Message]) -> None:
        def say() -> None:
            ports = self.ports(rcs=True)
            found = ports.messages.load(self.key)
            assert found
            word(ports, found)

        self.survive(say)

    def opt_out(self) -> None:
        choice = Choice(
            phone=PHONE,
            agent=AGENT,
            opted_in=False,
            at=self.clock.now(),
            evidence="e",
            channel="RCS",
        )
        self.survive(lambda: consent(self.ports(), choice, [AGENT]))

    def run(self, until: timedelta = timedelta(hours=6)) -> None:
        """Let time pass from one due instant to the next."""
        end = START + until
        while True:
            if self.clock.now() >= START + timedelta(minutes=10):
                self.carriers.expire()
            if self._step():
                continue
            ahead = self._next()
            if ahead is None or ahead > end:
                return
            self.clock.at = max(self.clock.at, ahead)

    def said(self, message: str) -> list[Mapping[str, object]]:
        """Return what the lines of that name say, first first."""
        return [fields for name, fields in self.lines if name == message]

    def message(self) -> Message:
        stored = self.messages.load(self.key)
        assert stored
        return stored.value

    def rows(self, query: str, *values: object) -> Sequence[Any]:
        return self.database.read(query, *values)

    def _step(self) -> bool:
        """Do one thing that is due. Returns whether there was any."""
        if self.carriers.pending:
            self._events.publish(self.carriers.pending.pop(0))
            return True
        now = micros(self.clock.now())
        for message, due_at in self.rows(
            "SELECT message, due_at FROM timers WHERE next_at <= ? LIMIT 1", now
        ):
            self._ring(MessageId(message), instant(due_at))
            self._forget("timers", "message = ? AND due_at = ?", message, due_at)
            return True
        for seq, name, attributes, data in self.rows(
            "SELECT seq, subscription, attributes, data"
            " FROM deliveries JOIN events USING (seq) LIMIT 1"
        ):
            self._push(name, read_attributes(_json(attributes), data))
            self._forget("deliveries", "seq = ? AND subscription = ?", seq, name)
            return True
        return False

    def _ring(self, message: MessageId, due_at: datetime) -> None:
        self.survive(lambda: ring(self.ports(rcs=True), message, due_at=due_at))

    def _push(self, name: str, event: Event) -> None:
        def read(event: Event) -> Signal:
            kind = SIGNALS[event.type]
            signal = Signal(kind=kind, at=event.time, attempt=event.attempt)
            return (
                signal if kind is Kind.HANDED_OVER else replace(signal, event=event.id)
            )

        fallback = name == "fallback"
        self.survive(lambda: report(self.ports(sms=fallback), event, read))

    def _forget(self, table: str, where: str, *values: object) -> None:
        def delete(connection: sqlite3.Connection) -> None:
            connection.execute(f"DELETE FROM {table} WHERE {where}", values)  # noqa: S608

        self.database.write(delete)

    def _next(self) -> datetime | None:
        times = [instant(at) for (at,) in self.rows("SELECT next_at FROM timers")]
        if self.carriers.queued and self.carriers.rcs == "offline":
            times.append(max(self.clock.now(), START + timedelta(minutes=10)))
        return min(times, default=None)


def _json(raw: bytes) -> Json:
    import json

    return dict(json.loads(raw))
