"""What carriers send, as it was recorded: one of each type of event."""

from collections.abc import Mapping

from backstop.domain import event as events
from backstop.domain.event import Type
from backstop.domain.message import Json

_MESSAGE = "7c1f0c0e-6a52-4a55-9a0e-0d5a4d6a1b11"
_AGENT = "demo_agent@rbm.goog"
_USER = {"senderPhoneNumber": "+15550100001", "agentId": _AGENT}
_AT = {"sendTime": "2026-04-05T12:01:00.000001Z"}
_OF_MESSAGE = {"phoneNumber": "+15550100001", "messageId": _MESSAGE, "agentId": _AGENT}

RBM: Mapping[Type, Json] = {
    events.RCS_DELIVERED: {
        **_USER,
        "eventType": "DELIVERED",
        "eventId": "evt-0001",
        "messageId": _MESSAGE,
        "sendTime": "2026-04-05T12:00:00.123456Z",
    },
    events.RCS_READ: {
        **_USER,
        "eventType": "READ",
        "eventId": "evt-0002",
        "messageId": _MESSAGE,
    },
    events.RCS_EXPIRED: {
        **_OF_MESSAGE,
        **_AT,
        "eventType": "TTL_EXPIRATION_REVOKED",
        "eventId": "evt-0003",
    },
    events.RCS_EXPIRY_FAILED: {
        **_OF_MESSAGE,
        **_AT,
        "eventType": "TTL_EXPIRATION_REVOKE_FAILED",
        "eventId": "evt-0004",
    },
    events.RCS_TYPING: {**_USER, "eventType": "IS_TYPING", "eventId": "evt-0005"},
    events.RCS_UNSUBSCRIBED: {
        **_USER,
        **_AT,
        "eventType": "UNSUBSCRIBE",
        "eventId": "evt-0006",
    },
    events.RCS_SUBSCRIBED: {
        **_USER,
        **_AT,
        "eventType": "SUBSCRIBE",
        "eventId": "evt-0007",
    },
    events.RCS_TEXT: {
        **_USER,
        **_AT,
        "messageId": "MxIgT-4pWCQu2tH9hMkSTljQ",
        "text": "Hello, café",
    },
    events.RCS_FILE: {
        **_USER,
        **_AT,
        "messageId": "MxFile1",
        "userFile": {
            "payload": {
                "mimeType": "image/jpeg",
                "fileSizeBytes": 127806,
                "fileName": "4_animated.jpeg",
                "fileUri": "https://files.example/4.jpeg",
            }
        },
    },
    events.RCS_LOCATION: {
        **_USER,
        **_AT,
        "messageId": "MxLoc1",
        "location": {"latitude": 37.422, "longitude": -122.084},
    },
    events.RCS_SUGGESTION: {
        **_USER,
        **_AT,
        "messageId": "MxAb1-uservalue",
        "suggestionResponse": {"postbackData": "nm", "text": "Not me", "type": "REPLY"},
    },
    events.RCS_LAUNCH: {
        **_AT,
        "eventId": "demo_agent/0d5a4d6a",
        "agentId": _AGENT,
        "botDisplayName": "Demo",
        "brandId": "b1",
        "brandDisplayName": "Demo",
        "regionId": "/v1/regions/demo-carrier",
        "oldLaunchState": "PENDING",
        "newLaunchState": "LAUNCHED",
        "actingParty": "CARRIER",
        "comment": "",
    },
    events.RCS_UNKNOWN: {
        **_USER,
        **_AT,
        "eventType": "SOMETHING_NEW",
        "eventId": "evt-0008",
    },
}


def _sms(name: str, at: str, description: str = "ok", **more: object) -> Json:
    """Return a callback of Bandwidth's about an SMS of ours."""
    return {
        "type": name,
        "time": at,
        "description": description,
        "to": "+15550100002",
        "message": {
            "id": "1789000000123abcdefghijklmnop",
            "time": "2026-11-20T17:00:00.123Z",
            "owner": "+15550100001",
            "applicationId": "11111111-2222-4333-8444-555555555555",
            "direction": "out",
            "to": ["+15550100002"],
            "from": "+15550100001",
            "text": "",
            "segmentCount": 1,
            "tag": "demo_agent/otp-1/2",
        },
        **more,
    }


BANDWIDTH: Mapping[Type, Json] = {
    events.SMS_SENDING: _sms(
        "message-sending", "2026-11-20T17:00:01Z", "Message is sending to carrier"
    ),
    events.SMS_SENT: _sms("message-sent", "2026-11-20T17:00:02.5Z"),
    events.SMS_DELIVERED: _sms("message-delivered", "2026-11-20T17:00:03.456789Z"),
    events.SMS_FAILED: _sms(
        "message-failed", "2026-11-20T17:00:04Z", "tn deactivated", errorCode=4721
    ),
    events.SMS_RECEIVED: {
        "type": "message-received",
        "time": "2026-11-20T17:05:00.000000Z",
        "description": "Incoming message received",
        "to": "+15550100001",
        "message": {
            "id": "1789000300000qrstuvwxyzabcdef",
            "time": "2026-11-20T17:04:59.500000Z",
            "owner": "+15550100001",
            "applicationId": "11111111-2222-4333-8444-555555555555",
            "direction": "in",
            "to": ["+15550100001"],
            "from": "+15550100002",
            "text": "STOP",
            "segmentCount": 1,
        },
    },
    events.SMS_UNKNOWN: _sms(
        "message-read", "2026-11-20T17:06:00Z", eventTime="2026-11-20T17:06:00Z"
    ),
}
