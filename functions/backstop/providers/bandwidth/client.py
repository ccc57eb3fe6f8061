"""Bandwidth's REST API: hand over an SMS or MMS, once."""

import logging
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

import msgspec
import requests

from backstop.domain.message import Json
from backstop.domain.queued import Queued
from backstop.domain.times import format_time
from backstop.errors import Refusal, Refused, Throttled, Unanswered
from backstop.providers.answers import (
    LeanSession,
    accepted,
    access_token,
    json_object,
    never_sent,
    pooled,
    refused,
    retry_after,
)

BASE_URL = "https://messaging.bandwidth.com/api/v2"
TOKEN_URL = "https://api.bandwidth.com/api/v1/oauth2/token"  # noqa: S105

_CONNECT = 2.0

# Bandwidth's own clients renew a token in its last minute, and take it to
# live an hour if the answer does not say.
_RENEW = 60.0
_USUAL_LIFE = 3600

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, repr=False)
class _Token:
    text: str
    renew_at: float


class Bandwidth:
    """Sends SMS and MMS over one pooled session, with OAuth2 client credentials.

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
        pool: int = 64,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self._url = f"{base_url.rstrip('/')}/users/{account_id}/messages"
        self._token_url = token_url
        self._application_id = application_id
        basic = b64encode(f"{client_id}:{client_secret}".encode()).decode()
        self._basic = f"Basic {basic}"
        self._monotonic = monotonic or time.monotonic
        self._session = LeanSession()
        pooled(self._session, pool)
        self._token: _Token | None = None
        self._renewing = threading.Lock()

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
        token = self._fresh_token(end)
        response = self._post(body, token, end)
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            token = self._fresh_token(end, rejected=token)
            response = self._post(body, token, end)
        return _judge(response)

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def _post(self, body: Json, token: _Token, end: float) -> requests.Response:
        failure: Unanswered | Throttled
        try:
            return self._session.request(
                "POST",
                self._url,
                data=msgspec.json.encode(body),
                headers={
                    "Authorization": f"Bearer {token.text}",
                    "Content-Type": "application/json",
                },
                timeout=self._timeouts(end),
            )
        except requests.RequestException as error:
            # Raised outside, so that no traceback carries the request.
            failure = (
                Throttled("not connected")
                if never_sent(error)
                else Unanswered("no answer")
            )
        raise failure

    def _fresh_token(self, end: float, rejected: _Token | None = None) -> _Token:
        """Return a token for now, fetched by one thread for all that wait."""
        token = self._good_token(rejected)
        if token is not None:
            return token
        if not self._renewing.acquire(timeout=self._left(end)):
            raise Throttled("no access token in time")
        try:
            token = self._good_token(rejected)
            if token is None:
                token = self._token = self._fetch_token(end)
            return token
        finally:
            self._renewing.release()

    def _good_token(self, rejected: _Token | None) -> _Token | None:
        token = self._token
        if token is None or token is rejected or self._monotonic() >= token.renew_at:
            return None
        return token

    def _fetch_token(self, end: float) -> _Token:
        asked_at = self._monotonic()
        response = None
        # Judged below, so that no traceback carries the request.
        with suppress(requests.RequestException):
            response = self._session.request(
                "POST",
                self._token_url,
                data=b"grant_type=client_credentials",
                headers={
                    "Authorization": self._basic,
                    "Content-Type": "application/x-www-form-urlencoded",
                },
                timeout=self._timeouts(end),
            )
        if response is None:
            raise Throttled("no access token")
        status = response.status_code
        if refused(status) and status != HTTPStatus.TOO_MANY_REQUESTS:
            _credentials_refused("token", response)
        granted = access_token(response.content) if accepted(status) else None
        if granted is None:
            raise Throttled("no access token", after=retry_after(response))
        text, life = granted
        seconds = _USUAL_LIFE if life is None else life
        return _Token(text, asked_at + max(seconds - _RENEW, seconds / 2))

    def _timeouts(self, end: float) -> tuple[float, float]:
        left = self._left(end)
        return min(_CONNECT, left), left

    def _left(self, end: float) -> float:
        left = end - self._monotonic()
        if left <= 0:
            raise Throttled("no time left to ask")
        return left


def _judge(response: requests.Response) -> Queued:
    status = response.status_code
    if accepted(status):
        answer = json_object(response.content) or {}
        provider_id, segments = answer.get("id"), answer.get("segmentCount")
        if isinstance(provider_id, str) and provider_id:
            return Queued(provider_id, segments if type(segments) is int else None)
        raise Unanswered(f"{status} without an id")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise Throttled("429", after=retry_after(response))
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        # Our fault and nobody else's: it is mended, and then the message goes.
        _credentials_refused("message", response)
        raise Throttled(str(status))
    if refused(status):
        raise Refused(str(status), refusal=Refusal.REJECTED)
    raise Unanswered(str(status))


def _credentials_refused(what: str, response: requests.Response) -> None:
    _log.error(
        "bandwidth_credentials_refused",
        extra={"request": what, "status": response.status_code},
    )
