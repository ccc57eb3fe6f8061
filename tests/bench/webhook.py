"""RBM's webhook: what its own code takes, how fast it is durable, and under attack.

600 bytes an event, over 32 connections. Our own code is the CPU time of a request
at a store that keeps nothing, in the functions' own server, less that of a hello in
the same mode; it includes the change to a thread and back, in which a store that
blocks is called. On the embedded platform an event is written with its deliveries in
one flushed group commit, and is pushed to nobody meanwhile.
"""

import asyncio
import statistics
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context

from bench import servers
from bench.load import Load, http, load
from bench.rows import Effort, Row, ratio
from bench.servers import Server
from bench.signed import delivered
from machine.credentials import DEFAULTS

CONNECTIONS = 32

OWN_CODE = 120
RATE = 0.7
P99 = 1.5
SLOW_P99 = 2.0

LIMIT = 256 * 1024
DRIP = 0.1
"""Seconds from one byte of a slow client to its next."""

EVENTS = [delivered(number) for number in range(4096)]


def event(number: int) -> bytes:
    return EVENTS[number % len(EVENTS)]


def large(size: int) -> Callable[[int], bytes]:
    """Return requests whose bodies have *size* bytes, and no valid signature."""
    frame = b'{"message": {"data": "'
    body = frame + b"A" * ((size - len(frame) - 3) // 4 * 4) + b'"}}'
    body += b" " * (size - len(body))
    request = http("POST", "/webhook", {"X-Goog-Signature": "none"}, body)
    return lambda _number: request


def rows(effort: Effort) -> Iterable[Row]:
    seconds, rounds = effort.of(2.5, 0.6), effort.rounds(9, 3)
    with ExitStack() as stack:
        hello = stack.enter_context(servers.hello())
        durable = stack.enter_context(servers.durable())
        embedded = stack.enter_context(servers.embedded())
        unstored = stack.enter_context(_unstored())
        own: list[float] = []
        spent: list[float] = []
        floors: list[_Taken] = []
        subjects: list[_Taken] = []
        for _ in range(rounds):
            spent.append(_take(hello, seconds / 2).cpu)
            own.append(_take(unstored, seconds / 2).cpu - spent[-1])
            floors.append(_take(durable, seconds))
            subjects.append(_take(embedded, seconds))
        yield Row(
            what="CPU of the webhook's own code, per request",
            unit="us",
            values=own,
            ratio=ratio(own, spent),
            floor="hello's",
            goal=f"at most {OWN_CODE} us",
            met=statistics.median(own) <= OWN_CODE,
        )
        yield from _durable(subjects, floors)
        yield from _refused(unstored, effort)
        yield from _dripped(embedded, effort)


@dataclass(frozen=True)
class _Taken:
    """A load that was answered without fault, and microseconds of CPU per request."""

    load: Load
    cpu: float


def _durable(subjects: list[_Taken], floors: list[_Taken]) -> Iterator[Row]:
    def compare(measure: Callable[[_Taken], float]) -> tuple[list[float], float]:
        values = [measure(taken) for taken in subjects]
        return values, ratio(values, [measure(taken) for taken in floors])

    floor = "the durable floor"
    values, found = compare(lambda taken: taken.load.rate)
    yield Row(
        what="Events verified and durably published",
        unit="/s",
        values=values,
        ratio=found,
        floor=floor,
        goal=f"at least {RATE}",
        met=found >= RATE,
    )
    values, found = compare(lambda taken: taken.load.p99 * 1000)
    yield Row(
        what="the same: p99",
        unit="ms",
        values=values,
        ratio=found,
        floor=floor,
        goal=f"at most {P99}",
        met=found <= P99,
        remark=f"longest {max(s.load.longest for s in subjects) * 1000:.0f} ms",
    )
    values, found = compare(lambda taken: taken.cpu)
    yield Row(
        what="the same: CPU per event",
        unit="us",
        values=values,
        ratio=found,
        floor=floor,
        remark="the steadier figure where the machine is shared",
    )


def _refused(server: Server, effort: Effort) -> Iterator[Row]:
    """Compare a body that is a byte too large with one that is just not."""
    over, within = large(LIMIT + 1), large(LIMIT)
    refused: list[float] = []
    hashed: list[float] = []
    for _ in range(effort.rounds(5, 2)):
        refused.append(_cpu(server, effort.of(1, 0.4), over, connections=1)[1])
        hashed.append(_cpu(server, effort.of(1, 0.4), within, connections=1)[1])
    found = ratio(refused, hashed)
    yield Row(
        what="CPU of refusing a body of 256 KiB and a byte",
        unit="us",
        values=refused,
        ratio=found,
        floor="one byte less, which is parsed and hashed",
        goal="below 1: nothing is parsed or hashed",
        met=found < 1,
    )


def _dripped(server: Server, effort: Effort) -> Iterator[Row]:
    calm: list[float] = []
    dripped: list[float] = []
    for _ in range(effort.rounds(7, 3)):
        calm.append(_take(server, effort.of(2, 0.5)).load.p99)
        with _slow_clients(server.port):
            dripped.append(_take(server, effort.of(2, 0.5)).load.p99)
    found = ratio(dripped, calm)
    yield Row(
        what="p99 beside 32 clients that drip a byte each 0.1 s",
        unit="ms",
        values=[p99 * 1000 for p99 in dripped],
        ratio=found,
        floor="without them",
        goal=f"at most {SLOW_P99:.0f}",
        met=found <= SLOW_P99,
        remark="half of them in the headers, half in the body",
    )


def _take(server: Server, seconds: float) -> _Taken:
    found, cpu = _cpu(server, seconds, event, connections=CONNECTIONS)
    if found.bad:
        raise AssertionError(f"{found.bad} of {found.requests} were not answered 2xx")
    return _Taken(found, cpu)


def _cpu(
    server: Server,
    seconds: float,
    requests: Callable[[int], bytes],
    *,
    connections: int,
) -> tuple[Load, float]:
    """Return what came of a load, and microseconds of CPU per request."""
    before = server.cpu()
    found = load(server.port, requests, connections=connections, seconds=seconds)
    return found, (server.cpu() - before) / found.requests * 1e6


@contextmanager
def _unstored() -> Iterator[Server]:
    source = servers.BENCH / "unstored.py"
    with servers.function(source, "unstored", DEFAULTS) as server:
        yield server


@contextmanager
def _slow_clients(port: int) -> Iterator[None]:
    """Let 32 clients begin requests that take minutes to be sent."""
    clients = get_context("fork").Process(target=_drip, args=(port,), daemon=True)
    clients.start()
    try:
        yield
    finally:
        clients.kill()
        clients.join()


def _drip(port: int) -> None:
    whole = event(0)
    head = whole.index(b"\r\n\r\n") + 4

    async def client(begun: bytes, rest: bytes) -> None:
        _, line = await asyncio.open_connection("127.0.0.1", port)
        line.write(begun)
        for byte in rest:
            await asyncio.sleep(DRIP)
            line.write(bytes([byte]))

    async def clients() -> None:
        half = CONNECTIONS // 2
        await asyncio.gather(
            *(client(whole[:20], whole[20:]) for _ in range(half)),
            *(client(whole[:head], whole[head:]) for _ in range(half)),
        )

    asyncio.run(clients())
