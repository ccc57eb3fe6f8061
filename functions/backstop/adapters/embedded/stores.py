"""Messages, recipients, timers and events in one SQLite file."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from backstop import tracing
from backstop.adapters.embedded.database import Database
from backstop.adapters.records import (
    decode_consent,
    decode_message,
    encode,
    instant,
    make_token,
    micros,
    read_token,
)
from backstop.domain.consent import Consent
from backstop.domain.event import Event
from backstop.domain.message import Message, MessageId, Outcome
from backstop.errors import AlreadyExists, Conflict
from backstop.ports import Clock, Page, Stored

_attributes = msgspec.json.Decoder(dict[str, str]).decode


SHARE = 500
"""Rows that one commit forgets, at most: nobody waits for a clean-up."""


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """Who gets which events. `kinds` is the filter; empty means all."""

    name: str
    endpoint: str
    kinds: frozenset[str] = frozenset()

    def wants(self, event: Event) -> bool:
        return not self.kinds or event.type.kind.value in self.kinds


@dataclass(frozen=True, kw_only=True)
class Published:
    """An event as it was published."""

    seq: int
    published_at: datetime
    attributes: Mapping[str, str]
    data: bytes


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A delivery that was given up, and why."""

    subscription: str
    reason: str
    tries: int
    event: Published


class SqliteMessages:
    """Keeps messages in a table; `open` is derived when a message is saved."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, message: Message) -> int:
        row = (
            message.id,
            message.phone,
            message.agent,
            micros(message.accepted_at),
            message.outcome is Outcome.PENDING,
            _settled(message),
            encode(message),
        )

        def insert(connection: sqlite3.Connection) -> None:
            done = connection.execute(
                "INSERT OR IGNORE INTO messages VALUES (?, ?, ?, ?, ?, ?, 1, ?)", row
            )
            if not done.rowcount:
                raise AlreadyExists(message.id)

        self._database.write(insert)
        return 1

    def load(self, message: MessageId) -> Stored[Message] | None:
        rows = self._database.read(
            "SELECT state, version FROM messages WHERE id = ?", message
        )
        for state, version in rows:
            return Stored(decode_message(state), version)
        return None

    def save(self, message: Message, *, version: int) -> int:
        row = (
            message.outcome is Outcome.PENDING,
            _settled(message),
            version + 1,
            encode(message),
            message.id,
            version,
        )

        def update(connection: sqlite3.Connection) -> None:
            done = connection.execute(
                "UPDATE messages SET open = ?, settled_at = ?, version = ?, state = ?"
                " WHERE id = ? AND version = ?",
                row,
            )
            if not done.rowcount:
                raise Conflict(message.id)

        self._database.write(update)
        return version + 1

    def of_phone(self, phone: str, *, limit: int, token: str = "") -> Page:
        return self._page("phone = ? AND", (phone,), limit, token)

    def newest(self, *, limit: int, token: str = "") -> Page:
        """Return all messages, newest first: for the console of one machine."""
        return self._page("", (), limit, token)

    def open_of_phone(self, phone: str, agent: str) -> Sequence[MessageId]:
        rows = self._database.read(
            "SELECT id FROM messages WHERE phone = ? AND agent = ? AND open",
            phone,
            agent,
        )
        return [MessageId(row[0]) for row in rows]

    def _page(
        self, where: str, values: tuple[object, ...], limit: int, token: str
    ) -> Page:
        before = _before(token)
        rows = self._database.read(
            f"SELECT state FROM messages WHERE {where}"  # noqa: S608 - our own words
            " (accepted_at, id) < (?, ?) ORDER BY accepted_at DESC, id DESC LIMIT ?",
            *values,
            *before,
            limit + 1,
        )
        found = [decode_message(row[0]) for row in rows]
        shown = tuple(found[:limit])
        return Page(shown, make_token(shown[-1]) if len(found) > limit else "")


def _before(token: str) -> tuple[int, str]:
    if not token:
        return 2**63 - 1, ""
    accepted_at, message = read_token(token)
    return micros(accepted_at), message


def _settled(message: Message) -> int | None:
    return micros(message.announced_at) if message.announced_at else None


def forget_old(connection: sqlite3.Connection, *, before: datetime) -> None:
    """Delete what was settled before that instant, a bounded share at a time.

    An event that somebody has still to take is kept, a dead letter too.
    """
    share = (micros(before), SHARE)
    connection.execute(
        "DELETE FROM messages WHERE id IN"
        " (SELECT id FROM messages WHERE settled_at < ? LIMIT ?)",
        share,
    )
    connection.execute(
        "DELETE FROM events WHERE seq IN"
        " (SELECT seq FROM events WHERE published_at < ?"
        " AND seq NOT IN (SELECT seq FROM deliveries) LIMIT ?)",
        share,
    )
    connection.execute(
        "DELETE FROM reach WHERE (phone, agent) IN"
        " (SELECT phone, agent FROM reach WHERE until < ? LIMIT ?)",
        share,
    )


class SqliteRecipients:
    """Keeps consent, a row per recipient and agent."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self, phone: str, agent: str) -> Stored[Consent]:
        rows = self._database.read(
            "SELECT state, version FROM recipients WHERE phone = ? AND agent = ?",
            phone,
            agent,
        )
        for state, version in rows:
            return Stored(decode_consent(state), version)
        return Stored(Consent(), 0)

    def save(self, phone: str, agent: str, consent: Consent, *, version: int) -> None:
        state = encode(consent)

        def write(connection: sqlite3.Connection) -> None:
            if version:
                done = connection.execute(
                    "UPDATE recipients SET version = ?, state = ?"
                    " WHERE phone = ? AND agent = ? AND version = ?",
                    (version + 1, state, phone, agent, version),
                )
            else:
                done = connection.execute(
                    "INSERT OR IGNORE INTO recipients VALUES (?, ?, 1, ?)",
                    (phone, agent, state),
                )
            if not done.rowcount:
                raise Conflict("recipient")

        self._database.write(write)


