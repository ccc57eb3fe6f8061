"""HTTP/1.1 calls over lasting connections, as an event loop makes them.

What is told apart is what a sender has to know: whether a request can have taken
effect. Of HTTP there is here what servers answer to such calls, and no more: no
redirects, cookies, proxies or compression. A library for clients takes many times as
long for it as all the rest of a call; and httptools, which would not, uvicorn also
serves with once it is installed, and takes a trailer for a header.
"""

import asyncio
import re
import select
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from functools import cache
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from msgspec import Struct

from backstop import fibres

LARGEST_ANSWER = 4 * 1024 * 1024
LARGEST_HEAD = 64 * 1024

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: .*)?")
_DIGITS = re.compile(r"[0-9]{1,12}")
_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;.*)?")
_BODILESS = frozenset({204, 304})


class NotSent(Exception):  # noqa: N818 - named for what happened
    """Nobody was reached: the request has not left."""


class NoAnswer(Exception):  # noqa: N818 - named for what happened
    """No whole answer came, or not in time. The request may have been read."""


class Answer(Struct, frozen=True):
    """What came back; names of headers are in lower case."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}


class Body(NamedTuple):
    """What is sent as it comes, in `length` bytes if that is known."""

    parts: AsyncIterator[bytes]
    length: int | None = None


class Caller:
    """Calls what lies below one URL, and keeps connections to it."""

    def __init__(self, url: str, *, largest: int = LARGEST_ANSWER) -> None:
        """Take answers of at most *largest* bytes. Raises ValueError for no URL."""
        parts = urlsplit(url)
        self._tls = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._tls else 80)
        self._named = parts.netloc
        self._prefix = parts.path.rstrip("/")
        self._largest = largest
        self._resting: dict[asyncio.AbstractEventLoop, list[_Line]] = {}

    def call(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        connect: float,
        within: float,
    ) -> Answer:
        """Return the whole answer, waiting as fibres or threads do.

        It comes *within* so many seconds, of which the connection may take *connect*.
        Raises NotSent and NoAnswer.
        """
        return fibres.wait(
            self.ask(
                method, path, headers=headers, body=body, connect=connect, within=within
            )
        )

    async def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        body: bytes | Body | None = None,
        connect: float,
        within: float,
    ) -> Answer:
        """Return the whole answer.

        A body that is sent as it comes may rest for *connect* seconds wherever it is
        not taken in, and the answer then comes *within* its time. Raises NotSent,
        NoAnswer, and what the body's parts raise.
        """
        head = self._head(method, path, headers, body)
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        line = await self._line(loop, end=min(end, loop.time() + connect))
        try:
            line.begin(head, body)
            if isinstance(body, Body):
                await line.send(body, patience=connect)
                end = loop.time() + within
            answer = await line.answer(end)
        finally:
            if line.reusable:
                self._resting.setdefault(loop, []).append(line)
            else:
                line.drop()
        return answer

    def close(self) -> None:
        """Let go of the connections that rest."""
        for loop, lines in self._resting.items():
            while lines:
                # A loop that was closed has closed them.
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(lines.pop().rest)

    def _head(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | Body | None,
    ) -> bytes:
        target = f"{self._prefix}{path}"
        if not target.startswith("/"):
            target = f"/{target}"
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self._named}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        length = body.length if isinstance(body, Body) else len(body or b"")
        if length is None:
            lines.append("Transfer-Encoding: chunked")
        elif length or method == "POST":
            lines.append(f"Content-Length: {length}")
        head = "\r\n".join(lines)
        if not head.count("\n") == head.count("\r") == len(lines) - 1:
            raise ValueError("a line's end in a request's head")
        return head.encode("ascii") + b"\r\n\r\n"

    async def _line(self, loop: asyncio.AbstractEventLoop, *, end: float) -> "_Line":
        resting = self._resting.get(loop)
        while resting:
            line = resting.pop()
            if line.is_fresh():
                return line
            line.rest()
        try:
            async with asyncio.timeout_at(end):
                _, line = await loop.create_connection(
                    lambda: _Line(loop, self._largest),
                    self._host,
                    self._port,
                    ssl=_trusted() if self._tls else None,
                )
        except (OSError, ValueError):
            # A time-out too, and a certificate that is not believed.
            raise NotSent from None
        return line


class _Line(asyncio.Protocol):
    """One connection, on which one call follows another."""

    def __init__(self, loop: asyncio.AbstractEventLoop, largest: int) -> None:
        self.reusable = False
        self._loop = loop
        self._reader = _Reader(largest)
        # None is what a failure brings. Done: nothing is asked.
        self._answered: asyncio.Future[Answer | None] = self._loop.create_future()
        self._answered.set_result(None)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._whole = self._lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._answered.done():
            self._transport.abort()
            return
        try:
            answer = self._reader.feed(data)
        except ValueError:
            self._bring(None)
        else:
            if answer:
                self._bring(answer)

    def eof_received(self) -> None:
        self._bring(self._reader.end())

    def connection_lost(self, _error: Exception | None) -> None:
        self._lost = True
        self._flowing.set()
        self._bring(None)

    def pause_writing(self) -> None:
        self._flowing.clear()

    def resume_writing(self) -> None:
        self._flowing.set()

    def is_fresh(self) -> bool:
        """Whether nothing has come since its last answer, not even its end.

        An instance may have stood still since: then its loop has yet to hear of it.
        """
        if self._lost or self._transport.is_closing():
            return False
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    def begin(self, head: bytes, body: bytes | Body | None) -> None:
        self._answered = self._loop.create_future()
        self.reusable = False
        self._whole = not isinstance(body, Body)
        self._transport.write(head + body if isinstance(body, bytes) else head)

    async def send(self, body: Body, *, patience: float) -> None:
        """Send all parts, or as many as are wanted. Raises NoAnswer."""
        async for part in body.parts:
            if self._answered.done():
                # It was judged by its beginning: the rest is nobody's.
                return
            if part:
                framed = b"%x\r\n%b\r\n" % (len(part), part)
                self._transport.write(framed if body.length is None else part)
            try:
                async with asyncio.timeout(patience):
                    await self._flowing.wait()
            except TimeoutError:
                raise NoAnswer from None
        if body.length is None:
            self._transport.write(b"0\r\n\r\n")
        self._whole = True

    async def answer(self, end: float) -> Answer:
        """Return the answer once it is whole. Raises NoAnswer."""
        timer = self._loop.call_at(end, self._bring, None)
        try:
            answer = await self._answered
        finally:
            timer.cancel()
        if answer is None:
            raise NoAnswer
        self.reusable = self._whole and self._reader.lasts
        return answer

    def rest(self) -> None:
        self._transport.close()

    def drop(self) -> None:
        """Let go at once: what was not sent never will be."""
        self._transport.abort()

    def _bring(self, answer: Answer | None) -> None:
        if not self._answered.done():
            self._answered.set_result(answer)


class _Reader:
    """Reads answers out of what a server sends, one after the other.

    Raises ValueError for what is no answer of HTTP's, or a larger one than is taken.
    """

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._begin()
        self._data = b""
        self.lasts = False

    def _begin(self) -> None:
        self._status = 0
        self._headers: dict[str, str] = {}
        self._chunked = False
        # Of the body, infinity until the connection's end.
        self._left: float = 0
        self._body: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> Answer | None:
        """Return the answer that *data* completes."""
        self._data = data = self._data + data if self._data else data
        if not self._status and not self._read_head():
            return None
        whole = self._read_chunks() if self._chunked else self._read_counted()
        return self._finish() if whole else None

    def end(self) -> Answer | None:
        """Return the answer that the end of all data completes, None if it cuts it."""
        self.lasts = False
        whole = self._status and self._left == float("inf")
        return self._finish() if whole else None

    def _finish(self) -> Answer:
        answer = Answer(self._status, b"".join(self._body), self._headers)
        if self._data:
            # More than was asked for: what it belongs to nobody can tell.
            self.lasts = False
        self._begin()
        return answer

    def _read_head(self) -> bool:
        while not self._status:
            head, found, rest = self._data.partition(b"\r\n\r\n")
            if len(head) > LARGEST_HEAD:
                raise ValueError("an endless head")
            if not found:
                return False
            self._data = rest
            first, *lines = head.split(b"\r\n")
            match = _STATUS.fullmatch(first)
            if not match:
                raise ValueError("no HTTP")
            status = int(match[2])
            if status >= 200:  # noqa: PLR2004 - below it more is to come
                self._status = status
                self._judge(lines, lasts=match[1] == b"1")
        return True

    def _judge(self, lines: list[bytes], *, lasts: bool) -> None:
        """Tell from an answer's headers where it ends, and whether another follows."""
        for line in lines:
            name, colon, value = line.decode("latin-1").partition(":")
            if colon:
                # Repeated, they are a list.
                known = self._headers.get(name.lower())
                value = value.strip(" \t")
                self._headers[name.lower()] = f"{known}, {value}" if known else value
        coding = self._headers.get("transfer-encoding")
        length = self._headers.get("content-length")
        if self._status in _BODILESS:
            self._left = 0
        elif coding is not None:
            if coding.lower() != "chunked":
                raise ValueError("a coding that was not asked for")
            self._chunked = True
        elif length is None:
            self._left = float("inf")
        elif _DIGITS.fullmatch(length):
            self._left = int(length)
        else:
            raise ValueError("no length")
        closing = "close" in self._headers.get("connection", "").lower()
        self.lasts = lasts and not closing and self._left != float("inf")

    def _read_counted(self) -> bool:
        part = self._data
        if self._left < len(part):
            part = part[: int(self._left)]
        self._data = self._data[len(part) :]
        self._left -= len(part)
        self._keep(part)
        return not self._left

    def _read_chunks(self) -> bool:
        while True:
            line, found, rest = self._data.partition(b"\r\n")
            if len(line) > LARGEST_HEAD:
                raise ValueError("an endless line")
            if not found:
                return False
            match = _SIZE.fullmatch(line)
            if not match:
                raise ValueError("no chunk")
            size = int(match[1], 16)
            if not size:
                return self._read_trailers()
            if size > self._largest:
                raise ValueError("too large")
            if len(rest) < size + 2:
                return False
            if rest[size : size + 2] != b"\r\n":
                raise ValueError("no chunk")
            self._keep(rest[:size])
            self._data = rest[size + 2 :]

    def _read_trailers(self) -> bool:
        """Leave them aside; there are none, usually."""
        _last, _found, rest = self._data.partition(b"\r\n")
        if rest.startswith(b"\r\n"):
            self._data = rest[2:]
            return True
        _trailers, found, after = rest.partition(b"\r\n\r\n")
        if len(rest) > LARGEST_HEAD:
            raise ValueError("endless trailers")
        if found:
            self._data = after
        return bool(found)

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._largest:
            raise ValueError("too large")
        self._body.append(part)


@cache
def _trusted() -> ssl.SSLContext:
    """Return whom to trust; the system's own list may be missing in a small image."""
    from certifi import where

    return ssl.create_default_context(cafile=where())
