"""Hints that something changed, as server-sent events. The page asks what."""

import asyncio
import json
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from backstop.errors import Unavailable

if TYPE_CHECKING:
    from machine.machine import Machine

BETWEEN_LOOKS = 0.1
"""Seconds. A look costs a few reads of what is indexed."""

HEARTBEAT = 15.0

KINDS = {"/simulator/carriers": "carriers", "/simulator/phones": "phones"}
"""What a call that changes something at this path changes; others, messages."""

Looks = dict[str, object]


class Changes:
    """Counts the calls that changed something in the simulated world."""

    def __init__(self, app: ASGIApp, *, counts: Counter[str]) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        finally:
            if scope["type"] == "http" and scope["method"] != "GET":
                root = "/".join(scope["path"].split("/", 3)[:3])
                self._counts[KINDS.get(root, "messages")] += 1


class Stream:
    """Tells whoever listens which kinds of things changed.

    A hint may come before the change is there to be seen; one more follows when all
    that was due has come to rest, so who looks at each hint has seen the last state.
    """

    def __init__(self, machine: "Machine", counts: Counter[str]) -> None:
        self._machine = machine
        self._counts = counts
        machine.clock.on_change(lambda: counts.update(clock=1))

    async def __call__(self, _request: Request) -> Response:
        return StreamingResponse(
            self._hints(),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store"},
        )

    async def _hints(self) -> AsyncIterator[str]:
        known: Looks = {}
        stale: set[str] = set()
        told_at = time.monotonic()
        while True:
            try:
                seen, settled = await asyncio.to_thread(self._look)
            except (sqlite3.Error, Unavailable):
                # The machine is being stopped, and waits for whoever listens.
                return
            stale |= {kind for kind in seen if seen[kind] != known.get(kind, ())}
            hint = {kind for kind in stale if settled or seen[kind] != known.get(kind)}
            known = seen
            if hint:
                yield _event({"kinds": sorted(hint), "settled": settled})
                told_at = time.monotonic()
            elif time.monotonic() - told_at > HEARTBEAT:
                yield ": still here\n\n"
                told_at = time.monotonic()
            if settled:
                stale.clear()
            await asyncio.sleep(BETWEEN_LOOKS)

    def _look(self) -> tuple[Looks, bool]:
        machine, counts = self._machine, self._counts
        carriers_due = machine.simulator.next_due()
        newest = [
            (event.at, event.attributes.get("ce-id"))
            for event in machine.ground.newest_events(1)
        ]
        seen: Looks = {
            "clock": counts["clock"],
            "carriers": counts["carriers"],
            "phones": (counts["phones"], counts["messages"], carriers_due),
            "messages": (counts["messages"], newest, machine.ground.next_due()),
        }
        return seen, machine.settled()


def _event(data: Any) -> str:
    return f"event: change\ndata: {json.dumps(data)}\n\n"
