"""What the server remembers: queues, tasks and the names used recently."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc

from .rules import (
    DAY,
    GONE,
    NAME_IN_USE,
    NO_ENTITY,
    NO_QUEUE,
    QUEUE_GONE,
    QUEUE_IN_USE,
    Queue,
    RefusedError,
    Task,
    not_found,
    split,
)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS queues (name TEXT PRIMARY KEY, queue BLOB, gone INTEGER);
CREATE TABLE IF NOT EXISTS tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    due INTEGER NOT NULL,
    under_way INTEGER NOT NULL DEFAULT 0,
    executions INTEGER NOT NULL DEFAULT 0,
    status INTEGER,
    task BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS tasks_due ON tasks (queue, due, id) WHERE under_way = 0;
CREATE INDEX IF NOT EXISTS tasks_list ON tasks (queue, id);
CREATE TABLE IF NOT EXISTS gone (name TEXT PRIMARY KEY, at INTEGER) WITHOUT ROWID;
UPDATE tasks SET under_way = 0 WHERE under_way = 1;
"""
_QUEUE_BLOCKED = 7 * DAY
_UNKNOWN = 2


class Attempt(NamedTuple):
    """A task about to be dispatched, and what its headers tell of earlier attempts."""

    id: int
    queue: str
    task: Any
    executions: int
    status: int | None


class Outcome(NamedTuple):
    """What came of an attempt; without an answer the status is a gateway's."""

    status: int
    answered: bool
    retry_after: int = 0


