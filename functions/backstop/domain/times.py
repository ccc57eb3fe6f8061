"""Times and durations as the carriers write them."""

import re
from datetime import UTC, datetime, timedelta

_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:\.([0-9]{1,9}))?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_DURATION = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,9}))?s")


def parse_time(text: str) -> datetime:
    """Return an RFC 3339 time in UTC, cut to microseconds.

    Raises ValueError for anything else, a time without an offset included.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 time")
    day, clock, fraction, offset = match.groups()
    zone = "+00:00" if offset in {"Z", "z"} else offset
    try:
        time = datetime.fromisoformat(f"{day}T{clock}.{_micros(fraction)}{zone}")
        return time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("no such time") from None


def format_time(time: datetime) -> str:
    """Return an aware time as RBM writes it: UTC, `Z`, as few digits as needed."""
    time = time.astimezone(UTC)
    spec = "microseconds" if time.microsecond % 1000 else "milliseconds"
    text = time.isoformat(timespec=spec if time.microsecond else "seconds")
    return text.removesuffix("+00:00") + "Z"


def parse_duration(text: str) -> timedelta:
    """Return a duration such as `600s` or `3.5s`, cut to microseconds.

    Raises ValueError for anything else.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("not a duration in seconds")
    sign, seconds, fraction = match.groups()
    duration = timedelta(seconds=int(seconds), microseconds=int(_micros(fraction)))
    return -duration if sign else duration


def _micros(fraction: str | None) -> str:
    return (fraction or "").ljust(6, "0")[:6]
