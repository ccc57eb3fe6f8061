"""As many requests as a server takes, over a number of lasting connections.

Each connection has one request under way and sends the next when it was answered.
The client is a process of its own: nothing else in the bench takes its time.
"""

import asyncio
import multiprocessing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection
from time import perf_counter

from bench.rows import percentile

PATIENCE = 30.0
"""Seconds for the last answers, after the time is over."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What came of it. `rate` is 2xx answers per second, times are in seconds.

    `bad` counts other answers, and connections that ended under a request.
    """

    rate: float
    p50: float
    p99: float
    longest: float
    requests: int
    bad: int


def http(
    method: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> bytes:
    """Return one request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def from_a_child(work: Callable[..., None], *args: object) -> object:
    """Return what *work* sends to its first argument, in a process of its own.

    Raises OSError if it ended without a word.
    """
    near, far = multiprocessing.Pipe()
    # A fork, so that any function will do.
    child = multiprocessing.get_context("fork").Process(
        target=work, args=(far, *args), daemon=True
    )
    child.start()
    far.close()
    try:
        return near.recv()
    except EOFError:
        raise OSError("the load generator ended early") from None
    finally:
        child.kill()
        child.join()


def load(
    port: int,
    requests: Callable[[int], bytes],
    *,
    connections: int,
    seconds: float,
) -> Load:
    """Send what *requests* makes of 0, 1, 2 and so on. Raises OSError."""
    answer = from_a_child(_client, port, requests, connections, seconds)
    if not isinstance(answer, Load):
        raise OSError(answer)
    return answer


def _client(
    answer: Connection,
    port: int,
    requests: Callable[[int], bytes],
    connections: int,
    seconds: float,
) -> None:
    try:
        answer.send(asyncio.run(_run(port, requests, connections, seconds)))
    except OSError as error:
        answer.send(str(error))


async def _run(
    port: int, requests: Callable[[int], bytes], connections: int, seconds: float
) -> Load:
    loop = asyncio.get_running_loop()
    clients = _Clients(requests, perf_counter() + seconds)
    for _ in range(connections):
        await loop.create_connection(lambda: _Client(clients), "127.0.0.1", port)
    async with asyncio.timeout(seconds + PATIENCE):
        await clients.ended
    times = clients.times or [0.0]
    return Load(
        rate=clients.good / seconds,
        p50=percentile(times, 0.5),
        p99=percentile(times, 0.99),
        longest=max(times),
        requests=len(clients.times),
        bad=clients.bad,
    )


class _Clients:
    """What all connections of one run share."""

    def __init__(self, requests: Callable[[int], bytes], end: float) -> None:
        self.requests = requests
        self.end = end
        self.numbers = count()
        self.times: list[float] = []
        self.good = 0
        self.bad = 0
        self.open = 0
        self.ended = asyncio.get_running_loop().create_future()


class _Client(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, clients: _Clients) -> None:
        self._clients = clients
        self._left = b""
        self._waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._clients.open += 1
        self._next()

    def data_received(self, data: bytes) -> None:
        data = self._left + data if self._left else data
        head = data.find(b"\r\n\r\n")
        whole = head >= 0 and len(data) >= head + 4 + _length(data[:head])
        if not whole:
            self._left = data
            return
        now = perf_counter()
        self._left, self._waiting = b"", False
        clients = self._clients
        clients.times.append(now - self._begun)
        if data[9:10] != b"2":
            clients.bad += 1
        elif now <= clients.end:
            clients.good += 1
        self._next()

    def connection_lost(self, _error: Exception | None) -> None:
        clients = self._clients
        clients.bad += self._waiting
        clients.open -= 1
        if not clients.open and not clients.ended.done():
            clients.ended.set_result(None)

    def _next(self) -> None:
        clients = self._clients
        if perf_counter() >= clients.end:
            self._transport.close()
            return
        request = clients.requests(next(clients.numbers))
        self._waiting = True
        self._begun = perf_counter()
        self._transport.write(request)


def _length(head: bytes) -> int:
    """Return the length of the body that follows; a server of ours always says it."""
    lower = head.lower()
    at = lower.find(b"\r\ncontent-length:")
    if at < 0:
        return 0
    return int(lower[at + 17 :].partition(b"\r\n")[0])
