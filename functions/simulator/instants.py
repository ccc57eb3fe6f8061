"""Instants as whole microseconds since 1970, and the ways they are written."""

import re
from datetime import UTC, datetime, timedelta

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TIMESTAMP = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})",
    re.ASCII,
)
_DURATION = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?s", re.ASCII)


def micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def moment(at: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at)


def rfc3339(at: int, *, digits: int = 6) -> str:
    """*at* in UTC with `Z` and that many fraction digits (3 or 6)."""
    step = "milliseconds" if digits <= 3 else "microseconds"  # noqa: PLR2004 - the SI
    return moment(at).replace(tzinfo=None).isoformat(timespec=step) + "Z"


def proto_time(at: int) -> str:
    """*at* as protobuf's JSON writes it: no fraction, or 3 digits, or 6 as needed."""
    if at % SECOND == 0:
        return rfc3339(at, digits=3).replace(".000", "")
    return rfc3339(at, digits=6 if at % 1000 else 3)


def parse_rfc3339(text: str) -> int:
    """The instant *text* names; ValueError if it names none."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 timestamp")
    date, clock, fraction, offset = match.groups()
    zone = "+00:00" if offset in "Zz" else offset
    try:
        whole = micros(datetime.fromisoformat(f"{date}T{clock}{zone}"))
        moment(whole)  # in UTC it may lie outside the years that can be written
    except OverflowError as error:
        raise ValueError("not an RFC 3339 timestamp") from error
    return whole + int((fraction or ".0")[1:7].ljust(6, "0"))


def parse_duration(text: str) -> int:
    """Microseconds of a duration like `1.5s`; ValueError if it is none."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("not a duration like 1.5s")
    sign, whole, fraction = match.groups()
    length = int(whole) * SECOND + int((fraction or "0")[:6].ljust(6, "0"))
    return -length if sign else length


def duration(length: int) -> str:
    """A duration as protobuf's JSON writes it, without needless zeros."""
    whole, rest = divmod(length, SECOND)
    fraction = f".{rest:06d}".rstrip("0") if rest else ""
    return f"{whole}{fraction}s"
