"""`revoke`, `fallback` and `record`: what the platform calls, never a stranger."""

import hmac
from base64 import b64decode
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from backstop import tracing
from backstop.domain.event import SMS_DUE, Event, Kind, read_attributes
from backstop.domain.invalid import Invalid
from backstop.domain.message import MessageId
from backstop.domain.signal import Kind as SignalKind
from backstop.domain.signal import Signal
from backstop.domain.times import parse_time
from backstop.edge.answers import Problem, answer, parse_json, read_body
from backstop.edge.workers import Workers
from backstop.ports import Ports
from backstop.providers.bandwidth import wire as bandwidth
from backstop.providers.rbm import wire as rbm
from backstop.usecases import reach
from backstop.usecases.follow import NotYet, report, ring
from backstop.usecases.listen import House, listen, overhear

BODY_LIMIT = 1024 * 1024


class Trigger:
    """A POST from the platform. `token` is what it must bear, if there is one."""

    def __init__(
        self, work: Callable[[bytes], None], workers: Workers, *, token: str = ""
    ) -> None:
        self._work = work
        self._workers = workers
        self._token = token

    async def __call__(self, request: Request) -> Response:
        if request.method != "POST":
            raise Problem(405, "method: only POST", headers={"Allow": "POST"})
        if self._token:
            given = request.headers.get("authorization", "").encode("latin-1")
            if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
                raise Problem(403, "only the platform may call this")
        raw = await read_body(request, BODY_LIMIT)
        try:
            await self._workers.run(lambda: self._work(raw))
        except NotYet:
            raise Problem(503, "the record may still be on its way") from None
        return answer({})


def revoke(ports: Ports) -> Callable[[bytes], None]:
    """A timer rang: `{"message": id, "dueAt": time}`."""

    def work(raw: bytes) -> None:
        body = parse_json(raw)
        if not isinstance(body, dict) or not isinstance(body.get("message"), str):
            raise Invalid("message", "must be the id of a message")
        try:
            due_at = parse_time(body["dueAt"])
        except (KeyError, TypeError, ValueError):
            raise Invalid("dueAt", "must be an RFC 3339 time") from None
        ring(ports, MessageId(body["message"]), due_at=due_at)

    return work


def fallback(ports: Ports) -> Callable[[bytes], None]:
    """The SMS may be due: RBM's expiry events, and our own handover."""

    def read(event: Event) -> Signal | None:
        if event.type is SMS_DUE:
            return Signal(kind=SignalKind.HANDED_OVER)
        return rbm.signal(event)

    def work(raw: bytes) -> None:
        event = _event(raw)
        if event.type.kind in {Kind.EXPIRY, Kind.DUE}:
            report(ports, event, read)

    return work


def record(ports: Ports, house: House) -> Callable[[bytes], None]:
    """Receipts, replies and consent."""

    def read(event: Event) -> Signal | None:
        return rbm.signal(event) if _by_rcs(event) else bandwidth.signal(event)

    def work(raw: bytes) -> None:
        event = _event(raw)
        if event.type.kind is Kind.RECEIPT:
            message = report(ports, event, read)
            if message:
                reach.heard_of(ports, event, message)
            if message and bandwidth.opt_out_code(event):
                overhear(ports, house, event, message)
        elif event.type.kind is Kind.INBOUND:
            wire = rbm if _by_rcs(event) else bandwidth
            reply = wire.inbound(event)
            if reply is None or not reply.phone:
                raise Invalid("message.data", "names nobody")
            reach.heard_from(ports, event, reply)
            listen(ports, house, reply, cause=event.cause)

    return work


def _by_rcs(event: Event) -> bool:
    return event.type.name.split(".")[1] == "rcs"


def _event(raw: bytes) -> Event:
    """Return the event in a Pub/Sub push. Raises Invalid."""
    body = parse_json(raw)
    message = body.get("message") if isinstance(body, dict) else None
    if not isinstance(message, dict) or not isinstance(message.get("attributes"), dict):
        raise Invalid("message.attributes", "must be those of an event of ours")
    attributes = message["attributes"]
    tracing.join(attributes)
    try:
        data = b64decode(message.get("data", ""), validate=True)
        return read_attributes(attributes, data)
    except (TypeError, ValueError):
        raise Invalid("message", "is not an event of ours") from None
