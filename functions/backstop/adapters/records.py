"""How records are written, on every platform alike: JSON, typed and strict."""

import re
from datetime import UTC, datetime, timedelta

import msgspec

from backstop.domain.consent import Consent
from backstop.domain.message import Message, MessageId
from backstop.domain.reach import Reach

encode = msgspec.json.Encoder().encode
decode_message = msgspec.json.Decoder(Message).decode
decode_consent = msgspec.json.Decoder(Consent).decode
decode_reach = msgspec.json.Decoder(Reach).decode

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TOKEN = re.compile(r"([0-9]{1,17})\.([0-9a-f]{40})")


def micros(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


def instant(at: int) -> datetime:
    return EPOCH + timedelta(microseconds=at)


def make_token(last: Message) -> str:
    """Return the token of the page that begins after *last*."""
    return f"{micros(last.accepted_at)}.{last.id}"


def read_token(token: str) -> tuple[datetime, MessageId]:
    """Return what `make_token` was given. Raises ValueError for any other text."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise ValueError("no page token")
    return instant(int(match[1])), MessageId(match[2])
