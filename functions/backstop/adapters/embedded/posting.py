"""POST over lasting connections: the little of HTTP that a ring needs.

A library takes five times as long for it as all the rest of a ring.
"""

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

FAILURES = (OSError, EOFError, ValueError, asyncio.LimitOverrunError)
"""What `Post` raises when there was no answer, or none of HTTP's."""

LARGEST_BODY = 64 * 1024
"""Of an answer. More is not worth the connection."""

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])[ \r]")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*\r\n", re.IGNORECASE)
_CLOSING = re.compile(rb"\r\nconnection:[ \t]*close[ \t]*\r\n", re.IGNORECASE)
_INTERIM, _BODILESS = range(100, 200), (204, 304)

_Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Post:
    """POSTs to one URL. To be used within one event loop."""

    def __init__(
        self, url: str, headers: Mapping[str, str], *, patience: float
    ) -> None:
        """Give up after *patience* seconds. Raises ValueError for what is no URL."""
        parts = urlsplit(url)
        tls = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port or (443 if tls else 80)
        self._tls = tls or None
        self._patience = patience
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"POST {target} HTTP/1.1", f"Host: {parts.netloc}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._head = "\r\n".join([*lines, "Content-Length: "]).encode()
        self._resting: list[_Line] = []

    async def __call__(self, body: bytes) -> int:
        """Return the status that *body* is answered with. Raises `FAILURES`."""
        async with asyncio.timeout(self._patience):
            line = self._rested() or await asyncio.open_connection(
                self._host, self._port, ssl=self._tls
            )
            reader, writer = line
            usable = False
            try:
                writer.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
                status, usable = await _answer(reader)
            finally:
                if usable:
                    self._resting.append(line)
                else:
                    writer.close()
        return status

    async def close(self) -> None:
        """Let go of the connections."""
        while self._resting:
            _, writer = self._resting.pop()
            writer.close()
            with suppress(*FAILURES):
                await writer.wait_closed()

    def _rested(self) -> _Line | None:
        """Return a connection that its server has not closed meanwhile."""
        while self._resting:
            reader, writer = self._resting.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return None


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Return the status, and whether another request may follow it."""
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        match = _STATUS.match(head)
        if not match:
            raise ValueError("no HTTP")
        status = int(match[2])
        if status not in _INTERIM:
            break
    length = _LENGTH.search(head)
    size = 0 if status in _BODILESS else int(length[1]) if length else LARGEST_BODY + 1
    if match[1] == b"0" or _CLOSING.search(head) or size > LARGEST_BODY:
        return status, False
    await reader.readexactly(size)
    return status, True
