"""RBM's events and handshake: verify, publish, answer 200."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from backstop import wiring

wiring.start("webhook")


@functions_framework.aio.http
async def webhook(request: Request) -> Response:
    return await wiring.serve("webhook", request)
