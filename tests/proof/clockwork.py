"""Timers by the thousand on the real dispatcher: each rings once, none early."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from backstop.adapters.records import micros
from backstop.domain.message import message_key
from contracts.embedded import Embedded
from contracts.waiting import at_once, until

STEP = timedelta(milliseconds=5)
SOON = timedelta(seconds=1)
MONTH = timedelta(days=30)
PATIENCE = 300.0
THREADS = 8


class Clockwork:
    """A platform with timers far away, at one instant, and one after the other."""

    def __init__(self, folder: Path) -> None:
        self.platform = Embedded(folder)
        self.due: dict[str, datetime] = {}

    def crowd(self, size: int) -> None:
        """Arm so many for next month, in one go."""
        at = micros(self.platform.now() + MONTH)
        rows = [(f"far-{n}", at + n, at + n) for n in range(size)]

        def insert(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "INSERT INTO timers (message, due_at, next_at) VALUES (?, ?, ?)", rows
            )

        self.platform.life.database.write(insert)

    def arm(self, burst: int, steady: int) -> None:
        """Arm *steady* at 200 a second, and a burst for one instant behind them.

        A burst before them would hide that they are early behind its own work.
        """
        begin = self.platform.now() + SOON
        instants = [begin + STEP * n for n in range(steady)]
        instants += [instants[-1] + SOON] * burst
        self.due = {
            message_key("clockwork", str(n)): at for n, at in enumerate(instants)
        }
        shares = [list(self.due.items())[n::THREADS] for n in range(THREADS)]

        def all_of(share: list[tuple[str, datetime]]) -> None:
            for message, at in share:
                self.platform.timers.arm(message, at=at)

        at_once([lambda share=share: all_of(share) for share in shares])

    def run(self) -> None:
        """Let the machine's time run until the last has rung, and settle."""
        self.platform.clock.set_rate(1)
        wanted = len(self.due)
        until(lambda: len(self.platform.receiver.received) >= wanted, within=PATIENCE)
        self.platform.clock.set_rate(0)
        self.platform.settle()

    def sleep(self, by: timedelta) -> None:
        """Let the whole service be down for so long."""
        life = self.platform.life
        life.dispatcher.stop()
        life.database.close()
        self.platform.move(by)
        self.platform.life = self.platform._begin()

    def wrong(self) -> Iterator[str]:
        rings = self.platform.rings()
        early = sum(ring.at < ring.due_at for ring in rings)
        times = Counter(ring.message for ring in rings)
        twice = sum(count > 1 for count in times.values())
        missed = len(self.due.keys() - times.keys())
        strangers = len(times.keys() - self.due.keys())
        for number, what in (
            (early, "rang early"),
            (twice, "rang twice"),
            (missed, "never rang"),
            (strangers, "of next month rang now"),
        ):
            if number:
                yield f"{number} timers {what}"

    def slowest(self) -> float:
        """Return the seconds by which the last of a hundred was late."""
        late = sorted(ring.at - ring.due_at for ring in self.platform.rings())
        return late[len(late) * 99 // 100].total_seconds()

    def close(self) -> None:
        self.platform.close()


def rung(folder: Path, *, far: int, burst: int, steady: int) -> tuple[list[str], float]:
    """Return what was wrong, and how late 99 of 100 were at most."""
    clockwork = Clockwork(folder)
    try:
        clockwork.crowd(far)
        clockwork.arm(burst, steady)
        clockwork.run()
        return list(clockwork.wrong()), clockwork.slowest()
    finally:
        clockwork.close()


def overslept(folder: Path, burst: int) -> list[str]:
    """Return what was wrong when nobody was there for two days."""
    clockwork = Clockwork(folder)
    try:
        clockwork.arm(burst, burst)
        clockwork.sleep(timedelta(days=2))
        clockwork.platform.settle()
        return list(clockwork.wrong())
    finally:
        clockwork.close()
