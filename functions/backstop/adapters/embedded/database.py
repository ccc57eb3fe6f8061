"""One SQLite file with one writer.

A connection per thread loses seconds to SQLite's lock back-off, and a commit
per request is bound by the disk. So every change goes through one thread that
commits in groups and flushes before anyone is answered.
"""

import asyncio
import fcntl
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

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

Change = Callable[[sqlite3.Connection], T]
"""What is done to the file. It may be done twice, if its group is, and then anew."""

_Item = tuple[Change[Any], Promise[Any]]


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
        self._queue: SimpleQueue[list[_Item] | None] = SimpleQueue()
        self._begun: dict[asyncio.AbstractEventLoop, list[_Item]] = {}
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
        return self._put(change, lender()).wait()

    def begin(self, change: Change[T]) -> Promise[T]:
        """Begin what `write` waits for, to be awaited. Raises Unavailable if closed."""
        return self._put(change, asyncio.get_running_loop())

    def _put(
        self, change: Change[T], loop: asyncio.AbstractEventLoop | None
    ) -> Promise[T]:
        if not self._thread.is_alive():
            raise Unavailable("closed")
        done: Promise[T] = Promise(loop)
        if loop is None:
            self._hand_over([(change, done)])
        else:
            begun = self._begun.setdefault(loop, [])
            begun.append((change, done))
            if len(begun) == 1:
                # What else this turn of the loop asks for comes along: to wake the
                # writer is dearer than most of what it does.
                loop.call_soon(lambda: self._hand_over(self._begun.pop(loop)))
        return done

    def _hand_over(self, begun: list[_Item]) -> None:
        self._queue.put(begun)
        if not self._thread.is_alive():
            self._refuse()

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
        self._refuse()
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
            group: list[_Item] = []
            begun = self._queue.get()
            while begun is not None:
                group += begun
                if len(group) >= GROUP or self._queue.empty():
                    break
                begun = self._queue.get()
            closing = begun is None
            if group:
                self._commit(group)
        self._refuse()

    def _refuse(self) -> None:
        """Answer those who came while it was closed, or after that."""
        late: list[Outcome] = []
        with suppress(Empty):
            while True:
                begun = self._queue.get_nowait() or []
                late += [(done, None, Unavailable("closed")) for _, done in begun]
        bring(late)

    def _commit(self, group: list[_Item]) -> None:
        try:
            outcomes = self._do(group)
        except sqlite3.Error as error:
            # If that fails as well, so will the next group's beginning.
            with suppress(sqlite3.Error):
                self._roll_back()
            outcomes = [(done, None, _told(error)) for _change, done in group]
        bring(outcomes)

    def _do(self, group: list[_Item]) -> list[Outcome]:
        self._writer.execute("BEGIN IMMEDIATE")
        outcomes: list[Outcome]
        try:
            outcomes = [(done, change(self._writer), None) for change, done in group]
        except Exception:  # noqa: BLE001 - whose it is shows when each is done apart
            self._roll_back()
            self._writer.execute("BEGIN IMMEDIATE")
            outcomes = [_apart(self._writer, item) for item in group]
        self._writer.execute("COMMIT")
        return outcomes

    def _roll_back(self) -> None:
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")


def _apart(connection: sqlite3.Connection, item: _Item) -> Outcome:
    """Do one change so that its failure is its caller's alone.

    That takes two statements more, for what nearly never happens.
    """
    change, done = item
    connection.execute("SAVEPOINT one")
    outcome: Outcome
    try:
        outcome = done, change(connection), None
    except Exception as error:  # noqa: BLE001 - it is the caller's
        connection.execute("ROLLBACK TO one")
        outcome = done, None, _told(error)
    connection.execute("RELEASE one")
    return outcome


def _told(error: BaseException) -> BaseException:
    """Return what the caller is told of *error*."""
    return Unavailable(str(error)) if isinstance(error, sqlite3.Error) else error
