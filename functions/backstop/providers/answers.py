"""What HTTP answers and failures mean, whoever the provider is."""

import io
import logging
import re
import socket
import ssl
import time
from datetime import timedelta
from http import HTTPStatus
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlencode

import msgspec
import requests
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from backstop.domain.message import Json

# It warns of an answer's broken header with the request's URL, phone and all.
logging.getLogger("urllib3").setLevel(logging.ERROR)

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


def never_sent(error: requests.RequestException) -> bool:
    """Tell whether the request cannot have left, because nobody was reached."""
    cause = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(cause, (ConnectTimeoutError, NewConnectionError)):
        return True
    inner = cause.args[0] if cause is not None and cause.args else None
    return isinstance(inner, ssl.SSLCertVerificationError)


def retry_after(response: requests.Response) -> timedelta | None:
    """Return the provider's wish for the next try, None if it has none.

    Only the form in seconds is read: a date would need a clock that both share.
    """
    text = response.headers.get("Retry-After", "")
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


class LeanSession(requests.Session):
    """Sends what is ready to be sent, and as it is.

    A session merges settings, cookies, hooks and the environment into each request,
    which takes as long as the request itself. Ours have none of these.
    """

    def request(  # type: ignore[override] # two dozen more, each with a default
        self, method: str, url: str, **how: Any
    ) -> requests.Response:
        """Return the whole answer; what is to be streamed takes the long way."""
        if how.get("stream"):
            return super().request(method, url, **how)
        body, params = how.get("data"), how.get("params")
        request = requests.PreparedRequest()
        request.method = method
        request.url = f"{url}?{urlencode(params)}" if params else url
        request.body = body
        request.headers = requests.structures.CaseInsensitiveDict(how["headers"])
        if body:
            request.headers["Content-Length"] = str(len(body))
        response = self.get_adapter(url).send(request, timeout=how["timeout"])
        # Read here, where a connection that breaks is still the request's failure.
        response.content  # noqa: B018
        return response


def pooled(session: requests.Session, size: int) -> None:
    """Give the session `size` lasting connections, and no retries of its own.

    Its read timeout is for the whole answer, not for each of its bytes.
    The environment's proxies and `.netrc` are left out: they cost time on
    every request, and a `.netrc` entry would replace our own authorization.
    """
    adapter = requests.adapters.HTTPAdapter(pool_maxsize=size)
    adapter.poolmanager.pool_classes_by_scheme = {
        "http": _Pool,
        "https": _SecurePool,
    }
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.trust_env = False


class _InTime(io.RawIOBase):
    """What a socket receives until its timeout has passed once, not per byte.

    A carrier that sends a byte now and then would else hold its caller for ever.
    """

    def __init__(self, sock: socket.socket, raw: io.RawIOBase, left: float) -> None:
        self._sock = sock
        self._raw = raw
        self._end = time.monotonic() + left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        left = sock.gettimeout()
        if left is not None:
            self.fp = io.BufferedReader(_InTime(sock, self.fp.detach(), left))


class _Connection(HTTPConnection):
    response_class = _Answer


class _SecureConnection(HTTPSConnection):
    response_class = _Answer


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection
