"""The real SQLite adapters under the simulation's own dispatcher."""

import json
import sqlite3
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from backstop.adapters.embedded.database import Database
from backstop.adapters.embedded.reaches import SqliteReaches
from backstop.adapters.embedded.stores import (
    SqliteEvents,
    SqliteMessages,
    SqliteRecipients,
    SqliteTimers,
    Subscription,
)
from backstop.adapters.records import instant, micros
from backstop.domain.event import read_attributes
from backstop.ports import Clock
from simulation.memory import RINGS, Job


class OnDisk:
    """A database in a folder; what is due is read from its tables."""

    def __init__(
        self, folder: str, clock: Clock, subscriptions: Mapping[str, frozenset[str]]
    ) -> None:
        self.path = Path(folder) / "backstop.db"
        self._database = Database(self.path)
        subscribers = tuple(
            Subscription(name=name, endpoint="", kinds=kinds)
            for name, kinds in subscriptions.items()
        )
        self.messages = SqliteMessages(self._database)
        self.recipients = SqliteRecipients(self._database)
        self.reaches = SqliteReaches(self._database)
        self.timers = SqliteTimers(self._database, clock, lambda _at: None)
        self.events = SqliteEvents(self._database, clock, subscribers, lambda: None)

    def due(self, now: datetime) -> list[Job]:
        at = micros(now)
        jobs = [
            Job(RINGS, message, instant(due), instant(next_at), tries=tries)
            for message, due, next_at, tries in self._database.read(
                "SELECT message, due_at, next_at, tries FROM timers WHERE next_at <= ?"
                " ORDER BY next_at, message, due_at",
                at,
            )
        ]
        for (
            seq,
            name,
            next_at,
            tries,
            published,
            attributes,
            data,
        ) in self._database.read(
            "SELECT seq, subscription, next_at, tries, published_at, attributes,"
            " data FROM deliveries JOIN events USING (seq)"
            " WHERE next_at <= ? AND NOT dead ORDER BY next_at, seq, subscription",
            at,
        ):
            event = read_attributes(json.loads(attributes), data)
            when = instant(published)
            jobs.append(Job(name, event, when, instant(next_at), seq=seq, tries=tries))
        return jobs

    def next_at(self) -> datetime | None:
        [(at,)] = self._database.read(
            "SELECT min(at) FROM (SELECT min(next_at) AS at FROM timers"
            " UNION ALL SELECT min(next_at) FROM deliveries WHERE NOT dead)"
        )
        return None if at is None else instant(at)

    def put_off(self, job: Job, until: datetime) -> None:
        at = micros(until)

        def update(connection: sqlite3.Connection) -> None:
            if job.lane == RINGS:
                connection.execute(
                    "UPDATE timers SET next_at = ?, tries = ?"
                    " WHERE message = ? AND due_at = ?",
                    (at, job.tries, job.subject, micros(job.due_at)),
                )
            else:
                connection.execute(
                    "UPDATE deliveries SET next_at = ?, tries = ?"
                    " WHERE seq = ? AND subscription = ?",
                    (at, job.tries, job.seq, job.lane),
                )

        self._database.write(update)

    def finish(self, job: Job) -> None:
        def delete(connection: sqlite3.Connection) -> None:
            if job.lane == RINGS:
                connection.execute(
                    "DELETE FROM timers WHERE message = ? AND due_at = ?",
                    (job.subject, micros(job.due_at)),
                )
            else:
                connection.execute(
                    "DELETE FROM deliveries WHERE seq = ? AND subscription = ?",
                    (job.seq, job.lane),
                )

        self._database.write(delete)

    def bury(self, job: Job) -> None:
        raise AssertionError(f"a dead letter: {job}")

    def armed(self, message: str) -> bool:
        return bool(
            self._database.read(
                "SELECT 1 FROM timers WHERE message = ? LIMIT 1", message
            )
        )

    def pushing(self) -> bool:
        return bool(self._database.read("SELECT 1 FROM deliveries LIMIT 1"))

    def left(self, before: datetime) -> int:
        [(rings,)] = self._database.read("SELECT count(*) FROM timers")
        [(pushes,)] = self._database.read(
            "SELECT count(*) FROM deliveries JOIN events USING (seq)"
            " WHERE published_at < ?",
            micros(before),
        )
        return int(rings + pushes)

    def close(self) -> None:
        self._database.close()
