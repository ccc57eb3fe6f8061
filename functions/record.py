"""Receipts, replies and consent: fold them and publish outcomes."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from backstop import wiring

wiring.start("record")


@functions_framework.aio.http
async def record(request: Request) -> Response:
    return await wiring.serve("record", request)
