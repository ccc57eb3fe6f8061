"""How soon a machine serves, and has caught up, that was away for long.

Its file holds overdue timers and events that `record` was never told. What they are
about has ended meanwhile, so that this is the time that telling takes, with the real
functions at the other end; no carrier is asked.
"""

import sqlite3
import tempfile
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from bench.filled import FILE, fill, sample
from bench.lifecycles import lean
from bench.rows import Effort, Row, ratio
from machine.credentials import private_key

OWED, SHORT = 100_000, 3_000
MOST = 60.0
"""Seconds of catching up that are watched; what is left then is reckoned."""


def rows(effort: Effort) -> Iterable[Row]:
    owed = effort.rounds(OWED, SHORT)
    full: list[float] = []
    empty: list[float] = []
    with tempfile.TemporaryDirectory() as folder, sample() as lived:
        nothing, much = Path(folder) / "nothing", Path(folder) / "much"
        fill(lived, nothing, 1)
        fill(lived, much, owed, timers=owed, undelivered=owed)
        for state in (nothing, much):
            # Not made anew at the first start.
            private_key(state)
        for last in [False] * effort.rounds(2, 0) + [True]:
            with lean(nothing) as server:
                empty.append(server.answered_after)
            with lean(much) as server:
                full.append(server.answered_after)
                if last:
                    before, begun = _owed(much), time.monotonic()
                    while (left := _owed(much)) and time.monotonic() < begun + MOST:
                        time.sleep(0.2)
                    pace = (before - left) / (time.monotonic() - begun)
    yield Row(
        what=f"a start with {owed:,} overdue timers and {owed:,} events to push,"
        " until it serves",
        unit="s",
        values=full,
        ratio=ratio(full, empty),
        floor="a start with nothing",
    )
    yield Row(
        what="from there until it has caught up",
        unit="s",
        values=[before / pace],
        remark=f"{pace:,.0f} rings and pushes a second"
        + f"; for the last {left:,} reckoned" * bool(left),
    )


def _owed(state: Path) -> int:
    with closing(sqlite3.connect(state / FILE)) as database:
        [(owed,)] = database.execute(
            "SELECT (SELECT count(*) FROM timers) + (SELECT count(*) FROM deliveries)"
        )
    return int(owed)
