"""Bandwidth's REST API: hand over an SMS or MMS, once."""

import logging
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from http import HTTPStatus

import msgspec

from backstop.calls import Caller, NoAnswer, NotSent
from backstop.domain.message import Json
from backstop.domain.queued import Queued
from backstop.domain.times import format_time
from backstop.errors import Refusal, Refused, Throttled, Unanswered
from backstop.http1 import Answer
from backstop.providers.answers import (
    accepted,
    access_token,
    json_object,
    refused,
    retry_after,
)
from backstop.providers.tokens import Tokens

BASE_URL = "https://messaging.bandwidth.com/api/v2"
TOKEN_URL = "https://api.bandwidth.com/api/v1/oauth2/token"  # noqa: S105

_CONNECT = 2.0

# Bandwidth's own clients renew a token in its last minute, and take it to
# live an hour if the answer does not say.
_RENEW = 60.0
_USUAL_LIFE = 3600

_log = logging.getLogger(__name__)


class Bandwidth:
    """Sends SMS and MMS over lasting connections, with OAuth2 client credentials.

    Bandwidth knows no idempotency key: a request goes out once, and a second
    time only when the first was refused for its token.
    """

    def __init__(  # noqa: PLR0913 - settings, by name
        self,
        *,
        account_id: str,
        application_id: str,
        client_id: str,
        client_secret: str,
        base_url: str = BASE_URL,
        token_url: str = TOKEN_URL,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        url = f"{base_url.rstrip('/')}/users/{account_id}/messages"
        self._messages = Caller(url)
        self._authority = Caller(token_url)
        self._application_id = application_id
        basic = b64encode(f"{client_id}:{client_secret}".encode()).decode()
        self._basic = f"Basic {basic}"
        self._monotonic = monotonic or time.monotonic
        self._tokens = Tokens(self._fetch_token, self._monotonic)

    def send(  # noqa: PLR0913 - a message has that many parts
        self,
        *,
        sender: str,
        to: str,
        text: str,
        media: Sequence[str],
        tag: str,
        expires_at: datetime,
        budget: timedelta,
    ) -> Queued:
        """Return when Bandwidth has queued the message.

        Raises Refused (REJECTED) or Throttled if it is known not to have been
        taken, Unanswered if that cannot be known.
        """
        body: Json = {
            "applicationId": self._application_id,
            "from": sender,
            "to": [to],
            "text": text,
            "tag": tag,
            "expiration": format_time(expires_at),
        }
        if media:
            body["media"] = list(media)
        end = self._monotonic() + budget.total_seconds()
        raw = msgspec.json.encode(body)
        token = self._tokens.get(end)
        answer = self._post(raw, token, end)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            self._tokens.reject(token)
            answer = self._post(raw, self._tokens.get(end), end)
        return _judge(answer)

    def close(self) -> None:
        """Let go of the connections that rest."""
        self._messages.close()
        self._authority.close()

    def _post(self, body: bytes, token: str, end: float) -> Answer:
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
        }
        left = end - self._monotonic()
        if left <= 0:
            raise Throttled("no time left to ask")
        failure: Unanswered | Throttled
        try:
            return _call(self._messages, headers, body, left)
        except NotSent:
            failure = Throttled("not connected")
        except NoAnswer:
            failure = Unanswered("no answer")
        # Raised outside, so that no traceback carries the request.
        raise failure

    def _fetch_token(self, within: float) -> tuple[str, float]:
        headers = {
            "Authorization": self._basic,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        body = b"grant_type=client_credentials"
        answer = None
        # Judged below, so that no traceback carries the request.
        with suppress(NotSent, NoAnswer):
            answer = _call(self._authority, headers, body, within)
        if answer is None:
            raise Throttled("no access token")
        status = answer.status
        if refused(status) and status != HTTPStatus.TOO_MANY_REQUESTS:
            _credentials_refused("token", answer)
        granted = access_token(answer.body) if accepted(status) else None
        if granted is None:
            raise Throttled("no access token", after=retry_after(answer))
        text, life = granted
        seconds = _USUAL_LIFE if life is None else life
        return text, max(seconds - _RENEW, seconds / 2)


def _call(
    caller: Caller, headers: Mapping[str, str], body: bytes, within: float
) -> Answer:
    return caller.call(
        "POST", "", headers=headers, body=body, connect=_CONNECT, within=within
    )


def _judge(answer: Answer) -> Queued:
    status = answer.status
    if accepted(status):
        said = json_object(answer.body) or {}
        provider_id, segments = said.get("id"), said.get("segmentCount")
        if isinstance(provider_id, str) and provider_id:
            return Queued(provider_id, segments if type(segments) is int else None)
        raise Unanswered(f"{status} without an id")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise Throttled("429", after=retry_after(answer))
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        # Our fault and nobody else's: it is mended, and then the message goes.
        _credentials_refused("message", answer)
        raise Throttled(str(status))
    if refused(status):
        raise Refused(str(status), refusal=Refusal.REJECTED)
    raise Unanswered(str(status))


def _credentials_refused(what: str, answer: Answer) -> None:
    _log.error(
        "bandwidth_credentials_refused",
        extra={"request": what, "status": answer.status},
    )
