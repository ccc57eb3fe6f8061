"""Requests that both webhooks believe, under the local credentials."""

import hmac
import json
from base64 import b64encode
from collections.abc import Mapping

from bench.load import http
from machine.credentials import DEFAULTS

TOKEN = DEFAULTS["RBM_CLIENT_TOKENS"].encode()
BASIC = b64encode(DEFAULTS["BANDWIDTH_CALLBACKS"].encode()).decode()
JSON = {"Content-Type": "application/json"}


def delivered(number: int, headers: Mapping[str, str] = JSON) -> bytes:
    """Return one of RBM's DELIVERED events, in an envelope of 600 bytes."""
    data = json.dumps(
        {
            "senderPhoneNumber": f"+1555{number % 10_000_000:07}",
            "eventType": "DELIVERED",
            "eventId": f"bench-{number:032}",
            "messageId": f"bench-{number:032}",
            "sendTime": "2026-11-20T17:00:03.456789Z",
            "agentId": "demo_agent@rbm.goog",
        }
    ).encode()
    envelope = {
        "message": {
            "attributes": {"business_id": "demo_agent", "type": "event"},
            "data": b64encode(data).decode(),
            "messageId": f"{number:016}",
            "publishTime": "2026-11-20T17:00:03.500Z",
        },
        "subscription": "projects/rbm/subscriptions/rbm-agent-demo",
    }
    signature = b64encode(hmac.digest(TOKEN, data, "sha512")).decode()
    body = json.dumps(envelope).encode()
    return http("POST", "/webhook", {**headers, "X-Goog-Signature": signature}, body)


def texted(number: int, headers: Mapping[str, str] = JSON) -> bytes:
    """Return one of Bandwidth's `message-delivered` callbacks."""
    callback = [
        {
            "type": "message-delivered",
            "time": "2026-11-20T17:00:03.456789Z",
            "description": "ok",
            "to": f"+1555{number % 10_000_000:07}",
            "message": {
                "id": f"bench-{number:024}",
                "direction": "out",
                "segmentCount": 1,
                "tag": f"demo_agent/bench-{number}/1",
            },
        }
    ]
    authorised = {**headers, "Authorization": f"Basic {BASIC}"}
    return http("POST", "/sms_webhook", authorised, json.dumps(callback).encode())
