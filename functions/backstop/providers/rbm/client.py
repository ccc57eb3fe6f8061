"""RBM's REST API: create a message, withdraw it, and what else an app may ask."""

import json
import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from itertools import count
from typing import Any, Self
from urllib.parse import quote

import requests

from backstop.domain.message import Json
from backstop.errors import ProviderError, Refusal, Refused, Throttled, Unanswered
from backstop.ports import Relayed
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

SCOPE = "https://www.googleapis.com/auth/rcsbusinessmessaging"

_CONNECT = 2.0
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 8.0
_TRIES = 3
_ONE_TRY = timedelta(seconds=2)

# A 403 of this kind means that our key or agent id is wrong. It says nothing
# about the phone, and must not buy an SMS for every message.
_AGENT_LOOKUP = b"error looking up the rbm agent"

# Google has written both for a phone that this agent cannot reach.
_UNREACHABLE: Mapping[int, Refusal] = {
    HTTPStatus.FORBIDDEN: Refusal.UNREACHABLE,
    HTTPStatus.NOT_FOUND: Refusal.UNREACHABLE,
}

# Seconds to connect, which is also all that RBM may pause while it takes a
# body in, and to answer.
_FORWARD = (10.0, 30.0)
_LARGEST_ANSWER = 4 * 1024 * 1024
_PART = 64 * 1024

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Call:
    """A request, and what each of its refusals means."""

    method: str
    path: str
    query: Mapping[str, str]
    refusals: Mapping[int, Refusal]
    other_refusal: Refusal
    body: bytes | None = None
    patient: bool = True


@dataclass(frozen=True, slots=True)
class _Failure:
    """One try that did not succeed; `again` if the same call may try once more."""

    error: type[ProviderError] | Refusal
    detail: str
    again: bool = False
    after: timedelta | None = None

    def exception(self, *, after_silence: bool) -> ProviderError:
        if isinstance(self.error, Refusal):
            return Refused(self.detail, refusal=self.error, after_silence=after_silence)
        if issubclass(self.error, Throttled):
            return self.error(
                self.detail, after=self.after, after_silence=after_silence
            )
        return self.error(self.detail, after_silence=after_silence)


