"""How long an event takes from its publication to its handler.

Publishers and dispatcher are a process of their own, with one subscriber: a handler in
this one, which notes the time and answers.
"""

import asyncio
import json
import tempfile
import time
from base64 import b64decode
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

from backstop.adapters.embedded.database import Database
from backstop.adapters.embedded.dispatcher import Dispatcher
from backstop.adapters.embedded.stores import SqliteEvents, Subscription
from backstop.adapters.system import SystemRandom
from backstop.domain.event import RCS_DELIVERED, Event
from bench.bell import hang
from bench.rows import Effort, Row, percentile
from contracts.over_http import over_http
from simulator import Clock

RATE = 500
P50, P99 = 25.0, 100.0
"""The goals: events per second, and milliseconds."""

PUBLISHERS = 16
PADDING = "x" * 500
PATIENCE = 10.0


def rows(effort: Effort) -> Iterable[Row]:
    seconds = effort.of(10, 4)
    found = [asyncio.run(_run(seconds)) for _ in range(effort.rounds(3, 1))]
    for share, goal in ((0.5, P50), (0.99, P99)):
        times = [percentile(one.times, share) for one in found]
        yield Row(
            what=f"publication to handler at {RATE} events/s, p{share:.0%}"[:-1],
            unit="ms",
            values=times,
            goal=f"at most {goal:.0f} ms",
            met=percentile(times, 0.5) <= goal,
        )
    grown = [one.grown for one in found]
    yield Row(
        what=f"backlog at {RATE} events/s, end minus middle",
        unit="events",
        values=grown,
        goal="flat",
        met=percentile(grown, 0.5) <= RATE * P99 / 1e3,
        remark=f"{sum(one.lost for one in found)} never came",
    )


@dataclass(frozen=True)
class Found:
    """Milliseconds of each event, by how many the backlog grew, how many are lost."""

    times: Sequence[float]
    grown: int
    lost: int


async def _run(seconds: float) -> Found:
    heard: list[tuple[float, bytes]] = []
    server, url = await hang(lambda at, body: heard.append((at, body)))
    with tempfile.TemporaryDirectory() as folder:
        bus = get_context("spawn").Process(
            target=publish, args=(folder, url, seconds), daemon=True
        )
        bus.start()
        await asyncio.to_thread(bus.join)
    server.close()
    told = [(at, _sent(body)) for at, body in heard]
    begun = min(sent for _, sent in told)

    def waiting(at: float) -> int:
        return sum(sent <= at < came for came, sent in told)

    return Found(
        times=[1e3 * (came - sent) for came, sent in told],
        grown=waiting(begun + seconds) - waiting(begun + seconds / 2),
        lost=int(RATE * seconds) - len({sent for _, sent in told}),
    )


def _sent(body: bytes) -> float:
    return float(json.loads(b64decode(json.loads(body)["message"]["data"]))["sent"])


def publish(folder: str, url: str, seconds: float) -> None:
    """Publish at the rate, push, and end when all was taken."""
    database, clock = Database(Path(folder) / "bus.db"), Clock()
    handler = Subscription(name="handler", endpoint=url)
    dispatcher = Dispatcher(database, clock, SystemRandom(), [handler])
    events = SqliteEvents(database, clock, [handler], dispatcher.wake)
    dispatcher.start(ring=url, post=over_http)

    def one(number: int) -> None:
        sent = time.time()
        event = Event(
            id=f"bench-{number}",
            type=RCS_DELIVERED,
            time=datetime.now(UTC),
            data=json.dumps({"sent": sent, "padding": PADDING}).encode(),
            agent="demo_agent",
            message_id=f"bench-{number}",
        )
        events.publish(event)

    begun = time.monotonic()
    with ThreadPoolExecutor(PUBLISHERS) as publishers:
        for number in range(int(RATE * seconds)):
            time.sleep(max(0.0, begun + number / RATE - time.monotonic()))
            publishers.submit(one, number)
    end = time.monotonic() + PATIENCE
    while not dispatcher.idle() and time.monotonic() < end:
        time.sleep(0.01)
    dispatcher.stop()
    database.close()
