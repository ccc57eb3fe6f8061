"""Requests at a fixed rate, however long the answers take: an open loop."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from time import perf_counter

from bench.load import from_a_child

CONNECTIONS = 256
"""Requests under way, at most; only beyond that does the rate give way."""

KEPT = 2.0
"""Seconds that a connection may rest: servers close those that rest longer."""


@dataclass
class Offer:
    """What became of it: seconds to each answer, and how many were not 2xx.

    `late` is by how many seconds the last request missed its time.
    """

    times: list[float] = field(default_factory=list)
    late: float = 0.0
    bad: int = 0


def offer(
    port: int, requests: Callable[[int], bytes], rate: float, seconds: float
) -> Offer:
    """Send what *requests* makes of 0, 1, 2 and so on, from a process of its own.

    Returns when all are answered. Raises OSError.
    """
    offered = from_a_child(_client, port, requests, rate, seconds)
    assert isinstance(offered, Offer)
    return offered


def _client(
    answer: Connection,
    port: int,
    requests: Callable[[int], bytes],
    rate: float,
    seconds: float,
) -> None:
    answer.send(asyncio.run(_run(port, requests, rate, seconds)))


async def _run(
    port: int, requests: Callable[[int], bytes], rate: float, seconds: float
) -> Offer:
    offered = Offer()
    idle: list[_Line] = []
    room = asyncio.Semaphore(CONNECTIONS)

    async def one(number: int) -> None:
        async with room:
            sent = perf_counter()
            offered.late = sent - begun - number / rate
            line = await _line(idle, port)
            line.writer.write(requests(number))
            head = await line.reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].partition(b"\r")[0]
            await line.reader.readexactly(int(length or 0))
            line.used = perf_counter()
            idle.append(line)
        offered.times.append(line.used - sent)
        offered.bad += head[9:10] != b"2"

    begun = perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(begun + number / rate - perf_counter())
            tasks.create_task(one(number))
    return offered


@dataclass
class _Line:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used: float = 0.0


async def _line(idle: list[_Line], port: int) -> _Line:
    """Return a connection: the one that was used last, or a new one."""
    if idle:
        line = idle.pop()
        if perf_counter() - line.used < KEPT:
            return line
        # So are all others, and the server may be about to close them.
        idle.clear()
    return _Line(*await asyncio.open_connection("127.0.0.1", port))