class Rbm:
    """Speaks to RBM over one pooled, authorised session.

    The session refreshes its token on 401. Every other retry is made here,
    under the same id and within the budget of the call. Nothing of the phone,
    the message or RBM's answer reaches an exception or a log.
    """

    def __init__(
        self,
        base_url: str,
        session: requests.Session,
        *,
        sleep: Callable[[float], None] | None = None,
        jitter: Callable[[], float] | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._session = session
        self._sleep = sleep or time.sleep
        self._jitter = jitter or random.random
        self._monotonic = monotonic or time.monotonic
        self._failed_lookups = count(1)

    @classmethod
    def from_key(
        cls, key: Json, base_url: str, *, pool: int = 64, **injected: Any
    ) -> Self:
        """Return a client that signs in with a service account's key.

        Connects to nothing yet. Raises ValueError for what is no such key.
        """
        try:
            session = _authorised_session(key, pool)
        except KeyError:
            raise ValueError("no service account's key") from None
        return cls(base_url, session, **injected)

    def create(
        self, *, agent: str, phone: str, message_id: str, body: Json, budget: timedelta
    ) -> None:
        """Return when RBM has accepted the message.

        Raises Refused (UNREACHABLE or REJECTED), Throttled or Unanswered.
        """
        call = _Call(
            method="POST",
            path=f"/v1/phones/{quote(phone, safe='+')}/agentMessages",
            query={"messageId": message_id, "agentId": agent},
            refusals=_UNREACHABLE,
            other_refusal=Refusal.REJECTED,
            body=json.dumps(body, allow_nan=False).encode(),
        )
        self._run(call, budget)

    def revoke(
        self, *, agent: str, phone: str, message_id: str, budget: timedelta
    ) -> None:
        """Return when RBM has answered 200 to the withdrawal.

        Raises Refused (WITHDRAWAL_FAILED), Throttled or Unanswered. A budget
        of two seconds or less buys one try.
        """
        name = f"{quote(phone, safe='+')}/agentMessages/{quote(message_id, safe='')}"
        call = _Call(
            method="DELETE",
            path=f"/v1/phones/{name}",
            query={"agentId": agent},
            refusals={},
            other_refusal=Refusal.WITHDRAWAL_FAILED,
            patient=budget > _ONE_TRY,
        )
        self._run(call, budget)

    def event(
        self, *, agent: str, phone: str, event_id: str, body: Json, budget: timedelta
    ) -> Json:
        """Return RBM's answer to a READ or IS_TYPING.

        Raises Refused (UNREACHABLE or REJECTED), Throttled or Unanswered.
        """
        call = _Call(
            method="POST",
            path=f"/v1/phones/{quote(phone, safe='+')}/agentEvents",
            query={"eventId": event_id, "agentId": agent},
            refusals=_UNREACHABLE,
            other_refusal=Refusal.REJECTED,
            body=json.dumps(body, allow_nan=False).encode(),
        )
        return self._run(call, budget)

    def capabilities(
        self, *, agent: str, phone: str, request_id: str, budget: timedelta
    ) -> Json:
        """Return what RBM knows of the phone's capabilities.

        Raises Refused (UNREACHABLE or REJECTED), Throttled or Unanswered.
        """
        call = _Call(
            method="GET",
            path=f"/v1/phones/{quote(phone, safe='+')}/capabilities",
            query={"requestId": request_id, "agentId": agent},
            refusals=_UNREACHABLE,
            other_refusal=Refusal.REJECTED,
        )
        return self._run(call, budget)

    def forward(
        self,
        *,
        path: str,
        query: Mapping[str, str],
        content_type: str,
        body: bytes | Iterable[bytes],
        length: int | None = None,
    ) -> Relayed:
        """Return RBM's answer to a request that is not ours, whatever its status.

        An iterable body is sent as it comes. What iterating raises is raised here.
        Raises Throttled when RBM did nothing, Unanswered when what it did is not
        known; nothing is repeated but what a refreshed token allows.
        """
        from google.auth.exceptions import GoogleAuthError

        try:
            response = self._session.request(
                "POST",
                self._base_url + quote(path, safe="/+:"),
                params=query,
                data=body if isinstance(body, bytes) else _Once(body, length),
                headers={"Content-Type": content_type} if content_type else None,
                timeout=_FORWARD,
                allow_redirects=False,
                stream=True,
                hooks={"response": _let_go},
            )
            with response:
                return _relayed(response)
        except GoogleAuthError as error:
            _log.error("rbm_credentials_refused", extra={"cause": type(error).__name__})
            raise Throttled("no access token") from None
        except _SpentError:
            # The token that was refused is a new one by now.
            raise Throttled("401, and the body is gone") from None
        except requests.RequestException as error:
            if never_sent(error):
                raise Throttled("not connected") from None
            raise Unanswered("no answer") from None

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def _run(self, call: _Call, budget: timedelta) -> Json:
        end = self._monotonic() + budget.total_seconds()
        pause, silent = _FIRST_PAUSE, False
        # A blip is ridden out here; whatever lasts is the watch's, which
        # keeps nobody waiting.
        for left_over in reversed(range(_TRIES if call.patient else 1)):
            answer = self._try(call, end - self._monotonic())
            if not isinstance(answer, _Failure):
                return answer
            failure = answer
            wait = pause * self._jitter()
            if failure.after:
                wait += failure.after.total_seconds()
            left = end - self._monotonic()
            if not (failure.again and left_over and wait < left):
                raise failure.exception(after_silence=silent)
            silent |= failure.error is Unanswered
            self._sleep(wait)
            pause = min(pause * 2, _LONGEST_PAUSE)
        raise AssertionError("the last try returns or raises")

    def _try(self, call: _Call, left: float) -> _Failure | Json:
        from google.auth.exceptions import GoogleAuthError

        if left <= 0:
            return _Failure(Throttled, "no time left to ask")
        try:
            response = self._session.request(
                call.method,
                self._base_url + call.path,
                params=call.query,
                data=call.body,
                headers={"Content-Type": "application/json"} if call.body else None,
                timeout=(min(_CONNECT, left), left),
                allow_redirects=False,
            )
        except GoogleAuthError as error:
            # Without a token nothing was asked; the cause may name secrets.
            _log.error("rbm_credentials_refused", extra={"cause": type(error).__name__})
            return _Failure(Throttled, "no access token", again=_passing(error))
        except requests.RequestException as error:
            if never_sent(error):
                return _Failure(Throttled, "not connected", again=True)
            return _Failure(Unanswered, "no answer", again=True)
        return self._judge(call, response)

    def _judge(self, call: _Call, response: requests.Response) -> _Failure | Json:
        status = response.status_code
        answer = json_object(response.content)
        if status == HTTPStatus.OK and answer is not None:
            return answer
        if status == HTTPStatus.CONFLICT and call.method == "POST":
            # Undocumented. Ids are ours, so a known one is our own message,
            # and if it were not, the deadline would still fall back.
            return {}
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return _Failure(Throttled, "429", again=True, after=retry_after(response))
        if status == HTTPStatus.UNAUTHORIZED:
            _log.error("rbm_credentials_refused", extra={"cause": "401"})
            return _Failure(Throttled, "401 after refresh")
        if status == HTTPStatus.FORBIDDEN and _AGENT_LOOKUP in response.content.lower():
            _log.error(
                "rbm_agent_lookup_failed",
                extra={
                    "agent": call.query["agentId"],
                    "count": next(self._failed_lookups),
                },
            )
            return _Failure(Throttled, "agent lookup failed")
        if refused(status):
            refusal = call.refusals.get(status, call.other_refusal)
            return _Failure(refusal, str(status))
        return _Failure(
            Unanswered, str(status), again=True, after=retry_after(response)
        )


class _SpentError(Exception):
    """A body that came but once would have to be sent again."""


class _Once:
    """A body that is sent as it comes. `requests` reads its length off `len`."""

    def __init__(self, parts: Iterable[bytes], length: int | None) -> None:
        self._parts: Iterable[bytes] | None = parts
        self.len = length or 0

    def __iter__(self) -> Iterator[bytes]:
        parts, self._parts = self._parts, None
        if parts is None:
            raise _SpentError
        return iter(parts)


def _let_go(response: requests.Response, **_how: object) -> None:
    """Free the connection of an answer that is not read: the request is repeated."""
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        response.close()


def _relayed(response: requests.Response) -> Relayed:
    """Return an answer that is RBM's own: JSON, of a bounded size.

    Raises Throttled for a 401, which is about our token and not the caller's.
    """
    status = response.status_code
    if status == HTTPStatus.UNAUTHORIZED:
        _log.error("rbm_credentials_refused", extra={"cause": "401"})
        raise Throttled("401 after refresh")
    content = b""
    for part in response.iter_content(_PART):
        content += part
        if len(content) > _LARGEST_ANSWER:
            raise Unanswered("an answer without end")
    elsewhere = HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST
    if elsewhere or json_object(content) is None:
        raise Unanswered(f"{status}, and no JSON")
    return Relayed(status, content, response.headers.get("Retry-After", ""))


class _TokenEndpoint:
    """How google-auth fetches tokens: from their endpoint only, one try at a time.

    Left alone the library retries in its own rhythm, past our budgets, and
    asks a second Google service which regions the account is bound to, from a
    thread that outlives the request. RBM needs neither.
    """

    def __init__(self, token_uri: str, pool: int) -> None:
        from google.auth.transport.requests import Request

        self.session = requests.Session()
        pooled(self.session, pool)
        self._token_uri = token_uri
        self._request = Request(self.session)

    def __call__(self, url: str, *args: Any, **kwargs: Any) -> Any:
        if url != self._token_uri:
            raise _transport_error("not a token request")
        response = self._request(url, *args, **kwargs)
        status = response.status
        if accepted(status) and access_token(response.data) is None:
            raise _transport_error("no token in the answer")
        if status == HTTPStatus.TOO_MANY_REQUESTS or not (
            accepted(status) or refused(status)
        ):
            raise _transport_error("the token endpoint is busy")
        return response


def _authorised_session(key: Json, pool: int) -> requests.Session:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from google.auth.crypt import RSASigner
    from google.auth.transport.requests import AuthorizedSession
    from google.oauth2.service_account import Credentials

    # It is our own secret. To prove its primes prime, as google-auth's reader of keys
    # has it done, is a tenth of a cold start.
    private_key = load_pem_private_key(
        key["private_key"].encode(), None, unsafe_skip_rsa_key_validation=True
    )
    credentials = Credentials(  # type: ignore[no-untyped-call]
        RSASigner(private_key, key.get("private_key_id")),  # type: ignore[no-untyped-call]
        service_account_email=key["client_email"],
        token_uri=key["token_uri"],
        scopes=[SCOPE],
    )

    class Session(AuthorizedSession, LeanSession):
        """Beneath google-auth's part, which stays as it is."""

    session = Session(  # type: ignore[no-untyped-call]
        credentials, auth_request=_TokenEndpoint(key["token_uri"], pool)
    )
    pooled(session, pool)
    return session


def _passing(error: Exception) -> bool:
    from google.auth.exceptions import TransportError

    return isinstance(error, TransportError)


def _transport_error(reason: str) -> Exception:
    from google.auth.exceptions import TransportError

    return TransportError(reason)  # type: ignore[no-untyped-call]