class SqliteTimers:
    """Keeps timers until their ring was answered; `Dispatcher` rings them."""

    def __init__(
        self, database: Database, clock: Clock, armed: Callable[[datetime], None]
    ) -> None:
        """Say *armed* when a timer is, and for when."""
        self._database = database
        self._clock = clock
        self._armed = armed

    def arm(self, message: MessageId, *, at: datetime) -> None:
        def insert(connection: sqlite3.Connection) -> None:
            due_at = micros(at)
            now = micros(self._clock.now())
            while not connection.execute(
                "INSERT OR IGNORE INTO timers VALUES (?, ?, ?, 0)",
                (message, due_at, due_at),
            ).rowcount:
                if due_at > now:
                    return
                # It may be ringing at this moment: this is another ring (rule 6).
                due_at += 1

        self._database.write(insert)
        self._armed(at)

    def disarm(self, message: MessageId, *, at: datetime) -> None:
        key = (message, micros(at))
        self._database.write(
            lambda connection: connection.execute(
                "DELETE FROM timers WHERE message = ? AND due_at = ?", key
            )
        )

    def pending(self, limit: int) -> list[tuple[MessageId, datetime]]:
        """Return the timers that ring next, soonest first."""
        rows = self._database.read(
            "SELECT message, next_at FROM timers ORDER BY next_at LIMIT ?", limit
        )
        return [(MessageId(row[0]), instant(row[1])) for row in rows]


class SqliteEvents:
    """Keeps events, and for each subscriber what it has not yet taken."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        subscriptions: Sequence[Subscription],
        published: Callable[[], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._subscriptions = subscriptions
        self._published = published

    def publish(self, *events: Event) -> None:
        now = micros(self._clock.now())
        trace = tracing.attributes()
        rows = [
            (
                (now, encode(event.attributes() | trace), event.data),
                [s.name for s in self._subscriptions if s.wants(event)],
            )
            for event in events
        ]

        def insert(connection: sqlite3.Connection) -> None:
            for row, names in rows:
                seq = connection.execute(
                    "INSERT INTO events (published_at, attributes, data)"
                    " VALUES (?, ?, ?)",
                    row,
                ).lastrowid
                connection.executemany(
                    "INSERT INTO deliveries (seq, subscription, next_at)"
                    " VALUES (?, ?, ?)",
                    [(seq, name, now) for name in names],
                )

        self._database.write(insert)
        self._published()

    def newest(self, limit: int) -> list[Published]:
        """Return the last *limit* events, newest last."""
        rows = self._database.read(
            "SELECT seq, published_at, attributes, data FROM events"
            " ORDER BY seq DESC LIMIT ?",
            limit,
        )
        return [_published(*row) for row in reversed(rows)]

    def dead_letters(self, limit: int) -> list[DeadLetter]:
        """Return the oldest *limit* deliveries that were given up."""
        rows = self._database.read(
            "SELECT subscription, reason, tries, seq, published_at, attributes, data"
            " FROM deliveries JOIN events USING (seq) WHERE dead"
            " ORDER BY seq LIMIT ?",
            limit,
        )
        return [
            DeadLetter(
                subscription=row[0],
                reason=row[1],
                tries=row[2],
                event=_published(*row[3:]),
            )
            for row in rows
        ]

    def replay(self, seq: int, subscription: str) -> bool:
        """Deliver a dead letter again. Returns whether there was one."""
        now = micros(self._clock.now())

        def revive(connection: sqlite3.Connection) -> bool:
            return bool(
                connection.execute(
                    "UPDATE deliveries SET dead = 0, tries = 0, next_at = ?"
                    " WHERE seq = ? AND subscription = ? AND dead",
                    (now, seq, subscription),
                ).rowcount
            )

        revived = self._database.write(revive)
        self._published()
        return revived


def _published(seq: int, published_at: int, attributes: Any, data: bytes) -> Published:
    return Published(
        seq=seq,
        published_at=instant(published_at),
        attributes=_attributes(attributes),
        data=data,
    )
