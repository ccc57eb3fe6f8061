"""The access token of the service account that an instance runs as.

The platform's metadata server hands it out within the instance. google-auth asks
it the same, but takes longer to import than all of a webhook's own code.
"""

import threading
import time
from collections.abc import Callable
from http import HTTPStatus

import msgspec
import urllib3

from backstop.errors import Unavailable

METADATA = "http://metadata.google.internal"
PATH = "/computeMetadata/v1/instance/service-accounts/default/token"

RENEW = 225.0
"""Seconds before its end: the server has a new one in the last five minutes."""


class _Granted(msgspec.Struct):
    access_token: str
    expires_in: float


class InstanceToken:
    """Keeps the token, fetched by one thread for all that wait."""

    def __init__(
        self,
        http: urllib3.PoolManager,
        url: str = METADATA,
        *,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self._http = http
        self._url = url + PATH
        self._monotonic = monotonic or time.monotonic
        self._token = ""
        self._renew_at = 0.0
        self._renewing = threading.Lock()

    def get(self, *, within: float, rejected: str = "") -> str:
        """Return a token for now, other than *rejected* if there is another.

        Raises Unavailable when none was given *within* so many seconds.
        """
        end = self._monotonic() + within
        if self._good(rejected):
            return self._token
        if not self._renewing.acquire(timeout=within):
            raise Unavailable("no access token in time")
        try:
            if not self._good(rejected):
                self._fetch(end)
            return self._token
        finally:
            self._renewing.release()

    def _good(self, rejected: str) -> bool:
        return self._token != rejected and self._monotonic() < self._renew_at

    def _fetch(self, end: float) -> None:
        asked_at = self._monotonic()
        left = end - asked_at
        if left <= 0:
            raise Unavailable("no access token in time")
        try:
            answer = self._http.request(
                "GET",
                self._url,
                headers={"Metadata-Flavor": "Google"},
                timeout=urllib3.Timeout(total=left),
                retries=False,
            )
            if answer.status != HTTPStatus.OK:
                raise Unavailable(f"no access token: {answer.status}")
            granted = msgspec.json.decode(answer.data, type=_Granted)
        except (urllib3.exceptions.HTTPError, ValueError):
            raise Unavailable("no access token") from None
        life = granted.expires_in
        self._token = granted.access_token
        self._renew_at = asked_at + max(life - RENEW, life / 2)
