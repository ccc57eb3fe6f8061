"""One SQLite file with one writer.

A connection per thread loses seconds to SQLite's lock back-off, and a commit
per request is bound by the disk. So every change goes through one thread that
commits in groups and flushes before anyone is answered.
"""

import fcntl
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from backstop.errors import Unavailable

T = TypeVar("T")

SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    id TEXT PRIMARY KEY,
    phone TEXT NOT NULL,
    agent TEXT NOT NULL,
    accepted_at INTEGER NOT NULL,
    open INTEGER NOT NULL,
    settled_at INTEGER,
    version INTEGER NOT NULL,
    state BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_of_phone ON messages (phone, accepted_at, id);
CREATE INDEX IF NOT EXISTS messages_newest ON messages (accepted_at, id);
CREATE INDEX IF NOT EXISTS messages_open ON messages (phone, agent) WHERE open;
CREATE INDEX IF NOT EXISTS messages_settled ON messages (settled_at)
    WHERE settled_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS recipients (
    phone TEXT NOT NULL,
    agent TEXT NOT NULL,
    version INTEGER NOT NULL,
    state BLOB NOT NULL,
    PRIMARY KEY (phone, agent)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reach (
    phone TEXT NOT NULL,
    agent TEXT NOT NULL,
    until INTEGER NOT NULL,
    state BLOB NOT NULL,
    PRIMARY KEY (phone, agent)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS reach_until ON reach (until);
CREATE TABLE IF NOT EXISTS timers (
    message TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (message, due_at)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS timers_next ON timers (next_at);
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    published_at INTEGER NOT NULL,
    attributes BLOB NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS events_published ON events (published_at);
CREATE TABLE IF NOT EXISTS deliveries (
    seq INTEGER NOT NULL,
    subscription TEXT NOT NULL,
    next_at INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    dead INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (seq, subscription)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS deliveries_next
    ON deliveries (subscription, next_at) WHERE NOT dead;
CREATE INDEX IF NOT EXISTS deliveries_dead ON deliveries (seq) WHERE dead;
"""

GROUP = 256
"""Changes in one commit, at most."""

Change = Callable[[sqlite3.Connection], T]


class InUse(Exception):  # noqa: N818 - named for what happened
    """Another process works on this state."""


class Database:
    """Runs changes one after the other, and returns when they are flushed."""

    def __init__(self, path: Path) -> None:
        """Open *path*, creating it if need be. Raises InUse."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._lock = path.with_suffix(".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise InUse(f"{path} is in use by another Backstop; stop it first") from (
                error
            )
        # Taken and put back, so that as many are open as ever read at once.
        self._idle: deque[sqlite3.Connection] = deque()
        self._queue: SimpleQueue[tuple[Change[object], Future[object]] | None] = (
            SimpleQueue()
        )
        self._writer = self._connect()
        self._writer.execute("PRAGMA journal_mode = WAL")
        self._writer.execute("PRAGMA synchronous = FULL")
        self._writer.executescript(SCHEMA)
        self._thread = threading.Thread(target=self._write, name="writer", daemon=True)
        self._thread.start()

    def write(self, change: Change[T]) -> T:
        """Run *change* in a commit, and return its result once that is flushed.

        Raises what *change* raised (then nothing of it is kept), or Unavailable
        when it could not be committed.
        """
        return self.begin(change).result()

    def begin(self, change: Change[T]) -> Future[T]:
        """Begin what `write` waits for. Raises Unavailable, when it is closed."""
        if not self._thread.is_alive():
            raise Unavailable("closed")
        done: Future[T] = Future()
        self._queue.put((change, done))  # type: ignore[arg-type]
        return done

    def read(self, query: str, *values: object) -> list[Any]:
        """Return the rows of *query* over what is committed. Raises Unavailable."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
            connection.execute("PRAGMA query_only = 1")
        try:
            return connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise Unavailable(str(error)) from error
        finally:
            self._idle.append(connection)

    def close(self) -> None:
        """Finish what was begun, and let go of the file."""
        self._queue.put(None)
        self._thread.join()
        while self._idle:
            self._idle.pop().close()
        self._writer.close()
        self._lock.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA busy_timeout = 5000")
        return connection

    def _write(self) -> None:
        closing = False
        while not closing:
            group = [self._queue.get()]
            while len(group) < GROUP:
                try:
                    group.append(self._queue.get_nowait())
                except Empty:
                    break
            closing = None in group
            self._commit([item for item in group if item is not None])
        while not self._queue.empty():
            late = self._queue.get()
            if late:
                late[1].set_exception(Unavailable("closed"))

    def _commit(self, group: list[tuple[Change[object], Future[object]]]) -> None:
        results: list[tuple[Future[object], object, BaseException | None]] = []
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for change, done in group:
                self._writer.execute("SAVEPOINT one")
                try:
                    results.append((done, change(self._writer), None))
                except Exception as error:  # noqa: BLE001 - it is the caller's
                    self._writer.execute("ROLLBACK TO one")
                    results.append((done, None, error))
                self._writer.execute("RELEASE one")
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            for _change, done in group:
                done.set_exception(_told(error))
            return
        for done, result, failure in results:
            if failure is None:
                done.set_result(result)
            else:
                done.set_exception(_told(failure))


def _told(error: BaseException) -> BaseException:
    """Return what the caller is told of *error*."""
    return Unavailable(str(error)) if isinstance(error, sqlite3.Error) else error
