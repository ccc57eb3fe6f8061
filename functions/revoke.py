"""A message's timer rang: do what time asks of it."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from backstop import wiring

wiring.start("revoke")


@functions_framework.aio.http
async def revoke(request: Request) -> Response:
    return await wiring.serve("revoke", request)
