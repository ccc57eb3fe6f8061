"""The least that a durable send is: a row flushed in a group, a call to a carrier."""

import asyncio
import json
import os
from urllib.parse import urlsplit

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from bench.floors.keeping import keep

CARRIER = urlsplit(os.environ["RBM_URL"])

_lines: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []


async def _call(target: str, body: bytes) -> None:
    host, port = CARRIER.hostname, CARRIER.port
    line = _lines.pop() if _lines else await asyncio.open_connection(host, port)
    reader, writer = line
    head = f"POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}"
    writer.write(head.encode() + b"\r\n\r\n" + body)
    answer = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = answer.partition(b"content-length:")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length))
    _lines.append(line)


@functions_framework.aio.http
async def accepting(request: Request) -> Response:
    data = await request.body()
    body = json.loads(data)
    await keep(data)
    content = json.dumps({"contentMessage": body["contentMessage"]}).encode()
    await _call(f"{CARRIER.path}{request.url.path}", content)
    return Response(b"{}", media_type="application/json")
