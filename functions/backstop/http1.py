"""Answers of HTTP/1.1, read out of what a server sends. Pure."""

import re
from collections.abc import Mapping

from msgspec import Struct

LARGEST_HEAD = 64 * 1024

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: .*)?")
_DIGITS = re.compile(r"[0-9]{1,12}")
_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;.*)?")
_BODILESS = frozenset({204, 304})


class Answer(Struct, frozen=True):
    """What came back; names of headers are in lower case."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}


class Reader:
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
        data, at = self._data, 0
        try:
            while True:
                end = data.find(b"\r\n", at)
                if (end if end >= 0 else len(data)) - at > LARGEST_HEAD:
                    raise ValueError("an endless line")
                if end < 0:
                    return False
                match = _SIZE.fullmatch(data, at, end)
                if not match:
                    raise ValueError("no chunk")
                size = int(match[1], 16)
                if size > self._largest:
                    raise ValueError("too large")
                if not size:
                    break
                begin, end = end + 2, end + 2 + size
                if len(data) < end + 2:
                    return False
                if data[end : end + 2] != b"\r\n":
                    raise ValueError("no chunk")
                self._keep(data[begin:end])
                at = end + 2
        finally:
            self._data = data[at:]
        return self._read_trailers()

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
