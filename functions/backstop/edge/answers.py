"""Google's error shape, and bodies of bounded size."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from backstop import tracing
from backstop.domain.invalid import Invalid
from backstop.domain.message import Json
from backstop.errors import Conflict, Unavailable
from backstop.ports import Log, Random

Handler = Callable[[Request], Awaitable[Response]]

STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    409: "ALREADY_EXISTS",
    413: "INVALID_ARGUMENT",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
}

DRAIN = 32 * 1024 * 1024
"""A client reads our 413 only if we read what it sends, up to a point."""


class Problem(Exception):  # noqa: N818 - it becomes an answer, not a failure
    """An answer in Google's error shape."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        status: str = "",
        details: tuple[Json, ...] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status or STATUSES[code]
        self.details = details
        self.headers = headers

    def response(self) -> Response:
        error: Json = {
            "code": self.code,
            "message": self.message,
            "status": self.status,
        }
        if self.details:
            error["details"] = list(self.details)
        return answer({"error": error}, self.code, self.headers)


def answer(
    body: Json, code: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """Return *body* as JSON."""
    return Response(
        msgspec.json.encode(body),
        code,
        headers,
        media_type="application/json; charset=utf-8",
    )


def bad_request(violations: tuple[tuple[str, str], ...]) -> Problem:
    """Return the 400 that names the fields, as `google.rpc.BadRequest` does."""
    text = "; ".join(
        f"{field}: {message}" if field else message for field, message in violations
    )
    detail: Json = {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [
            {"field": field, "description": message} for field, message in violations
        ],
    }
    return Problem(400, text, details=(detail,))


def error_info(reason: str) -> Json:
    return {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "backstop",
    }


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body. Raises Problem 413 once it is read past *limit*."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= limit:
            chunks.append(chunk)
        elif size > DRAIN:
            break
    if size > limit:
        raise Problem(
            413,
            f"body: must not be larger than {limit} bytes",
            headers={"Connection": "close"} if size > DRAIN else None,
        )
    return b"".join(chunks)


def parse_json(raw: bytes) -> Any:
    """Return the parsed body. Raises Invalid, for half a surrogate pair as well."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise Invalid("", "the body is not valid JSON in UTF-8") from None


def answering(handler: Handler, log: Log, random: Random | None = None) -> Handler:
    """Turn whatever *handler* raises into an answer; nothing else gets out.

    With *random* each request has a trace: the caller's, or one of its own.
    """

    async def answer_always(request: Request) -> Response:
        if random:
            tracing.begin(request.headers, random.random)
        try:
            return await handler(request)
        except Problem as problem:
            return problem.response()
        except Invalid as wrong:
            return bad_request(wrong.violations).response()
        except ClientDisconnect:
            return Problem(400, "the request ended early").response()
        except (Conflict, Unavailable) as error:
            log("unavailable", {"severity": "WARNING", "error": trace(error)})
            return Problem(503, "try again", headers={"Retry-After": "1"}).response()
        except Exception as error:  # noqa: BLE001 - the edge is where it ends
            log("crash", {"severity": "ERROR", "error": trace(error)})
            return Problem(500, "internal error").response()

    return answer_always


def trace(error: BaseException) -> str:
    """Return type and place of *error*, without its text, which may hold anything."""
    place = error.__traceback__
    while place and place.tb_next:
        place = place.tb_next
    where = ""
    if place:
        code = place.tb_frame.f_code
        where = f" at {code.co_filename.rpartition('/')[2]}:{place.tb_lineno}"
    return f"{type(error).__name__}{where}"
