"""Errors in the shape that all Google APIs share."""

from typing import Any

from starlette.responses import Response

from .web import Refusal, json_response

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ALREADY_EXISTS",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_SERVER = 500


def google(refusal: Refusal, _path: str) -> Response:
    """Write *refusal* as a Google API would."""
    fallback = "UNKNOWN" if refusal.status >= _SERVER else "FAILED_PRECONDITION"
    error: dict[str, Any] = {
        "code": refusal.status,
        "message": refusal.message,
        "status": refusal.code or _STATUSES.get(refusal.status, fallback),
    }
    if refusal.fields:
        error["details"] = [
            {
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [
                    {"field": name, "description": description}
                    for name, description in refusal.fields
                ],
            }
        ]
    return json_response({"error": error}, refusal.status)
