"""What the carriers and phones remember: one SQLite file behind one lock."""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

_SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    due INTEGER NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    payload TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS jobs_due ON jobs (due, id);
CREATE INDEX IF NOT EXISTS jobs_subject ON jobs (subject) WHERE subject != '';
CREATE TABLE IF NOT EXISTS phones (number TEXT PRIMARY KEY, profile TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS inbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    phone TEXT NOT NULL,
    channel TEXT NOT NULL,
    message_id TEXT NOT NULL,
    sender TEXT NOT NULL,
    text TEXT NOT NULL,
    content TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    read_at INTEGER
);
CREATE INDEX IF NOT EXISTS inbox_phone ON inbox (phone, id);
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    phone TEXT NOT NULL,
    channel TEXT NOT NULL,
    message_id TEXT NOT NULL,
    content TEXT NOT NULL,
    sent_at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS outbox_phone ON outbox (phone, id);
CREATE TABLE IF NOT EXISTS rbm (
    agent TEXT NOT NULL,
    id TEXT NOT NULL,
    phone TEXT NOT NULL,
    state TEXT NOT NULL,
    answer TEXT NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (agent, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS rbm_waiting ON rbm (phone)
    WHERE state IN ('QUEUED', 'DELIVERED');
CREATE TABLE IF NOT EXISTS sms (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    high INTEGER NOT NULL,
    segments INTEGER NOT NULL,
    message TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS sms_queue ON sms (high DESC, position)
    WHERE state = 'QUEUED';
CREATE TABLE IF NOT EXISTS sms_legs (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    phone TEXT NOT NULL,
    state TEXT NOT NULL,
    script TEXT NOT NULL,
    error INTEGER NOT NULL DEFAULT 0,
    held INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS sms_legs_id ON sms_legs (id);
CREATE INDEX IF NOT EXISTS sms_held ON sms_legs (phone) WHERE held = 1;
CREATE TABLE IF NOT EXISTS seen (name TEXT PRIMARY KEY) WITHOUT ROWID;
"""


class Job(NamedTuple):
    """Something that happens by itself at an instant."""

    id: int
    due: int
    kind: str
    subject: str
    payload: Any


class Store:
    """One connection, one lock; nested transactions are one transaction."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        self._lock = threading.RLock()
        self._depth = 0
        self._scheduled = False
        self.on_schedule: Callable[[], None] = lambda: None

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def forget(self) -> None:
        """Begin anew; only tokens stay good."""
        with self.transaction():
            tables = self.rows("SELECT name FROM sqlite_master WHERE type = 'table'")
            for table in {row["name"] for row in tables} - {"settings"}:
                self.run(f"DELETE FROM {table}")  # noqa: S608 - a name of our own
            self.run("DELETE FROM settings WHERE name != 'tokenKey'")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All inside is kept, or nothing if it raises; other threads wait."""
        with self._lock:
            if self._depth:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            self._depth, self._scheduled = 1, False
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            else:
                self._db.execute("COMMIT")
                if self._scheduled:
                    self.on_schedule()
            finally:
                self._depth = 0

    def run(self, sql: str, *values: object) -> int:
        """Execute one statement; how many rows it changed."""
        with self._lock:
            return self._db.execute(sql, values).rowcount

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def row(self, sql: str, *values: object) -> sqlite3.Row | None:
        with self._lock:
            found: sqlite3.Row | None = self._db.execute(sql, values).fetchone()
            return found

    def first(self, name: str) -> bool:
        """Whether *name* was never asked for before."""
        return self.run("INSERT OR IGNORE INTO seen VALUES (?)", name) == 1

    def setting(self, name: str, default: Any = None) -> Any:
        row = self.row("SELECT value FROM settings WHERE name = ?", name)
        return default if row is None else json.loads(row["value"])

    def keep(self, name: str, value: Any) -> None:
        self.run(
            "INSERT OR REPLACE INTO settings VALUES (?, ?)", name, json.dumps(value)
        )

    def schedule(self, kind: str, due: int, payload: Any, *, subject: str = "") -> None:
        """Have *kind* happen at *due*; visible as soon as the transaction is."""
        self.run(
            "INSERT INTO jobs (due, kind, subject, payload) VALUES (?, ?, ?, ?)",
            due,
            kind,
            subject,
            json.dumps(payload),
        )
        self._scheduled = True

    def cancel(self, subject: str) -> None:
        """Forget all that was to happen to *subject*."""
        self.run("DELETE FROM jobs WHERE subject = ?", subject)

    def next_job(self, *, skip: set[int], full: set[str]) -> Job | None:
        """Return the earliest job, but none of *skip* and no kind of *full*."""
        row = self.row(
            "SELECT * FROM jobs"
            " WHERE id NOT IN (SELECT value FROM json_each(?))"
            " AND kind NOT IN (SELECT value FROM json_each(?))"
            " ORDER BY due, id LIMIT 1",
            json.dumps(list(skip)),
            json.dumps(list(full)),
        )
        if row is None:
            return None
        return Job(
            row["id"],
            row["due"],
            row["kind"],
            row["subject"],
            json.loads(row["payload"]),
        )

    def finish(self, job: int) -> bool:
        """Remove a job; whether it was still there."""
        return self.run("DELETE FROM jobs WHERE id = ?", job) == 1

    def postpone(self, job: int, due: int, payload: Any) -> None:
        self.run(
            "UPDATE jobs SET due = ?, payload = ? WHERE id = ?",
            due,
            json.dumps(payload),
            job,
        )

    def next_due(self) -> int | None:
        """When the earliest job is due, or was if it is being done right now."""
        row = self.row("SELECT min(due) AS due FROM jobs")
        return None if row is None else row["due"]
