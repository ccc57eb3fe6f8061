"""`send`: the app-facing API, in the RBM API's own shape."""

import hmac
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from backstop.domain.agent import Agent
from backstop.domain.consent import Wish
from backstop.domain.invalid import Invalid
from backstop.domain.message import (
    Closed,
    Json,
    Message,
    message_key,
)
from backstop.domain.times import parse_time
from backstop.edge.answers import (
    Problem,
    answer,
    error_info,
    parse_json,
    read_body,
)
from backstop.edge.asked import (
    check_id,
    check_phone,
    find_agent,
    read_query,
    wrong_method,
)
from backstop.edge.device import Device
from backstop.edge.order import read_order
from backstop.edge.passage import Passage, Way
from backstop.edge.workers import Workers
from backstop.ports import Ports, Relay, Stored
from backstop.settings import Settings
from backstop.usecases.accept import Differs, OptedOut, draft
from backstop.usecases.follow import acknowledge, cancel
from backstop.usecases.listen import House, be_told
from backstop.usecases.reach import accept_knowing
from backstop.usecases.view import agent_message, consent_view

BODY_LIMIT = 512 * 1024
"""Twice RBM's 250 KB: `fallback` and `metadata` travel in the same body."""

PAGE_SIZE = 50
LARGEST_PAGE = 100
CHOSEN = {Wish.OPTED_IN.value, Wish.OPTED_OUT.value}
CLOCKS_APART = timedelta(minutes=5)
CONSENT_LIMIT = 16 * 1024

SENDING = frozenset({"messageId", "agentId", "validateOnly"})
LISTING = frozenset({"agentId", "pageSize", "pageToken"})
NAMING = frozenset({"agentId"})
"""What each method knows: a mistyped `messageId` would quietly cost promise 2."""

Work = Callable[[], Response]


