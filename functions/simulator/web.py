"""The HTTP edge of the carriers: reading a request, refusing it, hanging up on it."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

LIMIT = 1 << 20

_log = logging.getLogger("simulator")


class Refusal(Exception):  # noqa: N818 - it is an answer, not a fault of ours
    """A request that is answered with an error. *fields* are (name, what is wrong)."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str = "",
        fields: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.fields = fields


def wrong(field_name: str, description: str) -> Refusal:
    """Make the 400 for one field."""
    return Refusal(
        400, f"{field_name}: {description}", fields=((field_name, description),)
    )


@dataclass(frozen=True)
class Call:
    """One request, read to its end."""

    method: str
    path: Mapping[str, str]
    query: QueryParams
    headers: Headers
    url_path: str
    body: bytes = field(repr=False)


class Lost(Response):
    """An answer that never reaches the client: the connection is closed instead."""


@dataclass(frozen=True)
class Verdict:
    """What a carrier's faults do to one request."""

    wait: float = 0.0
    refusal: Refusal | None = None
    lose_request: bool = False
    lose_answer: bool = False


Handler = Callable[[Call], Response]
Shape = Callable[[Refusal, str], Response]
Gate = Callable[[], Verdict]


def json_response(value: Any, status: int = 200) -> Response:
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Response(
        body,
        status,
        media_type="application/json",
        headers={"cache-control": "no-store"},
    )


class Resource:
    """All methods of one path.

    Handlers run on the loop, since they are short and the store is had by one at a
    time; those that wait for somebody run on *workers*.
    """

    def __init__(
        self,
        shape: Shape,
        handlers: Mapping[str, Handler],
        *,
        gates: Mapping[str, Gate] | None = None,
        limit: int = LIMIT,
        workers: Executor | None = None,
    ) -> None:
        self._shape = shape
        self._handlers = handlers
        self._gates = gates or {}
        self._limit = limit
        self._workers = workers

    def at(self, path: str) -> Route:
        return Route(path, self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read(receive, self._limit)
        if body is None:
            return
        try:
            answer = await self._answer(scope, body)
        except Refusal as refusal:
            answer = self._shape(refusal, scope["path"])
        except Exception as error:  # noqa: BLE001 - the edge: no traceback leaves
            # Neither the text nor the trace: either may hold a message or a number.
            _log.error("request failed: %s", type(error).__name__)
            answer = self._shape(Refusal(500, "Internal error."), scope["path"])
        if isinstance(answer, Lost):
            await _hang_up(receive, send)
        else:
            await answer(scope, receive, send)

    async def _answer(self, scope: Scope, body: bytes | Refusal) -> Response:
        handler = self._handlers.get(scope["method"])
        if handler is None:
            allowed = ", ".join(self._handlers)
            answer = self._shape(
                Refusal(405, f"The method is not allowed here, only {allowed}."),
                scope["path"],
            )
            answer.headers["allow"] = allowed
            return answer
        if isinstance(body, Refusal):
            raise body
        call = Call(
            scope["method"],
            scope.get("path_params", {}),
            QueryParams(scope.get("query_string", b"")),
            Headers(scope=scope),
            scope["path"],
            body,
        )
        gate = self._gates.get(scope["method"])
        if gate is None:
            return await self._do(handler, call)
        verdict = gate()
        if verdict.wait:
            await asyncio.sleep(verdict.wait)
        if verdict.lose_request:
            return Lost()
        if verdict.refusal:
            raise verdict.refusal
        answer = await self._do(handler, call)
        return Lost() if verdict.lose_answer else answer

    async def _do(self, handler: Handler, call: Call) -> Response:
        if self._workers is None:
            return handler(call)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, handler, call)


async def _read(receive: Receive, limit: int) -> bytes | Refusal | None:
    """Read the body; a refusal if it is too long (read to its end); None if broken."""
    chunks: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return None
        chunk = event.get("body", b"")
        size += len(chunk)
        if size <= limit:
            chunks.append(chunk)
        if not event.get("more_body"):
            break
    if size > limit:
        return Refusal(400, f"Request payload size exceeds the limit: {limit} bytes.")
    return b"".join(chunks)


async def _hang_up(receive: Receive, send: Send) -> None:
    # ASGI has no word for closing a connection unanswered; uvicorn's receive is a
    # method of the object that holds the transport.
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    if transport is not None:
        transport.abort()
        for _ in range(3):  # the server must notice before we return
            await asyncio.sleep(0)
        return
    # Elsewhere an answer that breaks off before its body is the next best thing.
    headers = [(b"content-length", b"1"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
