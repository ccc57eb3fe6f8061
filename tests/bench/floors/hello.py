"""The least that functions-framework does for a request, in the mode that ours use."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response


@functions_framework.aio.http
async def hello(request: Request) -> Response:
    await request.body()
    return Response(b"{}", media_type="application/json")
