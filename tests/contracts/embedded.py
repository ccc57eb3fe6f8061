"""The embedded platform as the contracts want it."""

import shutil
import sqlite3
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from backstop.adapters.embedded.database import Database
from backstop.adapters.embedded.dispatcher import DEAD_AFTER, Dispatcher
from backstop.adapters.embedded.reaches import SqliteReaches
from backstop.adapters.embedded.stores import (
    SqliteEvents,
    SqliteMessages,
    SqliteRecipients,
    SqliteTimers,
    Subscription,
)
from backstop.adapters.system import SystemRandom
from contracts.over_http import over_http
from contracts.platform import RING, SUBSCRIPTIONS, Letter, Ring
from contracts.receiver import Receiver
from contracts.waiting import until
from simulator import Clock

TOKEN = "platform-token"
SECOND = timedelta(seconds=1)

ALL = tuple(
    Subscription(name=name, endpoint=f"/{name}", kinds=frozenset(kinds))
    for name, kinds in SUBSCRIPTIONS.items()
)


class Life:
    """One process's worth of the platform. Its calls bear a token of its own."""

    def __init__(self, path: Path, clock: Clock, url: str, token: str) -> None:
        self.token = token
        self.database = Database(path)
        self.dispatcher = Dispatcher(self.database, clock, SystemRandom(), ALL)
        wake = self.dispatcher.wake
        self.messages = SqliteMessages(self.database)
        self.recipients = SqliteRecipients(self.database)
        self.reaches = SqliteReaches(self.database)
        self.timers = SqliteTimers(self.database, clock, wake)
        self.events = SqliteEvents(self.database, clock, ALL, wake)
        self.dispatcher.start(
            ring=RING,
            post=lambda endpoint: over_http(url + endpoint, token, lasting=False),
        )


class Embedded:
    """A platform in a folder. Nothing moves unless the clock is moved."""

    dead_after = DEAD_AFTER

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.clock.set_rate(0)
        self.clock.jump_to(self.clock.now().replace(microsecond=0) + SECOND)
        self.receiver = Receiver(self.clock.now)
        self._folder = folder
        self._deaths: list[tuple[Life, threading.Thread]] = []
        self.life = self._begin()

    @property
    def path(self) -> Path:
        return self._folder / str(len(self._deaths)) / "backstop.db"

    @property
    def messages(self) -> SqliteMessages:
        return self.life.messages

    @property
    def recipients(self) -> SqliteRecipients:
        return self.life.recipients

    @property
    def reaches(self) -> SqliteReaches:
        return self.life.reaches

    @property
    def timers(self) -> SqliteTimers:
        return self.life.timers

    @property
    def events(self) -> SqliteEvents:
        return self.life.events

    def now(self) -> datetime:
        return self.clock.now()

    def move(self, by: timedelta) -> None:
        self.clock.jump_to(self.now() + by)

    def elapse(self, by: timedelta) -> None:
        target = self.now() + by
        self.settle()
        while (due := self.life.dispatcher.next_due()) and due < target:
            self.clock.jump_to(due)
            self.settle()
        self.clock.jump_to(target)
        self.settle()

    def settle(self) -> None:
        until(self.life.dispatcher.idle)

    def die(self) -> None:
        # The next life gets the bytes that lie on the disk now, as after kill -9;
        # what the old one still has in hand ends in a file nobody reads.
        old, left = self.life, self.path
        dying = threading.Thread(target=old.dispatcher.stop)
        self._deaths.append((old, dying))
        dying.start()
        until(lambda: old.dispatcher._stopping)
        self.path.parent.mkdir()

        def copy(_connection: sqlite3.Connection) -> None:
            for file in (left, left.with_name(left.name + "-wal")):
                shutil.copy(file, self.path.parent)

        # Between two commits: else the one file might be older than the other.
        old.database.write(copy)
        self.life = self._begin()

    def rings(self) -> list[Ring]:
        return [
            Ring(
                ring.body["message"],
                datetime.fromisoformat(ring.body["dueAt"]),
                ring.at,
            )
            for ring in self.receiver.at(RING)
        ]

    def dead_letters(self) -> Sequence[Letter]:
        return [
            Letter(
                id=str(dead.event.seq),
                subscription=dead.subscription,
                reason=dead.reason,
                tries=dead.tries,
                attributes=dead.event.attributes,
                data=dead.event.data,
            )
            for dead in self.events.dead_letters(1000)
        ]

    def replay(self, letter: Letter) -> bool:
        return self.events.replay(int(letter.id), letter.subscription)

    def close(self) -> None:
        for path in (RING, *(f"/{name}" for name in SUBSCRIPTIONS)):
            self.receiver.release(path)
        self.life.dispatcher.stop()
        self.life.database.close()
        for life, dying in self._deaths:
            dying.join()
            life.database.close()
        self.receiver.close()

    def _begin(self) -> Life:
        token = f"{TOKEN}-{len(self._deaths)}"
        return Life(self.path, self.clock, self.receiver.url, token)
