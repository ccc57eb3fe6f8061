"""Part 4: how fast timers are armed, and how late they ring.

The timers and their dispatcher run in a process of their own, and ring over HTTP a
handler in this one, which notes the time and answers. What is pending stood in the
file before that process began, as after a restart; arming is measured apart.
"""

import asyncio
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Self

from backstop.adapters.embedded.database import GROUP, Database
from backstop.adapters.embedded.stores import SqliteTimers
from backstop.adapters.records import micros
from backstop.domain.message import MessageId
from bench.bell import hang
from bench.others import PEERS, AbsentError, environment, process, redis
from bench.rows import Effort, Row, percentile, ratio, say
from bench.servers import FUNCTIONS
from simulator import Clock

TESTS = Path(__file__).parents[1]

FEW, MANY = 20_000, 1_000_000
STEADY, BURST = 200, 2_000
CALLERS = 32

LEAD = 1.5
"""Seconds until the first ring is due: the process has to start."""

PATIENCE = 20.0
"""Seconds after the last is due until what has not rung is missed."""


@dataclass(frozen=True, kw_only=True)
class Rings:
    """What came of a window: each ring's milliseconds late, and how it ended.

    `drained` is seconds from the last due instant to the last ring.
    """

    late: Sequence[float]
    missed: int
    twice: int
    drained: float
    held: float

    @classmethod
    def of(
        cls, due: Sequence[int], rings: Sequence[tuple[int, float]], held: float = 0.0
    ) -> Self:
        """Judge *rings*, each the instant it was for, in us, and the time it came."""
        times = Counter(instant for instant, _at in rings)
        return cls(
            late=[at * 1e3 - instant / 1e3 for instant, at in rings],
            missed=len(set(due) - set(times)),
            twice=len(rings) - len(times),
            drained=max(at for _instant, at in rings) - max(due) / 1e6,
            held=held,
        )

    @property
    def p50(self) -> float:
        return percentile(self.late, 0.50)

    @property
    def p99(self) -> float:
        return percentile(self.late, 0.99)


def rows(effort: Effort) -> Iterator[Row]:
    yield from arming(effort)
    with tempfile.TemporaryDirectory() as folder:
        few, many = Path(folder) / "few.db", Path(folder) / "many.db"
        fill(few, FEW)
        fill(many, MANY)
        steady = [
            side_by_side(few, many, effort.of(6, 2)) for _ in range(effort.rounds(6, 3))
        ]
        say("bursts")
        bursts = [
            asyncio.run(window(few, BURST, effort.of(10, 2)))
            for _ in range(effort.rounds(3, 1))
        ]
        restarts = [restart(many) for _ in range(effort.rounds(5, 2))]
    yield from lateness(steady, bursts, restarts)
    yield from celery(effort, steady[-1][0], bursts[-1])


def arming(effort: Effort) -> Iterator[Row]:
    """Arm from many threads, in turn with the least that makes a row durable."""
    ours, floor = [], []
    for _ in range(effort.rounds(5, 2)):
        with tempfile.TemporaryDirectory() as folder:
            ours.append(armed(Path(folder), effort.of(2, 1)))
            floor.append(inserted(Path(folder), effort.of(2, 1)))
    yield Row(
        what=f"timers armed by {CALLERS} callers, each flushed",
        unit="/s",
        values=ours,
        ratio=ratio(ours, floor),
        floor="a row in one group commit",
        goal=">= 3,000/s",
        met=statistics.median(ours) >= 3_000,
    )


def armed(folder: Path, seconds: float) -> float:
    database, clock = Database(folder / "armed.db"), Clock()
    timers = SqliteTimers(database, clock, lambda _at: None)
    at = clock.now() + timedelta(hours=1)
    rate = calls(lambda n: timers.arm(MessageId(f"{n:040x}"), at=at), seconds)
    database.close()
    return rate


def inserted(folder: Path, seconds: float) -> float:
    """The floor: one statement per row, one thread, one flush for all that wait."""
    queue: SimpleQueue[tuple[int, Future[None]] | None] = SimpleQueue()

    def write() -> None:
        connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE kept (id INTEGER PRIMARY KEY, at INTEGER)")
        while item := queue.get():
            group = [item]
            while len(group) < GROUP:
                try:
                    more = queue.get_nowait()
                except Empty:
                    break
                if more is None:
                    break
                group.append(more)
            connection.execute("BEGIN IMMEDIATE")
            for number, _done in group:
                connection.execute("INSERT INTO kept VALUES (?, 0)", (number,))
            connection.execute("COMMIT")
            for _number, done in group:
                done.set_result(None)
        connection.close()

    def insert(number: int) -> None:
        done: Future[None] = Future()
        queue.put((number, done))
        done.result()

    writer = threading.Thread(target=write)
    writer.start()
    rate = calls(insert, seconds)
    queue.put(None)
    writer.join()
    return rate


