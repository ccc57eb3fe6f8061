"""`send`: the app-facing API, in the RBM API's own shape."""

import hmac
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, unquote

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from backstop.domain.invalid import Invalid
from backstop.domain.message import (
    Closed,
    Json,
    Message,
    Policy,
    Request,
    Traffic,
    message_key,
)
from backstop.edge.answers import (
    Pool,
    Problem,
    answer,
    error_info,
    parse_json,
    read_body,
)
from backstop.ports import Ports
from backstop.providers.rbm import content
from backstop.providers.rbm.wire import bare_agent
from backstop.settings import Agent, Settings
from backstop.usecases.accept import Differs, OptedOut, Order, accept
from backstop.usecases.follow import acknowledge, cancel
from backstop.usecases.view import agent_message

BODY_LIMIT = 512 * 1024
"""Twice RBM's 250 KB: `fallback` and `metadata` travel in the same body."""

PHONE = re.compile(r"\+[0-9]{7,15}")
ID = re.compile(r"[!-.0-~]{1,255}")
PAGE_SIZE = 50
LARGEST_PAGE = 100
SMS_TEXT_LIMIT = 2048
ELLIPSIS = "..."
CHOICES = frozenset(Policy) - {Policy.NONE}
METADATA_LIMIT = 64
METADATA_VALUE_LIMIT = 1024

ELSEWHERE = re.compile(
    r"/(upload/)?v1/(files|users:batchGet|phones/[^/]+/"
    r"(agentEvents|capabilities|consent|testers|dialogflowMessages))"
)

PARAMETERS = frozenset(
    {
        *("messageId", "agentId", "pageSize", "pageToken"),
        # Google's own, on every method; here they change nothing.
        *("$.xgafv", "access_token", "alt", "callback", "fields", "key"),
        *("oauth_token", "prettyPrint", "quotaUser", "uploadType", "upload_protocol"),
    }
)
"""A mistyped `messageId` would quietly cost promise 2."""

Work = Callable[[], Response]


class Api:
    """Routes a request to a use case."""

    def __init__(self, ports: Ports, settings: Settings, pool: Pool) -> None:
        self._ports = ports
        self._settings = settings
        self._pool = pool

    async def __call__(self, request: HttpRequest) -> Response:
        self._admit(request)
        path = request.scope.get("raw_path") or request.url.path.encode()
        segments = [
            unquote(part) for part in path.decode("latin-1").strip("/").split("/")
        ]
        match segments:
            case ["v1", "phones", phone, "agentMessages"]:
                work = await self._collection(request, phone, _query(request))
            case ["v1", "phones", phone, "agentMessages", name]:
                work = await self._one(request, phone, name, _query(request))
            case _ if ELSEWHERE.fullmatch("/" + "/".join(segments)):
                raise Problem(501, "this method of the RBM API is not offered yet")
            case _:
                raise Problem(404, "no such method; see the README for the API")
        return await self._pool.run(work)

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

    async def _collection(
        self, request: HttpRequest, phone: str, query: Mapping[str, str]
    ) -> Work:
        _check_phone(phone)
        if request.method == "POST":
            raw = await read_body(request, BODY_LIMIT)
            return lambda: self._send(phone, query, raw)
        if request.method == "GET":
            return lambda: self._list(phone, query)
        raise _wrong_method("GET, POST")

    async def _one(
        self, request: HttpRequest, phone: str, name: str, query: Mapping[str, str]
    ) -> Work:
        _check_phone(phone)
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
        raise _wrong_method("GET, DELETE")

    def _send(self, phone: str, query: Mapping[str, str], raw: bytes) -> Response:
        agent = self._agent(query)
        message_id = query.get("messageId") or self._ports.random.new_id()
        _check_id(message_id)
        body = parse_json(raw)
        if not isinstance(body, dict):
            raise Invalid("", "the body must be a JSON object")
        now = self._ports.clock.now()
        fallback = body.get("fallback")
        metadata = _metadata(body.get("metadata"))
        ours = {"fallback", "metadata"}
        sent = {name: value for name, value in body.items() if name not in ours}
        rbm = content.canonical(sent, now=now)
        traffic = Traffic(rbm.get("messageTrafficType", Traffic.UNSPECIFIED.value))
        sms = _Fallback.read(fallback, rbm["contentMessage"], agent)
        order = Order(
            at=now,
            agent=agent.name,
            message_id=message_id,
            phone=phone,
            request=Request(
                digest=_digest(body),
                content=rbm["contentMessage"],
                traffic=traffic,
                sender=sms.sender,
                text=sms.text,
                media=sms.media,
                metadata=metadata,
                handset_receipts=agent.handset_receipts,
            ),
            terms=self._settings.terms(
                traffic=traffic,
                policy=sms.policy,
                deadline=_deadline(rbm, now),
                now=now,
            ),
        )
        try:
            message = accept(self._ports, order)
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

    def _get(self, phone: str, name: str, query: Mapping[str, str]) -> Response:
        return answer(agent_message(self._find(phone, name, query)))

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
        body: Json = {"agentMessages": [agent_message(m) for m in page.messages]}
        if page.next_token:
            body["nextPageToken"] = page.next_token
        return answer(body)

    def _cancel(self, phone: str, name: str, query: Mapping[str, str]) -> Response:
        found = self._find(phone, name, query)
        message = cancel(self._ports, found.id) or found
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
        return answer(agent_message(acknowledge(self._ports, found.id) or found))

    def _find(self, phone: str, name: str, query: Mapping[str, str]) -> Message:
        _check_id(name)
        key = message_key(self._agent(query).name, name)
        stored = self._ports.messages.load(key)
        if stored is None or stored.value.phone != phone:
            raise Problem(404, "no such message")
        return stored.value

    def _agent(self, query: Mapping[str, str]) -> Agent:
        agents = self._settings.agents
        given = query.get("agentId", "")
        if not given and len(agents) == 1:
            return next(iter(agents.values()))
        if not given:
            raise Invalid("agentId", "is needed where several agents are configured")
        agent = agents.get(bare_agent(given))
        if agent is None:
            raise Invalid("agentId", "is not an agent of this deployment")
        return agent


