"""Both carriers as fast as can be: the same answer to whatever is asked.

    python carrier.py PORT

takes the paths of `machine.credentials.carrier_settings`.
"""

import asyncio
import sys


def answered(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


TOKEN = answered(
    "200 OK",
    b'{"access_token": "floor", "expires_in": 3600, "token_type": "Bearer"}',
)
TAKEN = answered("200 OK", b"{}")
QUEUED = answered("202 Accepted", b'{"id": "floor-1", "segmentCount": 1}')


class Carrier(asyncio.Protocol):
    """One connection. Requests may come in parts, but one at a time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._left = b""

    def data_received(self, data: bytes) -> None:
        data = self._left + data if self._left else data
        head, found, body = data.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            self._left = data
            return
        self._left = b""
        self._transport.write(self.answer(head[: head.index(b"\r\n")], body))

    def answer(self, asked: bytes, _body: bytes) -> bytes:
        """Return the answer to a request of which *asked* is the first line."""
        if b"/token" in asked:
            return TOKEN
        return QUEUED if b"/simulator/bandwidth" in asked else TAKEN


def _length(head: bytes) -> int:
    lower = head.lower()
    at = lower.find(b"\r\ncontent-length:")
    return int(lower[at + 17 :].partition(b"\r\n")[0]) if at >= 0 else 0


async def main(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Carrier, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
