"""One SQLite file with one writer.

A connection per thread loses seconds to SQLite's lock back-off, and a commit
per request is bound by the disk. So all changes go through one connection, in
groups that are flushed before anyone is answered.
"""

import asyncio
import fcntl
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

from backstop.errors import Unavailable
from backstop.fibres import Outcome, Promise, bring, lender

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
"""Changes after which a commit waits for no more."""

PATIENCE = 5000
"""Milliseconds for which a stranger who holds the file is waited for."""

Change = Callable[[sqlite3.Connection], T]
"""What is done to the file. It may be done twice, if its group is, and then anew."""


class _Item(NamedTuple):
    """A change that is asked for, and the loop that it is asked on, if it is one."""

    change: Change[Any]
    done: Promise[Any]
    loop: asyncio.AbstractEventLoop | None


class InUse(Exception):  # noqa: N818 - named for what happened
    """Another process works on this state."""


class Database:
    """Runs changes one after the other, and returns when they are flushed.

    The changes of an event loop run on that loop: a thread would wait for the
    interpreter at each of their statements, up to 5 ms where the loop is busy. A
    thread waits for the disk, and runs the changes of other threads.
    """

    def __init__(self, path: Path) -> None:
        """Open *path*, creating it if need be. Raises InUse, OSError, sqlite3.Error."""
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
        # SQLite opens what may only be read, and would refuse every change later.
        path.open("ab").close()
        # Taken and put back, so that as many are open as ever read at once.
        self._idle: deque[sqlite3.Connection] = deque()
        self._asked: dict[asyncio.AbstractEventLoop, list[_Item]] = {}
        # Guards these three. The writer is of whoever made `_open` true.
        self._guard = threading.Lock()
        self._waiting: list[_Item] = []
        self._open = self._closed = False
        self._writer = self._connect()
        self._writer.execute("PRAGMA journal_mode = WAL")
        self._writer.execute("PRAGMA synchronous = FULL")
        self._writer.executescript(SCHEMA)
        self._writer.execute("PRAGMA busy_timeout = 0")
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="writer", daemon=True)
        self._thread.start()

    def write(self, change: Change[T]) -> T:
        """Run *change* in a commit, and return its result once that is flushed.

        Raises what *change* raised (then nothing of it is kept), or Unavailable
        when it could not be committed.
        """
        return self._ask(change, lender()).wait()

    def begin(self, change: Change[T]) -> Promise[T]:
        """Begin what `write` waits for, to be awaited. Raises Unavailable if closed."""
        return self._ask(change, asyncio.get_running_loop())

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
        """Finish what waits, take in nothing more, and let go of the file."""
        with self._guard:
            self._closed = True
        self._jobs.put(None)
        self._thread.join()
        while self._idle:
            self._idle.pop().close()
        self._writer.close()
        self._lock.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False
        )
        connection.execute(f"PRAGMA busy_timeout = {PATIENCE}")
        return connection

    def _ask(
        self, change: Change[T], loop: asyncio.AbstractEventLoop | None
    ) -> Promise[T]:
        if self._closed:
            raise Unavailable("closed")
        done: Promise[T] = Promise(loop)
        item = _Item(change, done, loop)
        if loop is None:
            self._wait([item])
            self._jobs.put(self._begin)
            return done
        asked = self._asked.setdefault(loop, [])
        asked.append(item)
        if len(asked) == 1:
            # What else this turn of the loop asks for comes along: to wake the thread
            # is dearer than most changes.
            loop.call_soon(self._turn, loop)
        return done

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._wait(self._asked.pop(loop))
        self._begin(patient=False)

    def _wait(self, items: list[_Item]) -> None:
        with self._guard:
            if not self._closed:
                self._waiting += items
                return
        bring((item.done, None, Unavailable("closed")) for item in items)

    def _begin(self, *, patient: bool = True) -> None:
        """Do what waits, unless others are being done: their end begins the next.

        Only the thread may be *patient* with a stranger who holds the file.
        """
        with self._guard:
            if self._open or not self._waiting:
                return
            self._open = True
            group, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
        self._do(group, patient=patient)

    def _do(self, group: list[_Item], *, patient: bool) -> None:
        try:
            self._enter(patient=patient)
            outcomes = self._outcomes(group)
        except sqlite3.Error as error:
            if not patient and _is_busy(error):
                self._jobs.put(partial(self._do, group, patient=True))
            else:
                self._jobs.put(partial(self._answer, self._failed(group, error)))
        else:
            self._jobs.put(partial(self._flush, group, outcomes))

    def _enter(self, *, patient: bool) -> None:
        if patient:
            self._writer.execute(f"PRAGMA busy_timeout = {PATIENCE}")
        try:
            self._writer.execute("BEGIN IMMEDIATE")
        finally:
            if patient:
                self._writer.execute("PRAGMA busy_timeout = 0")

    def _outcomes(self, group: list[_Item]) -> list[Outcome]:
        try:
            return [(item.done, item.change(self._writer), None) for item in group]
        except Exception:  # noqa: BLE001 - whose it is shows when each is done apart
            self._roll_back()
            self._enter(patient=False)
            return [_apart(self._writer, item) for item in group]

    def _flush(self, group: list[_Item], outcomes: list[Outcome]) -> None:
        try:
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            outcomes = self._failed(group, error)
        self._answer(outcomes)

    def _answer(self, outcomes: list[Outcome]) -> None:
        """Tell what came of a group, and let the next be done."""
        with self._guard:
            self._open = False
            waiting = self._waiting[:1]
        bring(outcomes)
        for item in waiting:
            self._begin_on(item.loop)

    def _begin_on(self, loop: asyncio.AbstractEventLoop | None) -> None:
        # A loop that was closed begins nothing.
        with suppress(RuntimeError):
            if loop:
                loop.call_soon_threadsafe(partial(self._begin, patient=False))
                return
        self._begin()

    def _failed(self, group: list[_Item], error: sqlite3.Error) -> list[Outcome]:
        # If that fails as well, so will the next group's beginning.
        with suppress(sqlite3.Error):
            self._roll_back()
        return [(item.done, None, _told(error)) for item in group]

    def _roll_back(self) -> None:
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")

    def _serve(self) -> None:
        """Be the thread. When there is nothing more to come, it does what waits."""
        while job := self._jobs.get():
            job()
        self._begin()
        while self._open:
            if job := self._jobs.get():
                job()
            self._begin()


def _apart(connection: sqlite3.Connection, item: _Item) -> Outcome:
    """Do one change so that its failure is its caller's alone.

    That takes two statements more, for what nearly never happens.
    """
    connection.execute("SAVEPOINT one")
    outcome: Outcome
    try:
        outcome = item.done, item.change(connection), None
    except Exception as error:  # noqa: BLE001 - it is the caller's
        connection.execute("ROLLBACK TO one")
        outcome = item.done, None, _told(error)
    connection.execute("RELEASE one")
    return outcome


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_BUSY


def _told(error: BaseException) -> BaseException:
    """Return what the caller is told of *error*."""
    return Unavailable(str(error)) if isinstance(error, sqlite3.Error) else error
