"""How a ring or a push reaches the function it is for, in one process."""

import asyncio
from typing import Any

from starlette.requests import Request

from backstop.adapters.embedded.dispatcher import ANSWER_WAIT, Post
from backstop.edge.answers import Handler


def inside(handler: Handler, token: str) -> Post:
    """Return what asks a function of this very process, on the loop that asks.

    It is the request that would come over HTTP, without what HTTP costs.
    """
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {token}".encode())],
    }

    async def post(body: bytes) -> int:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async with asyncio.timeout(ANSWER_WAIT):
            response = await handler(Request(dict(scope), receive))
        return response.status_code

    return post