class Api:
    """Routes a request to a use case."""

    def __init__(
        self,
        ports: Ports,
        settings: Settings,
        house: House,
        workers: Workers,
        relay: Relay,
    ) -> None:
        self._device = Device(ports, settings, workers)
        self._passage = Passage(ports, settings, relay, workers)
        self._ports = ports
        self._settings = settings
        self._house = house
        self._workers = workers

    async def __call__(self, request: HttpRequest) -> Response:
        self._admit(request)
        path = request.scope.get("raw_path") or request.url.path.encode()
        segments = [
            unquote(part) for part in path.decode("latin-1").strip("/").split("/")
        ]
        match segments:
            case ["v1", "phones", phone, "agentMessages"]:
                work = await self._collection(request, phone)
            case ["v1", "phones", phone, "agentMessages", name]:
                work = await self._one(
                    request, phone, name, read_query(request, NAMING)
                )
            case ["v1", "phones", phone, "consent"]:
                work = await self._consent(request, phone, read_query(request, NAMING))
            case ["v1", "phones", phone, "agentEvents"]:
                return await self._device.event(request, phone)
            case ["v1", "phones", phone, "capabilities"]:
                return await self._device.capabilities(request, phone)
            case _ if way := Way.of(segments):
                return await self._passage(request, way)
            case _:
                raise Problem(404, "no such method; see the README for the API")
        return await self._workers.run(work)

    def _admit(self, request: HttpRequest) -> None:
        if not self._settings.api_token:
            return
        wanted = f"Bearer {self._settings.api_token}".encode()
        given = request.headers.get("authorization", "").encode("latin-1")
        if not hmac.compare_digest(given, wanted):
            raise Problem(
                401,
                "a valid bearer token is needed",
                headers={"WWW-Authenticate": "Bearer"},
            )

    async def _collection(self, request: HttpRequest, phone: str) -> Work:
        check_phone(phone)
        query = read_query(request, LISTING if request.method == "GET" else SENDING)
        if request.method == "POST":
            raw = await read_body(request, BODY_LIMIT)
            return lambda: self._send(phone, query, raw)
        if request.method == "GET":
            return lambda: self._list(phone, query)
        raise wrong_method("GET, POST")

    async def _one(
        self, request: HttpRequest, phone: str, name: str, query: Mapping[str, str]
    ) -> Work:
        check_phone(phone)
        # A custom verb is Google's way; an id may hold colons of its own.
        acknowledged = name.removesuffix(":acknowledge")
        if request.method == "POST" and acknowledged != name:
            await read_body(request, BODY_LIMIT)
            return lambda: self._acknowledge(phone, acknowledged, query)
        if request.method == "GET":
            return lambda: self._get(phone, name, query)
        if request.method == "DELETE":
            await read_body(request, BODY_LIMIT)
            return lambda: self._cancel(phone, name, query)
        raise wrong_method("GET, DELETE")

    def _send(self, phone: str, query: Mapping[str, str], raw: bytes) -> Response:
        agent = self._agent(query)
        message_id = query.get("messageId") or self._ports.random.new_id()
        check_id("messageId", message_id)
        order = read_order(
            raw,
            agent=agent,
            message_id=message_id,
            phone=phone,
            settings=self._settings,
            now=self._ports.clock.now(),
        )
        if _asks_only(query):
            # What it would be, and nothing of what became of it.
            preview = agent_message(draft(order))
            del preview["delivery"], preview["sendTime"]
            return answer(preview)
        try:
            message = accept_knowing(self._ports, order, self._settings.reach)
        except Differs:
            raise Problem(
                409, "messageId: already used by a message with another body or phone"
            ) from None
        except OptedOut:
            raise Problem(
                400,
                "the recipient has opted out of messages like this one",
                status="FAILED_PRECONDITION",
                details=(error_info("RECIPIENT_OPTED_OUT"),),
            ) from None
        return answer(agent_message(message))

    async def _consent(
        self, request: HttpRequest, phone: str, query: Mapping[str, str]
    ) -> Work:
        check_phone(phone)
        if request.method == "GET":
            return lambda: self._tell_consent(phone, self._agent(query))
        if request.method == "PUT":
            raw = await read_body(request, CONSENT_LIMIT)
            return lambda: self._choose(phone, self._agent(query), raw)
        raise wrong_method("GET, PUT")

    def _choose(self, phone: str, agent: Agent, raw: bytes) -> Response:
        now = self._ports.clock.now()
        opted_in, at = _choice(parse_json(raw), now)
        be_told(
            self._ports,
            self._house,
            phone=phone,
            agent=agent.name,
            opted_in=opted_in,
            at=at,
        )
        return self._tell_consent(phone, agent)

    def _tell_consent(self, phone: str, agent: Agent) -> Response:
        known = self._ports.recipients.load(phone, agent.name).value
        return answer(consent_view(phone, agent.name, known))

    def _get(self, phone: str, name: str, query: Mapping[str, str]) -> Response:
        return answer(agent_message(self._find(phone, name, query).value))

    def _list(self, phone: str, query: Mapping[str, str]) -> Response:
        size = query.get("pageSize", str(PAGE_SIZE))
        if not re.fullmatch("[0-9]{1,9}", size) or int(size) < 1:
            raise Invalid("pageSize", "must be a positive number")
        try:
            page = self._ports.messages.of_phone(
                phone,
                limit=min(int(size), LARGEST_PAGE),
                token=query.get("pageToken", ""),
            )
        except ValueError:
            raise Invalid("pageToken", "is not one that was given out") from None
        wanted = self._agent(query).name if "agentId" in query else ""
        shown = [m for m in page.messages if wanted in {"", m.agent}]
        body: Json = {"agentMessages": [agent_message(m) for m in shown]}
        if page.next_token:
            body["nextPageToken"] = page.next_token
        return answer(body)

    def _cancel(self, phone: str, name: str, query: Mapping[str, str]) -> Response:
        found = self._find(phone, name, query)
        message = cancel(self._ports, found)
        if message.closed is not Closed.CANCELLED:
            raise Problem(
                404,
                "too late to cancel: the message was delivered, or its SMS is on"
                " its way",
                details=(error_info(message.outcome.value),),
            )
        return answer({})

    def _acknowledge(self, phone: str, name: str, query: Mapping[str, str]) -> Response:
        found = self._find(phone, name, query)
        return answer(agent_message(acknowledge(self._ports, found)))

    def _find(self, phone: str, name: str, query: Mapping[str, str]) -> Stored[Message]:
        check_id("messageId", name)
        key = message_key(self._agent(query).name, name)
        stored = self._ports.messages.load(key)
        if stored is None or stored.value.phone != phone:
            raise Problem(404, "no such message")
        return stored

    def _agent(self, query: Mapping[str, str]) -> Agent:
        return find_agent(self._settings.agents, query.get("agentId", ""))


def _asks_only(query: Mapping[str, str]) -> bool:
    given = query.get("validateOnly", "false")
    if given not in {"true", "false"}:
        raise Invalid("validateOnly", "must be true or false")
    return given == "true"


def _choice(body: Any, now: datetime) -> tuple[bool, datetime]:
    """Return whether the user opted in, and when. Raises Invalid."""
    if not isinstance(body, dict):
        raise Invalid("", "the body must be a JSON object")
    for name in set(body) - {"state", "at"}:
        raise Invalid(name[:64], "is not a known field")
    if body.get("state") not in CHOSEN:
        raise Invalid("state", "must be OPTED_IN or OPTED_OUT")
    try:
        at = parse_time(body["at"]) if "at" in body else now
    except (TypeError, ValueError):
        raise Invalid("at", "must be an RFC 3339 time") from None
    if at > now + CLOCKS_APART:
        raise Invalid("at", "must not lie in the future")
    return body["state"] == Wish.OPTED_IN.value, at
