"""Bandwidth's callbacks: verify, publish, answer 2xx."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from backstop import wiring

wiring.start("sms_webhook")


@functions_framework.aio.http
async def sms_webhook(request: Request) -> Response:
    return await wiring.serve("sms_webhook", request)
