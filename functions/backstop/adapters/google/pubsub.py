"""Events on one Pub/Sub topic, published over the service's REST surface.

The generated client does the same over gRPC, but its import is the larger part of
a webhook's cold start. Each request is answered when the service has taken it:
nothing is batched behind anybody's back.
"""

import random
import time
from collections.abc import Callable
from http import HTTPStatus

import msgspec
import urllib3

from backstop import tracing
from backstop.adapters.google.instance import METADATA, InstanceToken
from backstop.domain.event import Event
from backstop.errors import Unavailable

SERVICE = "https://pubsub.googleapis.com"

TRY = 2.5
SHORTEST_TRY = 0.1
"""Seconds for one try."""

BUDGET = 7.0
"""Less than the 10 s in which Bandwidth wants its answer.

A repeat may publish twice: subscribers know the event by its `ce-id`.
"""

BATCH = 500
"""Messages in one request; the service takes up to 1,000."""

POOL = 64
"""Connections that are kept."""

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0

AGAIN = frozenset({401, 408, 409, 429, 499, 500, 502, 503, 504})
"""Whatever else is refused is refused for good."""


class PubsubEvents:
    """Publishes to *topic*, its full name; at *emulator*, host and port, if given."""

    def __init__(  # noqa: PLR0913 - all but the first by name
        self,
        topic: str,
        *,
        emulator: str = "",
        service: str = SERVICE,
        metadata: str = METADATA,
        sleep: Callable[[float], None] | None = None,
        jitter: Callable[[], float] | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self._http = urllib3.PoolManager(maxsize=POOL, ca_certs=_roots(emulator))
        self._url = (
            f"{f'http://{emulator}' if emulator else service}/v1/{topic}:publish"
        )
        self._monotonic = monotonic or time.monotonic
        self._token = (
            None
            if emulator
            else InstanceToken(self._http, metadata, monotonic=self._monotonic)
        )
        self._sleep = sleep or time.sleep
        self._jitter = jitter or random.random

    def publish(self, *events: Event) -> None:
        trace = tracing.attributes()
        messages = [
            # Bytes become base64.
            {"data": event.data, "attributes": event.attributes() | trace}
            for event in events
        ]
        for begin in range(0, len(messages), BATCH):
            body = {"messages": messages[begin : begin + BATCH]}
            self._send(msgspec.json.encode(body))

    def _send(self, body: bytes) -> None:
        end = self._monotonic() + BUDGET
        pause, rejected = FIRST_PAUSE, ""
        while True:
            within = min(TRY, max(end - self._monotonic(), SHORTEST_TRY))
            token = ""
            try:
                if self._token:
                    token = self._token.get(within=within, rejected=rejected)
                status = self._post(body, token, within)
                failure = Unavailable(f"Pub/Sub answered {status}")
                again = status in AGAIN
            except Unavailable as silent:
                status, failure, again = 0, silent, True
            if status == HTTPStatus.OK:
                return
            if status == HTTPStatus.UNAUTHORIZED:
                rejected = token
            wait = pause * self._jitter()
            if not again or self._monotonic() + wait >= end:
                raise failure
            self._sleep(wait)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _post(self, body: bytes, token: str, within: float) -> int:
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        try:
            answer = self._http.request(
                "POST",
                self._url,
                body=body,
                headers=headers,
                timeout=urllib3.Timeout(total=within),
                retries=False,
                redirect=False,
            )
        except urllib3.exceptions.HTTPError:
            # Connections that died in their sleep rarely died alone.
            self._http.clear()
            raise Unavailable("no answer from Pub/Sub") from None
        return answer.status


def _roots(emulator: str) -> str | None:
    """Return whom to trust; the system's own list may be missing in a small image."""
    if emulator:
        return None
    from certifi import where

    return where()
