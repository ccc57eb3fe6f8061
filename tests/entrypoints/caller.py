"""A plain HTTP client that changes nothing of what it is told to send."""

import hmac
import http.client
import json
from base64 import b64encode
from dataclasses import dataclass
from email.message import Message as Headers
from time import monotonic
from typing import Any

PHONE = "+15551230001"
MESSAGES = f"/v1/phones/{PHONE}/agentMessages"
WORDS = "Hush, these words are nobody's business"
BODY = {"contentMessage": {"text": WORDS}, "ttl": "600s"}
CLIENT_TOKEN = "local-client-token"
CREDENTIALS = ("local-callback", "local-callback-password")
API_TOKEN = "the-api-token"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Headers
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


class Caller:
    """Calls one machine, and looks at what a call left behind.

    `slowest` is how many seconds the longest call took: told, never judged.
    """

    def __init__(self, local: Any) -> None:
        self.local = local
        self.slowest = 0.0
        self.port = int(local.url.rpartition(":")[2])

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str | bytes] | None = None,
        *,
        wait: float = 20,
    ) -> Answer:
        """Send one request; a body that is no bytes goes as JSON."""
        raw = body if body is None or isinstance(body, bytes) else encode(body)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=wait)
        began = monotonic()
        try:
            connection.request(method, path, raw, headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()
            self.slowest = max(self.slowest, monotonic() - began)

    def left_behind(self) -> tuple[list[str], list[int], list[tuple[Any, ...]]]:
        """Return all that is stored, published and armed."""
        assert self.local.settle()
        return (
            [m.id for m in self.local.ground.messages.newest(limit=1000).messages],
            [event.seq for event in self.local.ground.events.newest(1000)],
            self.local.ground.timers.pending(1000),
        )

    def published(self, since: int = 0) -> list[Any]:
        return [e for e in self.local.ground.events.newest(1000) if e.seq > since]

    def newest_event(self) -> int:
        assert self.local.settle()
        return max(
            (event.seq for event in self.local.ground.events.newest(1)), default=0
        )


def encode(body: Any) -> bytes:
    return json.dumps(body).encode()


def check_refusal(answer: Answer, status: int, *fields: str) -> None:
    """Check that *answer* is Google's error shape, and names the fields."""
    assert answer.status == status, answer.raw
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json.keys() == {"error"}
    error = answer.json["error"]
    assert error.keys() - {"details"} == {"code", "message", "status"}
    assert error["code"] == status
    assert error["message"]
    assert error["status"].isupper()
    assert b"Traceback" not in answer.raw
    assert b".py" not in answer.raw
    named = [
        violation["field"]
        for detail in error.get("details", [])
        for violation in detail.get("fieldViolations", [])
    ]
    assert set(fields) <= set(named), answer.raw
    assert all(field in error["message"] for field in fields)


def sign(data: bytes, token: str = CLIENT_TOKEN) -> str:
    """Sign as Google does: the decoded bytes, under the client token."""
    return b64encode(hmac.digest(token.encode(), data, "sha512")).decode()


def envelope(data: bytes, **more: Any) -> bytes:
    """Wrap *data* as RBM does."""
    return encode({"message": {"data": b64encode(data).decode(), **more}})


def basic(user: str = CREDENTIALS[0], password: str = CREDENTIALS[1]) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()
