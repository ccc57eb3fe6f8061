"""RBM's webhook: from bytes to events that are proved to be Google's."""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256

import msgspec

from backstop.domain import event as events
from backstop.domain.event import Event, Type, event_id
from backstop.domain.inbound import Inbound
from backstop.domain.menu import Option
from backstop.domain.message import Json
from backstop.domain.signal import Kind, Signal
from backstop.domain.times import format_time, parse_time


class Forged(Exception):  # noqa: N818 - named for what the request is
    """Nothing proves that the request is Google's. Its text is the cause, a word."""


class Malformed(Exception):  # noqa: N818 - named for what the request is
    """The request has not the form of a webhook call."""


_EVENT_TYPES = {
    "DELIVERED": events.RCS_DELIVERED,
    "READ": events.RCS_READ,
    "TTL_EXPIRATION_REVOKED": events.RCS_EXPIRED,
    "TTL_EXPIRATION_REVOKE_FAILED": events.RCS_EXPIRY_FAILED,
    "IS_TYPING": events.RCS_TYPING,
    "UNSUBSCRIBE": events.RCS_UNSUBSCRIBED,
    "SUBSCRIBE": events.RCS_SUBSCRIBED,
}

_CONTENT: dict[str, tuple[type, Type]] = {
    "text": (str, events.RCS_TEXT),
    "userFile": (dict, events.RCS_FILE),
    "location": (dict, events.RCS_LOCATION),
    "suggestionResponse": (dict, events.RCS_SUGGESTION),
}

_SIGNALS = {
    events.RCS_DELIVERED: Kind.RCS_DELIVERED,
    events.RCS_READ: Kind.RCS_READ,
    events.RCS_EXPIRED: Kind.RCS_EXPIRED,
    events.RCS_EXPIRY_FAILED: Kind.RCS_EXPIRY_FAILED,
}

_REPLIES = {
    events.RCS_TEXT: Kind.RCS_TEXT,
    events.RCS_FILE: Kind.RCS_FILE,
    events.RCS_LOCATION: Kind.RCS_LOCATION,
    events.RCS_SUGGESTION: Kind.RCS_SUGGESTION,
    events.RCS_TYPING: Kind.RCS_TYPING,
    events.RCS_SUBSCRIBED: Kind.RCS_SUBSCRIBED,
    events.RCS_UNSUBSCRIBED: Kind.RCS_UNSUBSCRIBED,
}

_SUFFIX = "@rbm.goog"

_CHOICES = {events.RCS_UNSUBSCRIBED: False, events.RCS_SUBSCRIBED: True}

# Google's secret is a short nonce. What we echo stays small all the same.
_LONGEST_SECRET = 1024


def parse(raw_body: bytes) -> Json:
    """Return the body as a JSON object.

    Raises Malformed if it is anything else.
    """
    try:
        body = msgspec.json.decode(raw_body)
    except (ValueError, RecursionError):
        raise Malformed("not JSON") from None
    if not isinstance(body, dict):
        raise Malformed("not a JSON object")
    return body


def handshake(body: Json, tokens: tuple[bytes, ...]) -> str | None:
    """Return the secret to answer with, bare; None if this is no handshake.

    Raises Forged if it is one but its token is none of ours, or its secret
    cannot be answered. Google does not sign handshakes.
    """
    if "message" in body or not {"clientToken", "secret"} <= body.keys():
        return None
    token, secret = body["clientToken"], body["secret"]
    given = token.encode(errors="surrogatepass") if isinstance(token, str) else b""
    if not _any_equal(given, _usable(tokens)):
        raise Forged("token")
    if not isinstance(secret, str) or not 0 < len(secret) <= _LONGEST_SECRET:
        raise Forged("secret")
    return secret


def verify(body: Json, signature: bytes | None, tokens: tuple[bytes, ...]) -> bytes:
    """Return the payload, whose signature holds under one of the tokens.

    Raises Forged if it holds under none, or there is none, or no token; and
    Malformed if the body carries no payload.
    """
    if not signature:
        raise Forged("unsigned")
    message = body.get("message")
    encoded = message.get("data") if isinstance(message, dict) else None
    if not isinstance(encoded, str):
        raise Malformed("no message.data")
    try:
        data = b64decode(encoded, validate=True)
    except ValueError:
        raise Malformed("message.data is not base64") from None
    # Google signs the decoded payload, not the request body: whatever else is
    # in the envelope is anybody's.
    signatures = [
        b64encode(hmac.digest(token, data, "sha512")) for token in _usable(tokens)
    ]
    if not _any_equal(signature, signatures):
        raise Forged("signature")
    return data


