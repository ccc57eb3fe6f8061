"""What arrives at the one port, and where it belongs."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request

from backstop.edge.answers import Handler, Problem

PROVED = ("/webhook", "/sms_webhook")
"""Entry points that ask each caller for proof, whoever and wherever it is."""

FEW = 8
"""Messages that are accepted at a time where more is due than can be done."""

BUSY = "more is due than this machine can do at once; try again"

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Traffic:
    """Sends a request where it belongs, and counts those under way.

    `calls` counts all there were, by the function or the carrier they were for.
    Where more is due than can be done it lets in few new messages at a time: an app
    that is refused asks again, and what was accepted has a deadline.
    """

    def __init__(
        self,
        entries: Mapping[str, Handler],
        simulator: Starlette,
        host: str,
        *,
        guarded: bool,
        behind: Callable[[], bool],
    ) -> None:
        """Say that callers are told apart by a token if it is *guarded*.

        *behind* says whether more is due than can be done.
        """
        self._entries = entries
        self._simulator = simulator
        self._own = {*LOOPBACK, host}
        self._guarded = guarded
        self._behind = behind
        self._open = 0
        self._new = 0
        self.calls: Counter[str] = Counter()

    def idle(self) -> bool:
        return self._open == 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        entry = self._entry(scope["path"])
        self.calls[entry or _carrier(scope["path"])] += 1
        refusal = self._refusal(scope, ours=bool(entry))
        if refusal:
            await refusal.response()(scope, receive, send)
        elif _is_new(scope):
            await self._accept(self._entries[entry], scope, receive, send)
        elif entry:
            await self._enter(self._entries[entry], scope, receive, send)
        else:
            await self._simulator(scope, receive, send)

    async def _accept(
        self, entry: Handler, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if self._new >= FEW and self._behind():
            busy = Problem(503, BUSY, headers={"Retry-After": "1"})
            await busy.response()(scope, receive, send)
            return
        self._new += 1
        try:
            await self._enter(entry, scope, receive, send)
        finally:
            self._new -= 1

    async def _enter(
        self, entry: Handler, scope: Scope, receive: Receive, send: Send
    ) -> None:
        entered = 0

        async def receive_all() -> MutableMapping[str, Any]:
            # Under way is what has arrived: a slow sender must not hold up time.
            nonlocal entered
            event = await receive()
            if not event.get("more_body") and not entered:
                entered = 1
                self._open += 1
            return event

        try:
            response = await entry(Request(scope, receive_all))
            await response(scope, receive_all, send)
        finally:
            self._open -= entered

    def _entry(self, path: str) -> str:
        """Return the name of the entry point of a path, "" for the simulator's."""
        first, slash, _rest = path.lstrip("/").partition("/")
        if first in {"v1", "upload"}:
            return "send"
        entry = "" if slash or first == "send" else first
        return entry if entry in self._entries else ""

    def _refusal(self, scope: Scope, *, ours: bool) -> Problem | None:
        """Return why this caller is not served, if it is not.

        Without a token only this machine is, and no web page of another site,
        by whatever name it calls this host. The simulator never is to others.
        """
        if ours and (self._guarded or scope["path"] in PROVED):
            return None
        if scope["client"][0] not in self._own:
            return Problem(404, "no such path; see the README")
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        name, colon, _port = host.rpartition(":")
        if (name if colon else host) not in self._own:
            return Problem(403, "served to this machine alone, by its own name")
        origin = headers.get("origin")
        if origin and origin != f"http://{host}":
            return Problem(403, "no other site's page is served")
        return None


def _is_new(scope: Scope) -> bool:
    """Whether it asks for a message to be accepted."""
    path: str = scope["path"]
    asked = path.startswith("/v1/") and path.endswith("/agentMessages")
    return asked and scope["method"] == "POST"


def _carrier(path: str) -> str:
    """Return which carrier is called, "" for none; fetching a token is no call."""
    part = path.removeprefix("/simulator/").partition("/")[0]
    return "" if path.endswith("/token") else part
