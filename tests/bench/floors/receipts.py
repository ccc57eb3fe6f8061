"""Both carriers as fast as can be, and Bandwidth's receipt for every SMS.

    python receipts.py PORT CALLBACK_URL

It is brought as Bandwidth brings it: without credentials first, and with them when they
are asked for. RBM does not know the phone of a message whose id says "unreachable".
"""

import asyncio
import json
import sys
from base64 import b64encode
from datetime import UTC, datetime
from itertools import count
from urllib.parse import urlsplit

from carrier import Carrier, answered

from machine.credentials import DEFAULTS

CALLERS = 32
TRANSIT = 0.2
UNREACHABLE = answered("404 Not Found", b'{"error": {"code": 404}}')
CREDENTIALS = b64encode(DEFAULTS["BANDWIDTH_CALLBACKS"].encode()).decode()

_receipts: asyncio.Queue[bytes] = asyncio.Queue()
_numbers = count(1)


class Receipting(Carrier):
    """One connection."""

    def answer(self, asked: bytes, body: bytes) -> bytes:
        if b"unreachable" in asked:
            return UNREACHABLE
        if b"/messages" not in asked or b"/simulator/bandwidth" not in asked:
            return super().answer(asked, body)
        name = f"floor-{next(_numbers)}"
        receipt = _receipt(name, json.loads(body))
        loop = asyncio.get_running_loop()
        loop.call_later(TRANSIT, _receipts.put_nowait, receipt)
        queued = {"id": name, "segmentCount": 1}
        return answered("202 Accepted", json.dumps(queued).encode())


def _receipt(name: str, sent: dict[str, object]) -> bytes:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    message = {name: sent[name] for name in ("applicationId", "to", "from", "tag")}
    event = {
        "type": "message-delivered",
        "time": now,
        "description": "Message delivered to carrier",
        "to": sent["to"][0],  # type: ignore[index]
        "message": {**message, "id": name, "direction": "out", "segmentCount": 1},
    }
    return json.dumps([event]).encode()


async def _call(host: str, port: int, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\n"
    head += "Content-Type: application/json; charset=utf-8\r\n"
    body = await _receipts.get()
    # Whom it calls may begin after it does, and end before it.
    reader, writer = await asyncio.open_connection(host, port)
    while not reader.at_eof():
        for proof in ("", f"Authorization: Basic {CREDENTIALS}\r\n"):
            told = f"{head}{proof}Content-Length: {len(body)}\r\n\r\n"
            writer.write(told.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = answer.lower().partition(b"content-length:")[2].split(b"\r")[0]
            await reader.readexactly(int(length))
        body = await _receipts.get()


async def main(port: int, callback: str) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Receipting, "127.0.0.1", port, backlog=1024)
    to = urlsplit(callback)
    callers = (_call(to.hostname or "", to.port or 80, to.path) for _ in range(CALLERS))
    await asyncio.gather(server.serve_forever(), *callers, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
