"""Whether anything costs more with a million stored messages than with a thousand."""

import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

from bench import timers
from bench.filled import FILE, fill, sample, sending
from bench.lifecycles import lean
from bench.load import load
from bench.rows import Effort, Row, ratio, say
from bench.servers import Server, carrier, embedded
from bench.signed import delivered

FEW, MANY, SHORT = 1_000, 1_000_000, 20_000
MOST = 1.15
"""The goal: how many times as much with many as with few."""

CONNECTIONS = 32
PATIENCE = 30.0


@dataclass
class Pair:
    """The same measured with few and with many stored, in turn."""

    few: list[float] = field(default_factory=list)
    many: list[float] = field(default_factory=list)


def rows(effort: Effort) -> Iterable[Row]:
    stored = effort.rounds(MANY, SHORT)
    with tempfile.TemporaryDirectory() as folder, sample() as lived:
        states = (Path(folder) / "few", Path(folder) / "many")
        for state, messages in zip(states, (FEW, stored), strict=True):
            fill(lived, state, messages)
            timers.fill(state / "armed.db", messages)
        say(f"{stored:,} messages are stored")
        for what, unit, pair in (
            # First, since the others leave behind what nobody was told yet.
            _lives(effort, states),
            _arming(effort, states),
            *_rates(effort, states),
        ):
            per_second = unit == "/s"
            times = ratio(
                *((pair.few, pair.many) if per_second else (pair.many, pair.few))
            )
            yield Row(
                what=f"{what}, {stored:,} stored",
                unit=unit,
                values=pair.many,
                ratio=times,
                floor=f"the cost with {FEW:,}",
                goal=f"under {MOST}",
                met=times < MOST,
            )


Found = tuple[str, str, Pair]


def _in_turn(
    effort: Effort, subjects: Sequence[Callable[[], float]], full: int, short: int
) -> Pair:
    pair = Pair()
    turns = list(zip(subjects, (pair.few, pair.many), strict=True))
    for _ in range(effort.rounds(full, short)):
        for measure, values in turns:
            values.append(measure())
        # Whoever comes first may find the machine warmer, or colder.
        turns.reverse()
    return pair


def _rates(effort: Effort, states: Sequence[Path]) -> Iterator[Found]:
    """Webhooks and accepted messages per second, while nothing is pushed."""
    numbers = count()
    with ExitStack() as stack:
        carriers = stack.enter_context(carrier())
        servers = [
            stack.enter_context(embedded(state=state, carriers=carriers))
            for state in states
        ]
        for what, request in (("webhooks", delivered), ("messages accepted", sending)):

            def rate(
                server: Server, request: Callable[[int], bytes] = request
            ) -> float:
                first = next(numbers) * 100_000
                return load(
                    server.port,
                    lambda n: request(first + n),
                    connections=CONNECTIONS,
                    seconds=effort.of(2, 1),
                ).rate

            measures = [partial(rate, server) for server in servers]
            yield what, "/s", _in_turn(effort, measures, 5, 2)


def _arming(effort: Effort, states: Sequence[Path]) -> Found:
    measures = [partial(timers.armed, state, effort.of(1.5, 1)) for state in states]
    return "timers armed", "/s", _in_turn(effort, measures, 4, 1)


def _lives(effort: Effort, states: Sequence[Path]) -> Found:
    """CPU of the whole machine for a message that falls back at once."""
    numbers = count(1)
    with ExitStack() as stack:
        servers = [stack.enter_context(lean(state)) for state in states]

        def life(server: Server, state: Path) -> float:
            first, before = next(numbers) * 100_000 + 50_000, server.cpu()
            done = load(
                server.port,
                lambda n: sending(first + n),
                connections=4,
                seconds=effort.of(2, 1),
            )
            _settled(state)
            return 1e3 * (server.cpu() - before) / done.requests

        measures = [
            partial(life, server, state)
            for server, state in zip(servers, states, strict=True)
        ]
        for warm in measures:
            warm()
        return "CPU of one fallback", "ms", _in_turn(effort, measures, 4, 1)


def _settled(state: Path) -> None:
    """Wait until nobody is owed anything."""
    end = time.monotonic() + PATIENCE
    with closing(sqlite3.connect(state / FILE)) as database:
        while (
            database.execute("SELECT 1 FROM messages WHERE open LIMIT 1").fetchall()
            or database.execute("SELECT 1 FROM deliveries LIMIT 1").fetchall()
        ) and time.monotonic() < end:
            time.sleep(0.05)
