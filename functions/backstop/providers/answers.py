"""What HTTP answers and failures mean, whoever the provider is."""

import re
from datetime import timedelta
from http import HTTPStatus

import msgspec

from backstop.domain.message import Json
from backstop.http1 import Answer

_SECONDS = re.compile(r"[0-9]{1,9}")
_BEARER = re.compile(r"[!-~]+")

# Statuses of gateways that gave up waiting, whatever became of the request.
_GAVE_UP = frozenset({408, 499})


def accepted(status: int) -> bool:
    """Tell whether the status says yes; a redirection does not."""
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def refused(status: int) -> bool:
    """Tell whether the status says that the request was read and not done."""
    return (
        HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
        and status not in _GAVE_UP
    )


def retry_after(answer: Answer) -> timedelta | None:
    """Return the provider's wish for the next try, None if it has none.

    Only the form in seconds is read: a date would need a clock that both share.
    """
    text = answer.headers.get("retry-after", "")
    return timedelta(seconds=int(text)) if _SECONDS.fullmatch(text) else None


def json_object(content: bytes) -> Json | None:
    """Return the body of an answer if it is a JSON object, else None."""
    try:
        body = msgspec.json.decode(content)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def access_token(content: bytes) -> tuple[str, int | None] | None:
    """Return an OAuth2 token and its seconds to live, None if there is none.

    None also for what could not stand in a header.
    """
    answer = json_object(content) or {}
    text, life = answer.get("access_token"), answer.get("expires_in")
    if isinstance(life, str) and _SECONDS.fullmatch(life):
        life = int(life)
    if not isinstance(text, str) or not _BEARER.fullmatch(text):
        return None
    if life is not None and type(life) is not int:
        return None
    return text, life
