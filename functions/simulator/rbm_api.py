"""The RBM platform's own HTTP API, as its clients know it."""

import re
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.routing import Route

from .google import google
from .phones import number_of
from .protojson import Message, read
from .rbm import Rbm
from .rbm_schema import (
    AGENT_EVENT,
    AGENT_MESSAGE,
    BATCH,
    CAPABILITY,
    FILE,
    TESTER,
)
from .state import Store
from .tokens import LIFETIME, Tokens, well_formed_assertion
from .web import (
    Call,
    Gate,
    Handler,
    Lost,
    Refusal,
    Resource,
    json_response,
    wrong,
)

_ROOT = "/simulator/rbm"
_PHONE = f"{_ROOT}/v1/phones/{{number}}"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_FILE_LIMIT = 100 << 20
_SAMPLE_FROM = 500
_BATCH_LIMIT = 10_000
_ID = re.compile(r"[^\x00-\x1f\x7f/]{1,256}")


class RbmApi:
    """Routes of the platform. All but the token endpoint ask for a bearer token."""

    def __init__(
        self, store: Store, platform: Rbm, now: Callable[[], int], gate: Gate
    ) -> None:
        self._store = store
        self._platform = platform
        self._now = now
        self._gate = gate
        self._tokens = Tokens(store, "rbm")

    def routes(self) -> list[Route]:
        def open_at(path: str, handler: Handler) -> Route:
            return Resource(google, {"POST": handler}).at(path)

        def at(path: str, limit: int = 1 << 20, **handlers: Handler) -> Route:
            guarded = {method: self._guarded(h) for method, h in handlers.items()}
            gates = {"POST": self._gate, "DELETE": self._gate}
            faulty = "/agentMessages" in path or "/agentEvents" in path
            return Resource(
                google, guarded, gates=gates if faulty else {}, limit=limit
            ).at(path)

        def unknown(call: Call) -> Response:
            raise Refusal(404, f"There is no {call.method} method at this path.")

        methods = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
        everything = dict.fromkeys(methods, unknown)
        messages = f"{_PHONE}/agentMessages"
        callback = f"{_PHONE}/capability:requestCapabilityCallback"
        return [
            open_at(f"{_ROOT}/token", self._token),
            at(messages, POST=self._create),
            at(f"{messages}/{{message}}", DELETE=self._delete),
            at(f"{_PHONE}/agentEvents", POST=self._event),
            at(f"{_PHONE}/capabilities", GET=self._capabilities),
            at(f"{_PHONE}/testers", POST=self._tester),
            at(f"{_PHONE}/dialogflowMessages", POST=self._dialogflow),
            at(callback, POST=self._callback),
            at(f"{_ROOT}/v1/users:batchGet", POST=self._batch),
            at(f"{_ROOT}/v1/files", POST=self._file),
            at(f"{_ROOT}/upload/v1/files", _FILE_LIMIT, POST=self._upload),
            Resource(google, everything).at(f"{_ROOT}/{{rest:path}}"),
        ]

    def _guarded(self, handler: Handler) -> Handler:
        def guarded(call: Call) -> Response:
            token = call.headers.get("authorization", "")
            if not token and "access_token" in call.query:
                token = f"Bearer {call.query['access_token']}"
            if not self._tokens.knows(token):
                raise Refusal(
                    401,
                    "Request had invalid authentication credentials. Expected an OAuth "
                    "2 access token.",
                )
            with self._store.transaction():
                return handler(call)

        return guarded

    def _token(self, call: Call) -> Response:
        form = parse_qs(call.body.decode("latin-1"))
        grant = form.get("grant_type", [""])[0]
        assertion = form.get("assertion", [""])[0]
        if grant != _GRANT or not well_formed_assertion(assertion):
            problem = "grant_type" if grant != _GRANT else "assertion"
            text = f"The {problem} is missing or malformed."
            error = {"error": "invalid_grant", "error_description": text}
            return json_response(error, 400)
        token = self._tokens.issue()
        answer = {
            "access_token": token,
            "expires_in": LIFETIME - 1,
            "token_type": "Bearer",
        }
        return json_response(answer)

    def _create(self, call: Call) -> Response:
        agent = self._platform.agent(call.query.get("agentId"))
        number = number_of(call.path["number"])
        message = _id(call, "messageId")
        sent = read(call.body, AGENT_MESSAGE, "agent_message")
        created = self._platform.create(agent, number, message, sent, now=self._now())
        return Lost() if created.lost else json_response(created.answer)

    def _delete(self, call: Call) -> Response:
        agent = self._platform.agent(call.query.get("agentId"))
        number = number_of(call.path["number"])
        if call.body.strip() not in (b"", b"{}"):
            raise Refusal(400, "The body of this request must be empty.")
        self._platform.delete(agent, number, call.path["message"], now=self._now())
        return json_response({})

    def _event(self, call: Call) -> Response:
        agent = self._platform.agent(call.query.get("agentId"))
        number = number_of(call.path["number"])
        event = _id(call, "eventId")
        sent = read(call.body, AGENT_EVENT, "agent_event")
        if "eventType" not in sent:
            raise wrong("eventType", "must be IS_TYPING or READ")
        if sent["eventType"] == "READ" and "messageId" not in sent:
            raise wrong("messageId", "is required with READ")
        kept: dict[str, Any] = {
            name: sent[name] for name in ("eventType", "messageId") if name in sent
        }
        return json_response(
            self._platform.event(agent, number, event, kept, now=self._now())
        )

    def _capabilities(self, call: Call) -> Response:
        self._platform.agent(call.query.get("agentId"))
        number = number_of(call.path["number"])
        _id(call, "requestId")
        return json_response(
            {"features": list(self._platform.reachable(number).features)}
        )

    def _tester(self, call: Call) -> Response:
        self._platform.agent(call.query.get("agentId"))
        number = number_of(call.path["number"])
        read(call.body, TESTER, "tester")
        self._platform.reachable(number)
        return json_response(
            {"name": f"phones/{number}/testers", "inviteStatus": "PENDING"}
        )

    def _dialogflow(self, call: Call) -> Response:
        self._platform.agent(call.query.get("agentId"))
        raise Refusal(403, "Dialogflow is not enabled for this agent.")

    def _callback(self, call: Call) -> Response:
        number_of(call.path["number"])
        read(call.body, CAPABILITY, "request")
        return json_response({})

    def _batch(self, call: Call) -> Response:
        sent = self._with_agent(call, BATCH, "request")
        users = sent.get("users", [])
        if not users or len(users) > _BATCH_LIMIT or len(set(users)) < len(users):
            raise wrong("users", f"must hold 1 to {_BATCH_LIMIT} unique numbers")
        reachable = [user for user in users if self._has_rcs(number_of(user))]
        sampled = 0 if len(users) < _SAMPLE_FROM else len(users) * 3 // 4
        answer: dict[str, Any] = {
            "reachableUsers": reachable,
            "totalRandomSampleUserCount": sampled,
            "reachableRandomSampleUserCount": sampled * len(reachable) // len(users),
        }
        return json_response(answer)

    def _has_rcs(self, number: str) -> bool:
        try:
            self._platform.reachable(number)
        except Refusal:
            return False
        return True

    def _file(self, call: Call) -> Response:
        sent = self._with_agent(call, FILE, "request")
        if not sent.get("fileUrl", "").startswith(("https://", "http://")):
            raise wrong("fileUrl", "must be a public URL")
        return json_response({"name": f"files/{uuid.uuid4()}"})

    def _upload(self, call: Call) -> Response:
        self._platform.agent(call.query.get("agentId"))
        if not call.body:
            raise Refusal(400, "The file is empty.")
        return json_response({"name": f"files/{uuid.uuid4()}"})

    def _with_agent(self, call: Call, kind: Message, name: str) -> dict[str, Any]:
        sent = read(call.body, kind, name)
        self._platform.agent(sent.get("agentId") or call.query.get("agentId"))
        return sent


def _id(call: Call, name: str) -> str:
    value = call.query.get(name) or call.query.get(_SNAKE[name], "")
    if not _ID.fullmatch(value):
        raise wrong(name, "is required, with at most 256 characters and no slash")
    return value


_SNAKE = {"messageId": "message_id", "eventId": "event_id", "requestId": "request_id"}