def calls(call: Callable[[int], None], seconds: float) -> float:
    """Return how often *call* returns in a second, called from all threads."""
    end = time.perf_counter() + seconds
    done = [0] * CALLERS

    def run(caller: int) -> None:
        while time.perf_counter() < end:
            call(caller << 32 | done[caller])
            done[caller] += 1

    threads = [threading.Thread(target=run, args=(n,)) for n in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / seconds


def fill(state: Path, count: int) -> None:
    """Put timers into a new file, evenly over the hour after the next."""
    hour = 3_600_000_000
    first = micros(datetime.now(UTC)) + hour
    database = Database(state)
    database.write(
        lambda connection: connection.execute(
            "WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n LIMIT ?)"
            " INSERT INTO timers SELECT lower(hex(randomblob(20))) AS message,"
            " ? + x * ?, ? + x * ?, 0 FROM n ORDER BY message",
            (count, first, hour // count, first, hour // count),
        ).close()
    )
    database.close()


def add(state: Path, due: Sequence[int]) -> None:
    """Put timers due at these instants into a file that nobody has open."""
    database = Database(state)
    database.write(
        lambda connection: connection.executemany(
            "INSERT INTO timers VALUES (?, ?, ?, 0)",
            [(f"{n:040x}", at, at) for n, at in enumerate(due)],
        ).close()
    )
    database.close()


@contextmanager
def keeping(state: Path, url: str) -> Iterator[subprocess.Popen[bytes]]:
    """Let the timers of *state* ring there, from a process of their own."""
    keeper = subprocess.Popen(
        [sys.executable, "-m", "bench.keeper", str(state), url],
        env={"PYTHONPATH": f"{FUNCTIONS}:{TESTS}"},
        stdin=subprocess.PIPE,
    )
    try:
        yield keeper
    finally:
        keeper.communicate()


async def window(
    state: Path, rate: float, seconds: float, *, shift: float = 0.0
) -> Rings:
    """Let *rate* timers a second be due in *state*, from a little later on."""
    begin = time.time() + LEAD + rate * seconds * 2e-5 + shift
    due = [int((begin + n / rate) * 1e6) for n in range(int(rate * seconds))]
    await asyncio.to_thread(add, state, due)
    rings: list[tuple[float, bytes]] = []
    complete = asyncio.Event()

    def heard(at: float, body: bytes) -> None:
        rings.append((at, body))
        if len(rings) >= len(due):
            complete.set()

    server, url = await hang(heard)
    async with server:
        with keeping(state, url) as keeper:
            with suppress(TimeoutError):
                left = due[-1] / 1e6 + PATIENCE - time.time()
                await asyncio.wait_for(complete.wait(), left)
            # A little longer, for a ring too many.
            await asyncio.sleep(0.2)
            held = memory(keeper.pid)
    return Rings.of(due, [(_instant(body), at) for at, body in rings], held)


def side_by_side(few: Path, many: Path, seconds: float) -> tuple[Rings, Rings]:
    """Let both ring in the same seconds, in turn: the machine's noise hits both."""

    async def both() -> tuple[Rings, Rings]:
        return await asyncio.gather(
            window(few, STEADY, seconds),
            window(many, STEADY, seconds, shift=0.5 / STEADY),
        )

    rings = asyncio.run(both())
    say(" and ".join(f"p99 {r.p99:.2f} ms" for r in rings))
    return rings


def restart(state: Path) -> float:
    """Return the seconds from starting a process to its first overdue ring."""

    async def first() -> float:
        rung = asyncio.get_running_loop().create_future()
        server, url = await hang(
            lambda at, _body: None if rung.done() else rung.set_result(at)
        )
        async with server:
            begun = time.time()
            with keeping(state, url):
                return await rung - begun

    add(state, [int((time.time() - 60) * 1e6)])
    return asyncio.run(first())


def lateness(
    steady: Sequence[tuple[Rings, Rings]],
    bursts: Sequence[Rings],
    restarts: Sequence[float],
) -> Iterator[Row]:
    few, many = zip(*steady, strict=True)
    yield late(few, 0.50, 10.0, what=f"{STEADY}/s due of {FEW:,} pending")
    yield late(few, 0.99, 60.0, what=f"{STEADY}/s due of {FEW:,} pending")
    p99s = [rings.p99 for rings in few], [rings.p99 for rings in many]
    times = ratio(p99s[1], p99s[0])
    yield Row(
        what=f"{STEADY}/s due of {MANY:,} pending: late, p99",
        unit="ms",
        values=p99s[1],
        ratio=times,
        floor=f"{FEW:,} pending",
        goal="<= 1.2",
        met=times <= 1.2,
    )
    yield late(bursts, 0.99, 250.0, what=f"burst of {BURST:,}/s")
    drained = [rings.drained for rings in bursts]
    yield Row(
        what=f"burst of {BURST:,}/s: last ring after its last instant",
        unit="s",
        values=drained,
        goal="<= 1 s",
        met=statistics.median(drained) <= 1,
    )
    every = [*few, *many, *bursts]
    early = sum(ms < 0 for rings in every for ms in rings.late)
    wrong = [early, sum(r.missed for r in every), sum(r.twice for r in every)]
    yield Row(
        what=f"early, missed, twice, of {sum(len(r.late) for r in every):,} rings",
        unit=f"({wrong[0]}, {wrong[1]}, {wrong[2]})",
        values=[sum(wrong)],
        goal="0",
        met=not any(wrong),
    )
    held = [rings.held for rings in many]
    yield Row(
        what=f"memory with {MANY:,} pending",
        unit="MiB",
        values=held,
        goal="<= 150 MiB",
        met=max(held) <= 150,
    )
    yield Row(
        what=f"start with {MANY:,} pending to the first overdue ring",
        unit="s",
        values=restarts,
        goal="<= 2 s",
        met=statistics.median(restarts) <= 2,
    )


def late(rounds: Sequence[Rings], share: float, most: float, *, what: str) -> Row:
    values = [percentile(rings.late, share) for rings in rounds]
    return Row(
        what=f"{what}: late, p{share * 100:.0f}",
        unit="ms",
        values=values,
        goal=f"<= {most:g} ms",
        met=statistics.median(values) <= most,
    )


def celery(effort: Effort, steady: Rings, burst: Rings) -> Iterator[Row]:
    """The peer: the same windows as tasks with an eta, right after ours."""
    what = "Celery with Redis"
    try:
        programs = environment("celery")
        with tempfile.TemporaryDirectory() as folder, redis() as port:
            worker = Worker(programs, Path(folder), port)
            with process(worker.words, worker.environ, worker.folder):
                later = int(time.time() + 7200) * 1_000_000
                step, far = 180_000, int(effort.of(FEW, 500))
                armed = worker.arm([later + n * step for n in range(far)])
                say(f"Celery armed {armed:,.0f}/s")
                theirs = worker.window(STEADY, effort.of(6, 2), armed)
                crowd = worker.window(BURST, effort.of(10, 2), armed)
    except AbsentError as absent:
        yield Row(what=what, remark=str(absent))
        return
    yield Row(what=f"{what}: tasks armed by one caller", unit="/s", values=[armed])
    for name, ours, them in (
        (f"{STEADY}/s due", steady, theirs),
        (f"burst of {BURST:,}/s", burst, crowd),
    ):
        yield Row(
            what=f"{what}, {name}: late, p99",
            unit="ms",
            values=[them.p99],
            ratio=them.p99 / ours.p99,
            floor="ours",
            remark=f"{them.missed} not within {PATIENCE:.0f} s, {them.twice} twice",
        )


@dataclass(frozen=True)
class Worker:
    """Celery's worker, which notes its rings in a file."""

    programs: Path
    folder: Path
    redis: int

    @property
    def words(self) -> list[str]:
        celery = [str(self.programs / "celery"), "-A", "celery_rings", "worker"]
        return [*celery, "--pool=threads", "--concurrency=8", "--loglevel=ERROR"]

    @property
    def environ(self) -> dict[str, str]:
        return {
            "PYTHONPATH": str(PEERS),
            "REDIS": f"redis://127.0.0.1:{self.redis}/0",
            "RINGS": str(self.folder / "rings"),
        }

    def arm(self, due: Sequence[int]) -> float:
        """Arm a task for each instant, in turn; return how many a second."""
        done = subprocess.run(
            [str(self.programs / "python"), str(PEERS / "celery_rings.py")],
            env=self.environ,
            input="".join(f"{at / 1e6!r}\n" for at in due),
            capture_output=True,
            text=True,
            check=True,
        )
        return float(done.stdout)

    def window(self, rate: float, seconds: float, armed: float) -> Rings:
        """As ours, once all are armed, for which there is twice the time it took."""
        count = int(rate * seconds)
        begin = time.time() + 2 + 2 * count / armed
        due = [int((begin + n / rate) * 1e6) for n in range(count)]
        before = len(self._rings())
        self.arm(due)
        if time.time() > begin:
            say("Celery armed more slowly than before: its lateness holds that too")
        rings: list[tuple[int, float]] = []
        while len(rings) < count and time.time() < due[-1] / 1e6 + PATIENCE:
            time.sleep(0.2)
            rings = self._rings()[before:]
        return Rings.of(due, rings)

    def _rings(self) -> list[tuple[int, float]]:
        file = self.folder / "rings"
        lines = file.read_text().splitlines() if file.exists() else []
        pairs = [line.split() for line in lines]
        return [(round(float(due) * 1e6), float(at)) for due, at in pairs]


def memory(process_id: int) -> float:
    """Return the most MiB that the process has held."""
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def _instant(ring: bytes) -> int:
    return micros(datetime.fromisoformat(json.loads(ring)["dueAt"]))
