"""Bandwidth's own HTTP API, as its clients know it."""

import base64
import binascii
import hmac
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.routing import Route

from .config import Carriers
from .faults import Carrier
from .instants import parse_rfc3339, rfc3339
from .sms import Bandwidth
from .sms_request import parse, refusal
from .state import Store
from .tokens import LIFETIME, Tokens
from .web import Call, Gate, Lost, Refusal, Resource, json_response

_ROOT = "/simulator/bandwidth"
_TYPES = {
    400: "request-validation",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    415: "unsupported-content-type",
    429: "max-message-queue-size-exceeded",
}
_NUMBER_SHAPE = "must be replaced with a valid E.164 formatted telephone number"
_NOT_FOUND = 404
_MOST_LISTED = 10_000
_PARTIAL = 5
_PLACES = ("sourceTn", "destinationTn")


class BandwidthApi:
    """Routes of the message API and of the token endpoint."""

    def __init__(
        self,
        store: Store,
        sms: Bandwidth,
        carrier: Carrier,
        config: Callable[[], Carriers],
        now: Callable[[], int],
    ) -> None:
        self._store = store
        self._sms = sms
        self._carrier = carrier
        self._config = config
        self._now = now
        self._tokens = Tokens(store, "bandwidth")

    def routes(self) -> list[Route]:
        def unknown(call: Call) -> Response:
            raise Refusal(404, call.url_path)

        methods = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
        gate: Gate = self._carrier.admit
        messages = Resource(
            self._refused,
            {"POST": self._create, "GET": self._list},
            gates={"POST": gate},
        )
        token = Resource(self._refused, {"POST": self._token})
        return [
            token.at(f"{_ROOT}/api/v1/oauth2/token"),
            messages.at(f"{_ROOT}/api/v2/users/{{account}}/messages"),
            Resource(self._refused, dict.fromkeys(methods, unknown)).at(
                f"{_ROOT}/{{rest:path}}"
            ),
        ]

    def _refused(self, refused: Refusal, path: str) -> Response:
        """Write *refused* as Bandwidth would; an unknown path has a body of its own."""
        if refused.status == _NOT_FOUND:
            body: dict[str, Any] = {
                "timestamp": rfc3339(self._now(), digits=3),
                "status": 404,
                "error": "Not Found",
                "message": "No message available",
                "path": path,
            }
            return json_response(body, 404)
        kind = refused.code or _TYPES.get(refused.status, "internal-server-error")
        body = {"type": kind, "description": refused.message}
        if refused.fields:
            body["fieldErrors"] = [
                {"fieldName": name, "description": description}
                for name, description in refused.fields
            ]
        return json_response(body, refused.status)

    def _token(self, call: Call) -> Response:
        if not self._is_client(call.headers.get("authorization", "")):
            text = "Client authentication failed."
            error = {"error": "invalid_client", "error_description": text}
            return json_response(error, 401)
        form = parse_qs(call.body.decode("latin-1"))
        if form.get("grant_type") != ["client_credentials"]:
            text = "Only client_credentials is granted."
            error = {"error": "unsupported_grant_type", "error_description": text}
            return json_response(error, 400)
        token = self._tokens.issue(accounts=[self._config().account_id])
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": LIFETIME}
        return json_response(answer)

    def _is_client(self, authorization: str) -> bool:
        scheme, _, encoded = authorization.partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True)
        except (ValueError, binascii.Error):
            return False
        config = self._config()
        expected = f"{config.oauth_client_id}:{config.oauth_client_secret}".encode()
        return scheme.lower() == "basic" and hmac.compare_digest(given, expected)

    def _authorize(self, call: Call) -> None:
        given = call.headers.get("authorization", "")
        basic = self._carrier.setting("basicAuth", default=False)
        if not self._tokens.knows(given) and not (basic and self._is_client(given)):
            raise Refusal(401, "Authentication failed.")
        if call.path["account"] != self._config().account_id:
            raise Refusal(401, "Authentication failed.")

    def _create(self, call: Call) -> Response:
        self._authorize(call)
        kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refusal(415, "The content type must be application/json.")
        now = self._now()
        sent = parse(call.body, now)
        with self._store.transaction():
            text = sent.get("text", "")
            scripts = {number: self._sms.script(number, text) for number in sent["to"]}
            answers = {script.answer for script in scripts.values()} - {"ok"}
            answer = min(answers, default="ok")
            if answer in ("400", "429", "unsent"):
                message = None
            else:
                message = self._sms.accept(sent, scripts, now)
        # Only now: the try is counted, and the message accepted, whatever is answered.
        if answer == "400":
            raise refusal("to", _NUMBER_SHAPE)
        if answer == "429":
            raise Refusal(429, "The queue is full.")
        if answer == "500":
            raise Refusal(500, "Internal server error.")
        if answer in ("lost", "unsent"):
            return Lost()
        return json_response(message, 202)

    def _list(self, call: Call) -> Response:
        self._authorize(call)
        filters = dict(call.query)
        limit = _whole(filters.pop("limit", "100"), "limit")
        start = _whole(filters.pop("pageToken", "0"), "pageToken", least=0)
        for name in ("sort", "limitTotalCount"):
            filters.pop(name, None)
        if not call.query:
            raise refusal("query", "at least one parameter is required")
        if start + limit > _MOST_LISTED:
            raise refusal("limit", f"reaches beyond {_MOST_LISTED}")
        times: dict[str, int] = {
            name: _instant(filters.pop(name), name)
            for name in ("fromDateTime", "toDateTime")
            if name in filters
        }
        found = [
            entry
            for entry in self._entries()
            if _within(entry, times)
            and all(_matches(entry, name, want) for name, want in filters.items())
        ]
        if call.query.get("sort", "").endswith(":asc"):
            found.reverse()
        more = start + limit < len(found)
        page = {
            "prevPageToken": str(max(start - limit, 0)) if start else None,
            "nextPageToken": str(start + limit) if more else None,
        }
        answer = {
            "totalCount": len(found),
            "pageInfo": {name: value for name, value in page.items() if value},
            "messages": found[start : start + limit],
        }
        return json_response(answer)

    def _entries(self) -> list[dict[str, Any]]:
        """Return all messages, one entry per recipient, the newest first."""
        rows = self._store.rows(
            "SELECT sms.message, leg.phone, leg.state, leg.error"
            " FROM sms_legs AS leg JOIN sms USING (id) ORDER BY leg.position DESC"
        )
        account = self._config().account_id
        entries = []
        for row in rows:
            message = json.loads(row["message"])
            out = message["direction"] == "out"
            mms = bool(message.get("media")) or len(message["to"]) > 1
            entries.append(
                {
                    "messageId": message["id"],
                    "accountId": account,
                    "sourceTn": message["from"],
                    "destinationTn": row["phone"] if out else message["to"][0],
                    "messageStatus": row["state"],
                    "messageDirection": "OUTBOUND" if out else "INBOUND",
                    "messageType": "mms" if mms else "sms",
                    "segmentCount": message["segmentCount"],
                    "errorCode": row["error"],
                    "receiveTime": message["time"],
                    "carrierName": None,
                    "messageLength": len(message["text"]),
                    "attachmentCount": len(message.get("media") or ()),
                    "recipientCount": len(message["to"]),
                }
            )
        return entries


def _matches(entry: dict[str, Any], name: str, want: str) -> bool:
    if name in _PLACES:
        # A complete number must be equal; five characters or more may be a part of one.
        return any(
            part == entry[name] or (len(part) >= _PARTIAL and part in entry[name])
            for part in want.split(",")
        )
    return name in entry and str(entry[name]).lower() == want.lower()


def _within(entry: dict[str, Any], times: dict[str, int]) -> bool:
    at = parse_rfc3339(entry["receiveTime"])
    return times.get("fromDateTime", at) <= at <= times.get("toDateTime", at)


def _instant(text: str, name: str) -> int:
    try:
        return parse_rfc3339(text)
    except ValueError:
        raise refusal(name, "must be an RFC 3339 date and time") from None


def _whole(text: str, name: str, *, least: int = 1) -> int:
    if not text.isascii() or not text.isdigit() or not least <= int(text[:9]):
        raise refusal(name, f"must be a number from {least}")
    return int(text[:9])
