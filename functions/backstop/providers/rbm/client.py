"""RBM's REST API: create a message, withdraw it, and what else an app may ask."""

import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from itertools import count
from typing import Any, Self
from urllib.parse import quote, urlencode

import msgspec

from backstop import fibres
from backstop.calls import Body, Caller, NoAnswer, NotSent
from backstop.domain.message import Json
from backstop.errors import ProviderError, Refusal, Refused, Throttled, Unanswered
from backstop.http1 import Answer
from backstop.ports import Relayed
from backstop.providers.answers import (
    json_object,
    refused,
    retry_after,
)
from backstop.providers.rbm.grants import Grants, KeyRefused
from backstop.providers.tokens import Tokens

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
_REST = 10.0
_JUDGEMENT = 30.0

_TOKENS = 3
"""Tokens that one call may be refused for."""


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
    """Speaks to RBM over lasting connections.

    A 401 asks for a new token. Every retry is under the same id and within the
    budget of the call. Nothing of the phone, the message or RBM's answer reaches
    an exception or a log.
    """

    def __init__(
        self,
        caller: Caller,
        tokens: Tokens,
        *,
        sleep: Callable[[float], None] | None = None,
        jitter: Callable[[], float] | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self._caller = caller
        self._tokens = tokens
        self._sleep = sleep or fibres.sleep
        self._jitter = jitter or random.random
        self._monotonic = monotonic or time.monotonic
        self._failed_lookups = count(1)

    @classmethod
    def from_key(cls, key: Json, base_url: str, **injected: Any) -> Self:
        """Return a client that signs in with a service account's key.

        Connects to nothing yet. Raises ValueError for what is no such key.
        """
        try:
            grants = Grants(key)
        except KeyError:
            raise ValueError("no service account's key") from None
        tokens = Tokens(grants, injected.get("monotonic", time.monotonic))
        return cls(Caller(base_url), tokens, **injected)

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
            body=msgspec.json.encode(body),
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
            body=msgspec.json.encode(body),
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

    async def forward(
        self,
        *,
        path: str,
        query: Mapping[str, str],
        content_type: str,
        body: bytes | AsyncIterator[bytes],
        length: int | None = None,
    ) -> Relayed:
        """Return RBM's answer to a request that is not ours, whatever its status.

        An iterator's body is sent as it comes. What iterating raises is raised here.
        Raises Throttled when RBM did nothing, Unanswered when what it did is not
        known; nothing is repeated but what a refreshed token allows.
        """
        target = quote(path, safe="/+:")
        target += f"?{urlencode(query)}" if query else ""
        whole = isinstance(body, bytes)
        for _ in range(_TOKENS if whole else 1):
            token = await fibres.run(partial(self._token, self._monotonic() + _REST))
            headers = {"Authorization": f"Bearer {token}"}
            if content_type:
                headers["Content-Type"] = content_type
            try:
                answer = await self._caller.ask(
                    "POST",
                    target,
                    headers=headers,
                    body=body if isinstance(body, bytes) else Body(body, length),
                    connect=_REST,
                    within=_JUDGEMENT,
                )
            except NotSent:
                raise Throttled("not connected") from None
            except NoAnswer:
                raise Unanswered("no answer") from None
            if answer.status != HTTPStatus.UNAUTHORIZED:
                return _relayed(answer)
            self._tokens.reject(token)
        # About our token, and not the caller's.
        if whole:
            _log.error("rbm_credentials_refused", extra={"cause": "401"})
        raise Throttled("401")

    def close(self) -> None:
        """Let go of the connections that rest."""
        self._caller.close()

    def _run(self, call: _Call, budget: timedelta) -> Json:
        end = self._monotonic() + budget.total_seconds()
        pause, silent = _FIRST_PAUSE, False
        # A blip is ridden out here; whatever lasts is the watch's, which
        # keeps nobody waiting.
        left_over = _TRIES if call.patient else 1
        while True:
            left_over -= 1
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

    def _try(self, call: _Call, left: float) -> _Failure | Json:
        if left <= 0:
            return _Failure(Throttled, "no time left to ask")
        end = self._monotonic() + left
        target = f"{call.path}?{urlencode(call.query)}"
        for _ in range(_TOKENS):
            try:
                token = self._token(end)
            except KeyRefused:
                return _Failure(Throttled, "no access token")
            except Throttled:
                return _Failure(Throttled, "no access token", again=True)
            headers = {"Authorization": f"Bearer {token}"}
            if call.body:
                headers["Content-Type"] = "application/json"
            left = end - self._monotonic()
            try:
                answer = self._caller.call(
                    call.method,
                    target,
                    headers=headers,
                    body=call.body,
                    connect=_CONNECT,
                    within=left,
                )
            except NotSent:
                return _Failure(Throttled, "not connected", again=True)
            except NoAnswer:
                return _Failure(Unanswered, "no answer", again=True)
            if answer.status != HTTPStatus.UNAUTHORIZED:
                break
            self._tokens.reject(token)
        return self._judge(call, answer)

    def _token(self, end: float) -> str:
        try:
            return self._tokens.get(end)
        except Throttled as error:
            _log.error("rbm_credentials_refused", extra={"cause": str(error)})
            raise

    def _judge(self, call: _Call, answer: Answer) -> _Failure | Json:
        status = answer.status
        said = json_object(answer.body)
        if status == HTTPStatus.OK and said is not None:
            return said
        if status == HTTPStatus.CONFLICT and call.method == "POST":
            # Undocumented. Ids are ours, so a known one is our own message,
            # and if it were not, the deadline would still fall back.
            return {}
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return _Failure(Throttled, "429", again=True, after=retry_after(answer))
        if status == HTTPStatus.UNAUTHORIZED:
            _log.error("rbm_credentials_refused", extra={"cause": "401"})
            return _Failure(Throttled, "401 after refresh")
        if status == HTTPStatus.FORBIDDEN and _AGENT_LOOKUP in answer.body.lower():
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
        return _Failure(Unanswered, str(status), again=True, after=retry_after(answer))


def _relayed(answer: Answer) -> Relayed:
    """Return an answer that is RBM's own: JSON. Raises Unanswered."""
    status = answer.status
    elsewhere = HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST
    if elsewhere or json_object(answer.body) is None:
        raise Unanswered(f"{status}, and no JSON")
    return Relayed(status, answer.body, answer.headers.get("retry-after", ""))
