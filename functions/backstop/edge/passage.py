"""The rest of the RBM API: handed on to RBM unchanged, and to nowhere else.

What is called there is put together from what was understood here: a path of the
table below, a checked phone, known parameters. Nothing else of the caller's goes
along but the body and its type; its credentials least of all.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from backstop.domain.invalid import Invalid
from backstop.edge.answers import DRAIN, Problem, read_body
from backstop.edge.asked import (
    PHONE,
    check_phone,
    find_agent,
    read_query,
    wrong_method,
)
from backstop.edge.workers import Workers
from backstop.errors import ProviderError, Throttled
from backstop.ports import Ports, Relay, Relayed
from backstop.settings import Settings
from backstop.usecases.reach import warm

KIB, MIB = 1024, 1024 * 1024

UPLOADS = 8
"""Uploads at once. Each holds a connection for as long as its sender takes."""

SILENCE = 20.0
"""Seconds that an upload may rest."""

PASSED = frozenset(
    {"$.xgafv", "fields", "prettyPrint", "uploadType", "upload_protocol"}
)
"""Of Google's own parameters those that shape an answer; not the caller's keys."""

SESSIONS = frozenset({"resumable"})
"""Uploads in several requests, the later ones to an address that RBM gives out."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method of the RBM API, and what it takes.

    `own` are its query parameters. `body_agent`: its body may name the agent.
    `streams`: what it takes is too much to be held.
    """

    path: str
    limit: int = 64 * KIB
    own: frozenset[str] = frozenset({"agentId"})
    body_agent: bool = False
    streams: bool = False


BATCH = Method(path="/v1/users:batchGet", limit=MIB, body_agent=True)

METHODS = {
    ("v1", "files"): Method(path="/v1/files", limit=MIB, body_agent=True),
    ("upload", "v1", "files"): Method(
        path="/upload/v1/files", limit=100 * MIB, streams=True
    ),
    ("v1", "users:batchGet"): BATCH,
}

METHODS_OF_A_PHONE = {
    "testers": Method(path="testers"),
    "dialogflowMessages": Method(
        path="dialogflowMessages", own=frozenset({"agentId", "messageIdPrefix"})
    ),
    # Of an older RBM, which knows no agentId here and refuses what it does not know.
    "capability:requestCapabilityCallback": Method(
        path="capability:requestCapabilityCallback", own=frozenset()
    ),
}


@dataclass(frozen=True)
class Way:
    """Where a request goes."""

    method: Method
    path: str

    @classmethod
    def of(cls, segments: list[str]) -> Self | None:
        """Return the way of a path, None if it leads nowhere. Raises Invalid."""
        match segments:
            case ["v1", "phones", phone, name] if name in METHODS_OF_A_PHONE:
                check_phone(phone)
                return cls(METHODS_OF_A_PHONE[name], f"/v1/phones/{phone}/{name}")
            case _:
                method = METHODS.get(tuple(segments))
                return cls(method, method.path) if method else None


class Passage:
    """Hands requests on."""

    def __init__(
        self, ports: Ports, settings: Settings, relay: Relay, workers: Workers
    ) -> None:
        self._ports = ports
        self._settings = settings
        self._relay = relay
        self._workers = workers
        self._uploads = asyncio.Semaphore(UPLOADS)

    async def __call__(self, request: Request, way: Way) -> Response:
        if request.method != "POST":
            raise wrong_method("POST")
        query = read_query(request, way.method.own)
        for name in ("uploadType", "upload_protocol"):
            if query.get(name) in SESSIONS:
                raise Invalid(name, "must be an upload in one request")
        if way.method.streams:
            return await self._stream(request, way, query)
        # Small enough to be held: what a new token asks for once more is still there.
        raw = await read_body(request, way.method.limit)
        body = _json(raw) if way.method.body_agent else {}
        query = self._query(way, query, body)
        passed = await self._forward(request, way, query, raw)
        if way.method is BATCH and self._ports.reaches:
            await self._workers.run(lambda: self._learn(query, body, passed))
        return _response(passed)

    def _query(
        self, way: Way, query: dict[str, str], body: dict[str, Any]
    ) -> dict[str, str]:
        """Return what is asked of RBM, with the agent. Raises Invalid."""
        kept = {n: v for n, v in query.items() if n in way.method.own | PASSED}
        if "agentId" not in way.method.own:
            return kept
        agents = self._settings.agents
        named = body.get("agentId") or body.get("agent_id")
        if named is not None:
            # RBM may heed either: both must be ours.
            named = find_agent(agents, str(named)).name
        given = query.get("agentId") or named or ""
        return kept | {"agentId": find_agent(agents, given).name}

    async def _stream(
        self, request: Request, way: Way, query: dict[str, str]
    ) -> Response:
        query = self._query(way, query, {})
        length = _length(request, way.method.limit)
        parts = _Parts(request, way.method.limit)
        try:
            if length == 0:
                passed = await self._forward(request, way, query, b"")
            else:
                async with self._uploads:
                    passed = await self._forward(request, way, query, parts, length)
        except Problem as problem:
            response = problem.response()
        else:
            response = _response(passed)
        if not await parts.drain():
            response.headers["Connection"] = "close"
        return response

    async def _forward(
        self,
        request: Request,
        way: Way,
        query: dict[str, str],
        body: bytes | AsyncIterator[bytes],
        length: int | None = None,
    ) -> Relayed:
        try:
            return await self._relay.forward(
                path=way.path,
                query=query,
                content_type=request.headers.get("content-type", ""),
                body=body,
                length=length,
            )
        except Throttled:
            raise Problem(
                503,
                "RBM was not reached, and did nothing",
                headers={"Retry-After": "1"},
            ) from None
        except ProviderError:
            raise Problem(503, "RBM did not answer: outcome unknown") from None

    def _learn(
        self, query: dict[str, str], body: dict[str, Any], passed: Relayed
    ) -> None:
        """Remember whom RCS reaches, of all that were asked for."""
        if passed.status != 200 or "fields" in query:  # noqa: PLR2004 - HTTP's
            return
        asked: Any = body.get("users")
        # An empty list is left out of an answer.
        reachable: Any = _json(passed.body).get("reachableUsers", [])
        if not (_phones(asked) and _phones(reachable)):
            return
        warm(
            self._ports,
            agent=query["agentId"],
            asked=[phone for phone in asked if PHONE.fullmatch(phone)],
            reachable=frozenset(reachable),
            lives=self._settings.reach,
        )


class _Parts:
    """A request's body, part by part.

    The next is asked for when the last was sent on, and the server reads no further
    from a sender than that: nothing piles up.
    """

    def __init__(self, request: Request, limit: int) -> None:
        self._stream: AsyncIterator[bytes] = aiter(request.stream())
        self._limit = limit
        self._size = 0

    def __aiter__(self) -> "_Parts":
        return self

    async def drain(self) -> bool:
        """Read on, up to a point: else nobody would read our answer.

        Returns whether that was the end.
        """
        size = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(SILENCE):
                async for part in self._stream:
                    size += len(part)
                    if size > DRAIN:
                        return False
                return True
        return False

    async def __anext__(self) -> bytes:
        """Return the next part. Raises Problem."""
        try:
            async with asyncio.timeout(SILENCE):
                part = await anext(self._stream)
        except TimeoutError:
            raise Problem(
                408,
                f"body: nothing came for {SILENCE:g} seconds",
                status="DEADLINE_EXCEEDED",
                headers={"Connection": "close"},
            ) from None
        self._size += len(part)
        if self._size > self._limit:
            raise _too_large(self._limit)
        return part


def _length(request: Request, limit: int) -> int | None:
    """Return the length that is announced, None if it is not. Raises Problem."""
    given = request.headers.get("content-length", "")
    if "transfer-encoding" in request.headers:
        # That alone counts then, and the length may be anything.
        return None
    if not given.isascii() or not given.isdigit():
        return None
    length = int(given)
    if length > limit:
        raise _too_large(limit)
    return length


def _too_large(limit: int) -> Problem:
    return Problem(
        413,
        f"body: must not be larger than {limit} bytes",
        headers={"Connection": "close"},
    )


def _json(raw: bytes) -> dict[str, Any]:
    """Return the object in *raw*, an empty one if there is none: RBM will say so."""
    try:
        body = msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _phones(given: Any) -> bool:
    return isinstance(given, list) and all(isinstance(phone, str) for phone in given)


def _response(passed: Relayed) -> Response:
    headers = {"Retry-After": passed.retry_after} if passed.retry_after else None
    return Response(
        passed.body,
        passed.status,
        headers,
        media_type="application/json; charset=utf-8",
    )
