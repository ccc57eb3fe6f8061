"""Bandwidth's callbacks: from bytes to events."""

import hmac
import re
from base64 import b64decode
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec

from backstop.domain import event as events
from backstop.domain.event import Event, event_id
from backstop.domain.inbound import Inbound
from backstop.domain.message import Json
from backstop.domain.signal import Kind, Signal
from backstop.domain.tag import read_tag
from backstop.domain.times import parse_time
from backstop.providers.bandwidth.codes import Disposition, disposition

_TYPES = {
    "message-sending": events.SMS_SENDING,
    "message-sent": events.SMS_SENT,
    "message-delivered": events.SMS_DELIVERED,
    "message-failed": events.SMS_FAILED,
    "message-received": events.SMS_RECEIVED,
}

_SIGNALS = {
    events.SMS_SENDING: Kind.SMS_SENT,
    events.SMS_SENT: Kind.SMS_SENT,
    events.SMS_DELIVERED: Kind.SMS_DELIVERED,
    events.SMS_FAILED: Kind.SMS_FAILED,
}

_FAILURES = {
    Disposition.DOUBT: Kind.SMS_DOUBTED,
    Disposition.RETRY: Kind.SMS_UNSENT,
}

_CODE = re.compile(r"[0-9]{1,9}")


def authorised(
    header: bytes | str | None, credentials: tuple[tuple[str, str], ...]
) -> bool:
    """Tell whether an `Authorization` header holds one of the live credentials.

    False without a header, and always false when no credentials are live: the
    answer is then a 401 with `WWW-Authenticate`, because Bandwidth sends its
    credentials only when challenged.
    """
    given = _basic(header)
    equal = False
    for user, password in credentials:
        # An empty password would open the door to whoever knows the user.
        wanted = f"{user}:{password}".encode() if user and password else None
        if given is not None and wanted is not None:
            equal |= hmac.compare_digest(given, wanted)
    return equal


def announce(raw: bytes, *, received_at: datetime) -> tuple[Event, ...]:
    """Return one event per entry of a callback, an array or a single object.

    The data of an event is its entry's own bytes. What this version does not
    know becomes `SMS_UNKNOWN`, never an error. Every repeat has the same id.
    """
    return tuple(_announce(entry, received_at) for entry in _entries(raw))


def signal(event: Event) -> Signal | None:
    """Return what the event says about its message, None if it names none."""
    kind = _SIGNALS.get(event.type)
    if kind is None or not event.message_id:
        return None
    payload = _object(event.data)
    message = _message(payload)
    code = _code(payload)
    if kind is Kind.SMS_FAILED:
        kind = _FAILURES.get(disposition(code), kind)
    return Signal(
        kind=kind,
        at=event.time,
        event=event.id,
        attempt=event.attempt,
        provider_id=_text(message, "id"),
        segments=_count(message.get("segmentCount")),
        code=code,
    )


def inbound(event: Event) -> Inbound | None:
    """Return what a user texted, None for any other event.

    Bandwidth knows no agents: what was texted is a number.
    """
    if event.type is not events.SMS_RECEIVED:
        return None
    payload = _object(event.data)
    message = _message(payload)
    phone = _text(message, "from")
    if not phone:
        return None
    return Inbound(
        kind=Kind.SMS_RECEIVED,
        event=event.id,
        phone=phone,
        at=event.time,
        channel="SMS",
        number=_text(message, "owner") or _text(payload, "to"),
        text=_text(message, "text"),
    )


def opt_out_code(event: Event) -> int | None:
    """Return the code by which a carrier says that the user has opted out there."""
    if event.type is not events.SMS_FAILED:
        return None
    code = _code(_object(event.data))
    return code if disposition(code) is Disposition.OPTED_OUT else None


_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_SIGN = re.compile(r"[ \t\r\n]*([][,])[ \t\r\n]*")


def _entries(raw: bytes) -> list[bytes]:
    """Return the entries of a list, each in its own bytes, else all of it as one."""
    for apart in (_LIST.decode, _one_by_one):
        with suppress(ValueError, RecursionError):
            return [bytes(entry) for entry in apart(raw)]
    return [raw]


def _one_by_one(raw: bytes) -> list[bytes]:
    """Return a list's entries though one holds half a surrogate pair, or no UTF-8.

    The others may be an opt-out. Raises ValueError for what is no list.
    """
    import json

    text = raw.decode(errors="surrogateescape")
    read = json.JSONDecoder(parse_int=str).raw_decode
    entries: list[bytes] = []
    at = _past(text, 0, "[")
    while True:
        _value, end = read(text, at)
        entries.append(text[at:end].encode(errors="surrogateescape"))
        try:
            at = _past(text, end, ",")
        except ValueError:
            break
    if _past(text, end, "]") < len(text):
        raise ValueError("more than a list")
    return entries


def _past(text: str, at: int, sign: str) -> int:
    """Return where the next thing begins, after *sign*. Raises ValueError."""
    found = _SIGN.match(text, at)
    if found is None or found[1] != sign:
        raise ValueError(f"no {sign}")
    return found.end()


def _announce(entry: bytes, received_at: datetime) -> Event:
    payload = _object(entry)
    message = _message(payload)
    name = _text(payload, "type")
    kind = _TYPES.get(name, events.SMS_UNKNOWN) if message else events.SMS_UNKNOWN
    agent, message_id, attempt = "", "", 0
    if kind in _SIGNALS:
        agent, message_id, attempt = read_tag(_text(message, "tag"))
    return Event(
        id=_id(entry, payload, message),
        type=kind,
        time=_time(payload, received_at),
        data=entry,
        agent=agent,
        message_id=message_id,
        attempt=attempt,
    )


def _id(entry: bytes, payload: Json, message: Json) -> str:
    provider_id = _text(message, "id")
    if not provider_id:
        return event_id("bandwidth", sha256(entry).hexdigest())
    return event_id(
        "bandwidth",
        provider_id,
        # A group's recipients share the message id.
        _text(payload, "to"),
        _text(payload, "type"),
        str(_code(payload) or ""),
        _text(payload, "eventTime"),
    )


def _basic(header: bytes | str | None) -> bytes | None:
    if header is None:
        return None
    try:
        raw = header.encode("ascii") if isinstance(header, str) else header
        scheme, _, encoded = raw.partition(b" ")
        if scheme.lower() != b"basic":
            return None
        return b64decode(encoded.strip(), validate=True)
    except ValueError:
        return None


def _object(raw: bytes) -> Json:
    try:
        value = msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _message(payload: Json) -> Json:
    message = payload.get("message")
    return message if isinstance(message, dict) else {}


def _text(payload: Json, key: str) -> str:
    value = payload.get(key)
    return value if isinstance(value, str) else ""


def _time(payload: Json, received_at: datetime) -> datetime:
    try:
        return parse_time(_text(payload, "time"))
    except ValueError:
        return received_at


def _code(payload: Json) -> int | None:
    # The schema says integer, an older SDK said string.
    value = payload.get("errorCode")
    if isinstance(value, str) and _CODE.fullmatch(value):
        return int(value)
    return _count(value)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
