"""What timers ring: a server that notes when, and answers.

No HTTP library, so that it is not what is measured.
"""

import asyncio
import time
from collections.abc import Callable

LENGTH = b"content-length:"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

Heard = Callable[[float, bytes], None]


class Bell(asyncio.Protocol):
    """One connection. *heard* gets the time and the body of each request."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._left = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        # By the wall clock, like the timers themselves.
        at = time.time()
        data = self._left + data
        head, found, body = data.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            self._left = data
            return
        self._left = b""
        self._heard(at, body)
        self._transport.write(OK)


async def hang(heard: Heard) -> tuple[asyncio.Server, str]:
    """Let a bell hang. Returns its server, and its URL."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Bell(heard), "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


def _length(head: bytes) -> int:
    lower = head.lower()
    return int(lower[lower.find(LENGTH) + len(LENGTH) :].partition(b"\r\n")[0])
