"""An SMS may be due: decide and send it."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from backstop import wiring

wiring.start("fallback")


@functions_framework.aio.http
async def fallback(request: Request) -> Response:
    return await wiring.serve("fallback", request)
