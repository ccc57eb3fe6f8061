"""The least of a durable webhook: an HMAC, JSON in base64 in JSON, a flushed row."""

import hmac
import json
import os
from base64 import b64decode, b64encode

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from bench.floors.keeping import keep

TOKEN = os.environ["RBM_CLIENT_TOKENS"].encode()


@functions_framework.aio.http
async def durable(request: Request) -> Response:
    data = b64decode(json.loads(await request.body())["message"]["data"])
    signature = b64encode(hmac.digest(TOKEN, data, "sha512"))
    given = request.headers["x-goog-signature"].encode()
    if not hmac.compare_digest(given, signature):
        return Response(status_code=401)
    json.loads(data)
    await keep(data)
    return Response(b"{}", media_type="application/json")
