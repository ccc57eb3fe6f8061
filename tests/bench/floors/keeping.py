"""The least that a durable write is: a row in SQLite, flushed in groups."""

import asyncio
import os
import sqlite3
import threading
from queue import Empty, SimpleQueue

PATH = os.environ["FLOOR_DB"]
GROUP = int(os.environ.get("FLOOR_GROUP", "256"))

_queue: SimpleQueue[tuple[bytes, asyncio.Future[None]]] = SimpleQueue()
_started = False


async def keep(data: bytes) -> None:
    """Return when *data* is flushed."""
    global _started  # noqa: PLW0603 - a thread does not survive the server's fork
    loop = asyncio.get_running_loop()
    if not _started:
        _started = True
        threading.Thread(target=_write, args=(loop,), daemon=True).start()
    done = loop.create_future()
    _queue.put((data, done))
    await done


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
