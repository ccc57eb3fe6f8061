"""The shape and the limits of a Bandwidth create-message request."""

import re
import uuid
from typing import Any

from .instants import parse_rfc3339
from .phones import valid
from .protojson import load
from .web import Refusal

_ALPHANUMERIC = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 \-+_&]{1,11}", re.ASCII)
_MOST_RECIPIENTS = 10
_MOST_FILES = 10
_TEXT, _TAG, _URL = 2048, 1024, 4096


def parse(body: bytes, now: int) -> dict[str, Any]:
    """Return the request's known fields, `to` as a list; 400 naming what is wrong."""
    try:
        sent = load(body)
    except Refusal:
        sent = None
    if not isinstance(sent, dict):
        raise refusal("body", "must be a JSON object")
    # Absent and null are the same to its parser.
    sent = {name: value for name, value in sent.items() if value is not None}
    problems = list(_problems(sent, now))
    if problems:
        raise refusal(*problems[0], *problems[1:])
    to = sent["to"]
    known = ("applicationId", "from", "text", "media", "tag", "priority", "expiration")
    return {name: sent[name] for name in known if name in sent} | {
        "to": [to] if isinstance(to, str) else to
    }


def refusal(name: str, description: str, *more: tuple[str, str]) -> Refusal:
    return Refusal(
        400,
        "Your request could not be accepted.",
        code="request-validation",
        fields=((name, description), *more),
    )


def _problems(sent: dict[str, Any], now: int) -> list[tuple[str, str]]:
    found = [
        (name, problem)
        for name, judge in _JUDGES.items()
        if (problem := judge(sent.get(name)))
    ]
    if not sent.get("text") and not sent.get("media"):
        found.append(("text", "text or media is required"))
    problem = _expiration(sent.get("expiration"), now)
    if problem:
        found.append(("expiration", problem))
    return found


def _application(value: Any) -> str:
    try:
        uuid.UUID(value if isinstance(value, str) else "")
    except ValueError:
        return "must be the id of an application" if value else "is required"
    return ""


def _to(value: Any) -> str:
    numbers = [value] if isinstance(value, str) else value
    if not numbers or not isinstance(numbers, list):
        return "is required, as a list of E.164 numbers"
    if any(not isinstance(number, str) or not valid(number) for number in numbers):
        return "must be replaced with a valid E.164 formatted telephone number"
    if len(set(numbers)) < len(numbers):
        return "must not name a number twice"
    if len(numbers) > _MOST_RECIPIENTS:
        return f"must not name more than {_MOST_RECIPIENTS} numbers"
    return ""


def _from(value: Any) -> str:
    if value is None:
        return "is required"
    if isinstance(value, str) and (valid(value) or _ALPHANUMERIC.fullmatch(value)):
        return ""
    return "must be replaced with a valid E.164 formatted telephone number"


def _words(most: int) -> Any:
    def judge(value: Any) -> str:
        if value is None or (isinstance(value, str) and len(value) <= most):
            return ""
        return f"must be a string of at most {most} characters"

    return judge


def _media(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, list) or len(value) > _MOST_FILES:
        return f"must be a list of at most {_MOST_FILES} URLs"
    if any(
        not isinstance(url, str)
        or len(url) > _URL
        or not url.startswith(("https://", "http://"))
        for url in value
    ):
        return f"must hold URLs of at most {_URL} characters"
    return ""


def _priority(value: Any) -> str:
    return "" if value in (None, "default", "high") else "must be default or high"


def _expiration(value: Any, now: int) -> str:
    if value is None:
        return ""
    try:
        at = parse_rfc3339(value if isinstance(value, str) else "")
    except ValueError:
        return "must be an RFC 3339 date and time"
    return "" if at > now else "must be in the future"


_JUDGES = {
    "applicationId": _application,
    "to": _to,
    "from": _from,
    "text": _words(_TEXT),
    "media": _media,
    "tag": _words(_TAG),
    "priority": _priority,
}