class Book:
    """One connection behind one lock, in a file or in memory.

    The task's message is its own record. Whoever holds `lock` sees no half of a
    change. A name is kept after its task for *tombstone*.
    """

    def __init__(self, path: Path | None, tombstone: int) -> None:
        self.tombstone = tombstone
        self.lock = threading.RLock()
        self._db = sqlite3.connect(
            path or ":memory:", check_same_thread=False, isolation_level=None
        )
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        self._depth = 0
        self._queues: dict[str, Any] = {
            name: Queue.FromString(blob)
            for name, blob in self._db.execute(
                "SELECT name, queue FROM queues WHERE gone IS NULL"
            )
        }

    def close(self) -> None:
        with self.lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self.lock:
            if self._depth:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            else:
                self._db.execute("COMMIT")
            finally:
                self._depth = 0

    # Queues

    def queues(self) -> list[Any]:
        with self.lock:
            return list(self._queues.values())

    def queue(self, name: str) -> Any:
        with self.lock:
            if name not in self._queues:
                raise not_found(NO_QUEUE)
            return self._queues[name]

    def set_queue(self, queue: Any) -> None:
        """Have this queue; one that is there goes on in its state."""
        with self.transaction():
            if (old := self._queues.get(queue.name)) is not None:
                queue.state = old.state
                if old.HasField("purge_time"):
                    queue.purge_time.CopyFrom(old.purge_time)
            self._keep(queue)

    def add_queue(self, queue: Any, now: int) -> None:
        with self.transaction():
            row = self._row("SELECT gone FROM queues WHERE name = ?", queue.name)
            if row is not None and row[0] is None:
                raise RefusedError(grpc.StatusCode.ALREADY_EXISTS, QUEUE_IN_USE)
            if row is not None and now < row[0] + _QUEUE_BLOCKED:
                raise RefusedError(grpc.StatusCode.FAILED_PRECONDITION, QUEUE_GONE)
            self._keep(queue)

    def delete_queue(self, name: str, now: int) -> None:
        with self.transaction():
            if name not in self._queues:
                raise not_found(NO_ENTITY)
            self._clear(name, now)
            self._run("UPDATE queues SET gone = ? WHERE name = ?", now, name)
            del self._queues[name]

    def purge(self, name: str, now: int) -> Any:
        with self.transaction():
            queue = self.queue(name)
            self._clear(name, now)
            queue.purge_time.FromMicroseconds(now)
            self._keep(queue)
            return queue

    def set_state(self, name: str, state: Any) -> Any:
        with self.transaction():
            queue = self.queue(name)
            queue.state = state
            self._keep(queue)
            return queue

    # Tasks

    def add(self, task: Any, now: int) -> None:
        """Store a new task, or refuse its name."""
        queue, _ = split(task.name)
        with self.transaction():
            self.queue(queue)
            if self._exists(task.name) or self._recent(task.name, now):
                raise RefusedError(grpc.StatusCode.ALREADY_EXISTS, NAME_IN_USE)
            self._run(
                "INSERT INTO tasks (queue, name, due, task) VALUES (?, ?, ?, ?)",
                queue,
                task.name,
                task.schedule_time.ToMicroseconds(),
                task.SerializeToString(),
            )

    def find(self, name: str, now: int) -> Any:
        split(name)
        with self.lock:
            row = self._row("SELECT task FROM tasks WHERE name = ?", name)
            if row is None:
                raise not_found(GONE if self._recent(name, now) else NO_ENTITY)
            return Task.FromString(row[0])

    def page(self, queue: str, after: int, size: int) -> list[tuple[int, Any]]:
        """Return tasks with their positions, from the position *after* on."""
        with self.lock:
            self.queue(queue)
            rows = self._db.execute(
                "SELECT id, task FROM tasks WHERE queue = ? AND id > ?"
                " ORDER BY id LIMIT ?",
                (queue, after, size),
            )
            return [(row[0], Task.FromString(row[1])) for row in rows]

    def delete(self, name: str, now: int) -> None:
        split(name)
        with self.transaction():
            if not self._exists(name):
                raise not_found(NO_ENTITY)
            self._run("DELETE FROM tasks WHERE name = ?", name)
            self._bury(name, now)

    def number(self, name: str) -> int:
        """Return the id of a task that is there."""
        split(name)
        with self.lock:
            row = self._row("SELECT id FROM tasks WHERE name = ?", name)
            if row is None:
                raise not_found(NO_ENTITY)
            return int(row[0])

    def soonest(self, queue: str, size: int) -> list[Any]:
        """Return the tasks of a queue by the instant at which they may ring."""
        with self.lock:
            rows = self._db.execute(
                "SELECT task FROM tasks WHERE queue = ? ORDER BY due, id LIMIT ?",
                (queue, size),
            )
            return [Task.FromString(row[0]) for row in rows]

    # Attempts

    def due(self, queue: str, until: int, most: int) -> list[int]:
        """Return the ids of tasks that wait since *until* or longer, oldest first."""
        with self.lock:
            rows = self._db.execute(
                "SELECT id FROM tasks WHERE queue = ? AND due <= ? AND under_way = 0"
                " ORDER BY due, id LIMIT ?",
                (queue, until, most),
            )
            return [row[0] for row in rows]

    def earliest(self, queue: str) -> int | None:
        with self.lock:
            row = self._row(
                "SELECT min(due) FROM tasks WHERE queue = ? AND under_way = 0", queue
            )
            return None if row is None else row[0]

    def begin(self, number: int, now: int) -> Attempt:
        """Note that a task is dispatched, so that a crash does not hide it."""
        with self.transaction():
            queue, executions, status, blob = self._row(
                "SELECT queue, executions, status, task FROM tasks WHERE id = ?", number
            )
            task = Task.FromString(blob)
            task.dispatch_count += 1
            if not task.HasField("first_attempt"):
                task.first_attempt.dispatch_time.FromMicroseconds(now)
            task.last_attempt.Clear()
            task.last_attempt.schedule_time.CopyFrom(task.schedule_time)
            task.last_attempt.dispatch_time.FromMicroseconds(now)
            self._run(
                "UPDATE tasks SET under_way = 1, task = ? WHERE id = ?",
                task.SerializeToString(),
                number,
            )
            return Attempt(number, queue, task, executions, status)

    def finish(self, attempt: Attempt, now: int) -> None:
        """Forget a task that is done or given up, if it is still there."""
        with self.transaction():
            if self._run("DELETE FROM tasks WHERE id = ?", attempt.id):
                self._bury(attempt.task.name, now)

    def postpone(self, attempt: Attempt, outcome: Outcome, now: int, due: int) -> None:
        """Have a task tried again at *due*, if it is still there."""
        with self.transaction():
            row = self._row("SELECT task FROM tasks WHERE id = ?", attempt.id)
            if row is None:
                return
            task = Task.FromString(row[0])
            task.schedule_time.FromMicroseconds(due)
            last = task.last_attempt
            last.response_time.FromMicroseconds(now)
            last.response_status.code = _UNKNOWN
            last.response_status.message = f"HTTP status code {outcome.status}"
            task.response_count += outcome.answered
            # The real header leaves out 5xx, contrary to the task's own count.
            executed = outcome.answered and outcome.status < 500  # noqa: PLR2004
            self._run(
                "UPDATE tasks SET due = ?, under_way = 0, status = ?, task = ?,"
                " executions = executions + ? WHERE id = ?",
                due,
                outcome.status,
                task.SerializeToString(),
                executed,
                attempt.id,
            )

    def _keep(self, queue: Any) -> None:
        self._run(
            "INSERT OR REPLACE INTO queues VALUES (?, ?, NULL)",
            queue.name,
            queue.SerializeToString(),
        )
        self._queues[queue.name] = queue

    def _clear(self, queue: str, now: int) -> None:
        self._run(
            "INSERT OR REPLACE INTO gone SELECT name, ? FROM tasks WHERE queue = ?",
            now,
            queue,
        )
        self._run("DELETE FROM tasks WHERE queue = ?", queue)

    def _bury(self, name: str, now: int) -> None:
        self._run("INSERT OR REPLACE INTO gone VALUES (?, ?)", name, now)

    def _exists(self, name: str) -> bool:
        return self._row("SELECT 1 FROM tasks WHERE name = ?", name) is not None

    def _recent(self, name: str, now: int) -> bool:
        row = self._row("SELECT at FROM gone WHERE name = ?", name)
        return row is not None and now < row[0] + self.tombstone

    def _run(self, sql: str, *values: object) -> int:
        return self._db.execute(sql, values).rowcount

    def _row(self, sql: str, *values: object) -> Any:
        return self._db.execute(sql, values).fetchone()
