"""The least that a durable send is: a row flushed in a group, a call to a carrier."""

import asyncio
import json
import os
import sqlite3
import threading
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

PATH = os.environ["FLOOR_DB"]
CARRIER = urlsplit(os.environ["RBM_URL"])
GROUP = 256

_queue: SimpleQueue[tuple[bytes, asyncio.Future[None]]] = SimpleQueue()
_lines: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
_started = False


def _write(loop: asyncio.AbstractEventLoop) -> None:
    connection = sqlite3.connect(PATH, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS kept (id INTEGER PRIMARY KEY, data)")
    while True:
        group = [_queue.get()]
        while len(group) < GROUP:
            try:
                group.append(_queue.get_nowait())
            except Empty:
                break
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "INSERT INTO kept (data) VALUES (?)", [(data,) for data, _ in group]
        )
        connection.execute("COMMIT")
        loop.call_soon_threadsafe(_answer, [done for _, done in group])


def _answer(group: list[asyncio.Future[None]]) -> None:
    for done in group:
        if not done.done():
            done.set_result(None)


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
    global _started  # noqa: PLW0603 - a thread does not survive the server's fork
    loop = asyncio.get_running_loop()
    if not _started:
        _started = True
        threading.Thread(target=_write, args=(loop,), daemon=True).start()
    data = await request.body()
    body = json.loads(data)
    done = loop.create_future()
    _queue.put((data, done))
    await done
    content = json.dumps({"contentMessage": body["contentMessage"]}).encode()
    await _call(f"{CARRIER.path}{request.url.path}", content)
    return Response(b"{}", media_type="application/json")