class _Fallback:
    """Our part of the body: what the SMS says, from whom, and when it may leave."""

    def __init__(
        self, policy: Policy | None, sender: str, text: str, media: tuple[str, ...]
    ) -> None:
        self.policy = policy
        self.sender = sender
        self.text = text
        self.media = media

    @classmethod
    def read(cls, given: Any, rich: Json, agent: Agent) -> "_Fallback":
        sender = agent.senders[0]
        if given is False:
            return cls(Policy.NONE, sender, "", ())
        if given is None:
            given = {}
        if not isinstance(given, dict):
            raise Invalid("fallback", "must be an object, or false for none")
        fields = {name: value for name, value in given.items() if value is not None}
        for name in fields:
            if name not in {"text", "media", "from", "policy"}:
                raise Invalid(f"fallback.{name}", "is not a known field")
        text = fields.get("text")
        if text is not None and not isinstance(text, str):
            raise Invalid("fallback.text", "must be a string")
        if text is not None and len(text) > SMS_TEXT_LIMIT:
            raise Invalid(
                "fallback.text", f"must not be longer than {SMS_TEXT_LIMIT} characters"
            )
        media = _media(fields.get("media", []))
        text = text or _cut(content.sms_text(rich))
        if not text and not media:
            raise Invalid(
                "fallback.text", "is needed: this content has no words of its own"
            )
        return cls(_policy(fields.get("policy")), _sender(fields, agent), text, media)


def _cut(text: str) -> str:
    """Shorten derived words to what an SMS may hold, and let it be seen."""
    if len(text) <= SMS_TEXT_LIMIT:
        return text
    return text[: SMS_TEXT_LIMIT - len(ELLIPSIS)] + ELLIPSIS


def _policy(given: Any) -> Policy | None:
    if given is None:
        return None
    if isinstance(given, str) and given in CHOICES:
        return Policy(given)
    raise Invalid("fallback.policy", "must be PROMPT, CONFIRMED, STRICT or HEDGE")


def _sender(fields: Json, agent: Agent) -> str:
    sender: Any = fields.get("from", agent.senders[0])
    if sender not in agent.senders:
        raise Invalid("fallback.from", "is not a sender of this agent")
    return str(sender)


def _media(given: Any) -> tuple[str, ...]:
    whole = isinstance(given, list) and len(given) <= 10  # noqa: PLR2004 - Bandwidth's
    if not whole or not all(isinstance(url, str) and url for url in given):
        raise Invalid("fallback.media", "must be a list of at most 10 URLs")
    for url in given:
        if not re.match("https?://", url) or len(url) > 4096:  # noqa: PLR2004 - Bandwidth's
            raise Invalid("fallback.media", "must hold http or https URLs")
    return tuple(given)


def _metadata(given: Any) -> dict[str, str]:
    if given is None:
        return {}
    if not isinstance(given, dict) or len(given) > METADATA_LIMIT:
        raise Invalid("metadata", f"must be an object of at most {METADATA_LIMIT} keys")
    for name, value in given.items():
        if not isinstance(value, str) or len(value) > METADATA_VALUE_LIMIT:
            raise Invalid(
                f"metadata.{name[:64]}",
                f"must be a string of at most {METADATA_VALUE_LIMIT} characters",
            )
    return given


def _deadline(rbm: Json, now: datetime) -> datetime | None:
    if "ttl" in rbm:
        ttl: timedelta = content.parse_duration(rbm["ttl"])
        return now + ttl
    if "expireTime" in rbm:
        return content.parse_time(rbm["expireTime"])
    return None


def _digest(body: Json) -> str:
    """Return what recognises a repeat: the body as sent, however it was spaced."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def _query(request: HttpRequest) -> dict[str, str]:
    text = request.scope.get("query_string", b"").decode("latin-1")
    query: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name not in PARAMETERS:
            raise Invalid(name[:64], "is not a known query parameter")
        if name in query:
            raise Invalid(name, "must not be given twice")
        query[name] = value
    return {name: value for name, value in query.items() if value}


def _check_phone(phone: str) -> None:
    if not PHONE.fullmatch(phone):
        raise Invalid("phone", "must be + and 7 to 15 digits (E.164)")


def _check_id(message_id: str) -> None:
    # A dot or two would be another path to every proxy and client on the way.
    if not ID.fullmatch(message_id) or message_id in {".", ".."}:
        raise Invalid(
            "messageId", "must be 1 to 255 visible ASCII characters without a slash"
        )


def _wrong_method(allowed: str) -> Problem:
    return Problem(
        405, f"method: this path takes {allowed}", headers={"Allow": allowed}
    )
