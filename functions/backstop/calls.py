"""HTTP/1.1 calls over lasting connections, as an event loop makes them.

What is told apart is what a sender has to know: whether a request can have taken
effect. Of HTTP there is here what servers answer to such calls, and no more: no
redirects, cookies, proxies or compression. A library for clients takes many times as
long for it as all the rest of a call; and httptools, which would not, uvicorn also
serves with once it is installed, and takes a trailer for a header.
"""

import asyncio
import select
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

from backstop import fibres
from backstop.http1 import Answer, Reader

LARGEST_ANSWER = 4 * 1024 * 1024

LONGEST_REST = 60.0
"""Seconds after which a connection is not trusted: what lies between forgets some."""


class NotSent(Exception):  # noqa: N818 - named for what happened
    """Nobody was reached: the request has not left."""


class NoAnswer(Exception):  # noqa: N818 - named for what happened
    """No whole answer came, or not in time. The request may have been read."""


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
        self._closed = False

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
            if line.reusable and not self._closed:
                self._resting.setdefault(loop, []).append(line)
            else:
                line.drop()
        return answer

    def close(self) -> None:
        """Let go of the connections that rest, and of each that comes to rest."""
        self._closed = True
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
        return head.encode("latin-1") + b"\r\n\r\n"

    async def _line(self, loop: asyncio.AbstractEventLoop, *, end: float) -> "_Line":
        resting = self._resting.get(loop)
        while resting:
            line = resting.pop()
            if line.is_fresh():
                return line
            line.rest()
        # A time-out is an OSError too, and so is a certificate that is not believed.
        with suppress(OSError, ValueError):
            async with asyncio.timeout_at(end):
                found = await loop.getaddrinfo(
                    self._host, self._port, type=socket.SOCK_STREAM
                )
            for left in range(len(found), 0, -1):
                family, *_, address = found[-left]
                # A dead address leaves their time to the others.
                until = loop.time() + (end - loop.time()) / left
                with suppress(OSError, ValueError):
                    async with asyncio.timeout_at(until):
                        return await self._connect(loop, family, address)
        raise NotSent

    async def _connect(
        self, loop: asyncio.AbstractEventLoop, family: int, address: tuple[Any, ...]
    ) -> "_Line":
        _, line = await loop.create_connection(
            lambda: _Line(loop, self._largest),
            *address[:2],
            family=family,
            ssl=_trusted() if self._tls else None,
            server_hostname=self._host if self._tls else None,
        )
        return line


class _Line(asyncio.Protocol):
    """One connection, on which one call follows another."""

    def __init__(self, loop: asyncio.AbstractEventLoop, largest: int) -> None:
        self.reusable = False
        self._loop = loop
        self._reader = Reader(largest)
        # None is what a failure brings. Done: nothing is asked.
        self._answered: asyncio.Future[Answer | None] = self._loop.create_future()
        self._answered.set_result(None)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._whole = self._lost = False
        self._rests_since = 0.0

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
        rested = self._loop.time() - self._rests_since
        if self._lost or self._transport.is_closing() or rested > LONGEST_REST:
            return False
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    def begin(self, head: bytes, body: bytes | Body | None) -> None:
        """Send the request, or what there is of it. Raises NotSent."""
        if self._lost or self._transport.is_closing():
            raise NotSent
        self._answered = self._loop.create_future()
        self.reusable = False
        self._whole = not isinstance(body, Body)
        self._transport.write(head + body if isinstance(body, bytes) else head)

    async def send(self, body: Body, *, patience: float) -> None:
        """Send all parts, or as many as are wanted.

        Raises NoAnswer, also for more or less than was announced: what is left of it
        would be read as a request, or a request as its rest.
        """
        size = 0
        async for part in body.parts:
            size += len(part)
            if self._answered.done():
                # It was judged by its beginning: the rest is nobody's.
                return
            if body.length is not None and size > body.length:
                raise NoAnswer
            if part:
                framed = b"%x\r\n%b\r\n" % (len(part), part)
                self._transport.write(framed if body.length is None else part)
            try:
                async with asyncio.timeout(patience):
                    await self._flowing.wait()
            except TimeoutError:
                raise NoAnswer from None
        if self._answered.done():
            return
        if body.length is None:
            self._transport.write(b"0\r\n\r\n")
        elif size < body.length:
            raise NoAnswer
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
        self._rests_since = self._loop.time()
        return answer

    def rest(self) -> None:
        self._transport.close()

    def drop(self) -> None:
        """Let go at once: what was not sent never will be."""
        self._transport.abort()

    def _bring(self, answer: Answer | None) -> None:
        if not self._answered.done():
            self._answered.set_result(answer)


@cache
def _trusted() -> ssl.SSLContext:
    """Return whom to trust; the system's own list may be missing in a small image."""
    from certifi import where

    return ssl.create_default_context(cafile=where())
