"""The app-facing API: send, look, cancel, acknowledge."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from backstop import wiring

wiring.start("send")


@functions_framework.aio.http
async def send(request: Request) -> Response:
    return await wiring.serve("send", request)