def announce(data: bytes, *, received_at: datetime) -> Event:
    """Return the event that a verified payload tells of.

    What this version does not know becomes `RCS_UNKNOWN`, never an error.
    Every repeat of a payload has the same id.
    """
    try:
        payload = parse(data)
    except Malformed:
        payload = {}
    agent = bare_agent(_text(payload, "agentId"))
    message_id = _text(payload, "messageId")
    kind = _classify(payload)
    carrier_id = _text(payload, "eventId") or message_id
    phone = _phone(payload)
    return Event(
        id=event_id("rbm", agent, phone, carrier_id, _text(payload, "eventType"))
        if carrier_id
        else event_id("rbm", sha256(data).hexdigest()),
        type=kind,
        time=_time(payload, received_at),
        data=data,
        agent=agent,
        # A user's own message has an id of the user's making.
        message_id=message_id if kind in _SIGNALS else "",
    )


def signal(event: Event) -> Signal | None:
    """Return what the event says about its message, None if it names none."""
    kind = _SIGNALS.get(event.type)
    if kind is None:
        return None
    return Signal(kind=kind, at=event.time, event=event.id)


def inbound(event: Event) -> Inbound | None:
    """Return what a user said in RCS, None for any other event."""
    kind = _REPLIES.get(event.type)
    if kind is None:
        return None
    try:
        payload = parse(event.data)
    except Malformed:
        return None
    tap = payload.get("suggestionResponse")
    return Inbound(
        kind=kind,
        event=event.id,
        phone=_phone(payload),
        at=event.time,
        channel="RCS",
        agent=event.agent,
        text=_text(payload, "text") if kind is Kind.RCS_TEXT else "",
        postback=_text(tap, "postbackData") if isinstance(tap, dict) else None,
        wish=_CHOICES.get(event.type),
    )


def suggestion_response(reply: Inbound, option: Option, agent: str) -> Json:
    """Return what RBM would have sent had *option* been tapped instead of texted."""
    return {
        "senderPhoneNumber": reply.phone,
        "messageId": event_id(reply.event, "tap"),
        "sendTime": format_time(reply.at),
        "suggestionResponse": {
            "postbackData": option.postback,
            "text": option.label,
            "type": "REPLY",
        },
        "agentId": f"{agent}{_SUFFIX}",
    }


def bare_agent(agent: str) -> str:
    """Return an agent's id as requests carry it; webhooks add `@rbm.goog`."""
    return agent.removesuffix(_SUFFIX)


def _classify(payload: Json) -> Type:
    if _text(payload, "newLaunchState"):
        return events.RCS_LAUNCH
    if not _phone(payload):
        return events.RCS_UNKNOWN
    if "eventType" in payload:
        kind = _EVENT_TYPES.get(_text(payload, "eventType"), events.RCS_UNKNOWN)
        named = _text(payload, "agentId") and _text(payload, "messageId")
        return kind if named or kind not in _SIGNALS else events.RCS_UNKNOWN
    for key, (form, kind) in _CONTENT.items():
        if isinstance(payload.get(key), form):
            return kind
    return events.RCS_UNKNOWN


def _phone(payload: Json) -> str:
    return _text(payload, "senderPhoneNumber") or _text(payload, "phoneNumber")


def _time(payload: Json, received_at: datetime) -> datetime:
    try:
        return parse_time(_text(payload, "sendTime"))
    except ValueError:
        return received_at


def _text(payload: Json, key: str) -> str:
    value = payload.get(key)
    return value if isinstance(value, str) else ""


def _usable(tokens: tuple[bytes, ...]) -> tuple[bytes, ...]:
    # An empty key would verify what anybody can sign.
    return tuple(token for token in tokens if token)


def _any_equal(given: bytes, wanted: Iterable[bytes]) -> bool:
    equal = False
    for each in wanted:
        equal |= hmac.compare_digest(given, each)
    return equal
