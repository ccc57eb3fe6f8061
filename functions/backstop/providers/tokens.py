"""Access tokens of OAuth2: fetched by one, for all that wait."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from backstop.errors import Throttled
from backstop.fibres import Promise, bring, lender

Fetch = Callable[[float], tuple[str, float]]
"""Given the seconds there are, returns a token and how many it is good for.

Raises Throttled.
"""


class Tokens:
    """The token of one client. Times are those of *monotonic*."""

    def __init__(
        self, fetch: Fetch, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch = fetch
        self._monotonic = monotonic
        self._token = ""
        self._renew_at = 0.0
        self._guard = threading.Lock()
        self._fetching = False
        self._waiting: list[Promise[None]] = []

    def get(self, end: float) -> str:
        """Return a token for now. Raises Throttled when there is none by *end*."""
        while True:
            with self._guard:
                if self._token and self._monotonic() < self._renew_at:
                    return self._token
                turn: Promise[None] | None = None
                if self._fetching:
                    turn = Promise(lender())
                    self._waiting.append(turn)
                self._fetching = True
            left = end - self._monotonic()
            if turn is None:
                return self._renew(left)
            if left <= 0:
                raise Throttled("no access token in time")
            with suppress(TimeoutError):
                turn.wait(left)

    def reject(self, token: str) -> None:
        """Give *token* to nobody any more."""
        with self._guard:
            if token == self._token:
                self._token = ""

    def _renew(self, within: float) -> str:
        asked_at = self._monotonic()
        try:
            if within <= 0:
                raise Throttled("no time left to ask")
            token, life = self._fetch(within)
            with self._guard:
                self._token, self._renew_at = token, asked_at + life
            return token
        finally:
            with self._guard:
                self._fetching = False
                waiting, self._waiting = self._waiting, []
            bring((turn, None, None) for turn in waiting)
