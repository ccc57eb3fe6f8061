"""The contract as documents: the app API, the events, and a page to read both on."""

import json
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from machine.documents import catalogue, openapi, page

STYLE = Path(__file__).with_name("page.css")
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; style-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def routes() -> list[Route]:
    """Return where the documents are served."""
    return [
        Route("/openapi.json", _openapi),
        Route("/events.json", _events),
        Route("/docs", _docs),
        Route("/docs.css", _style),
    ]


@cache
def _json(name: str) -> bytes:
    made = openapi.document() if name == "openapi" else catalogue.document()
    return json.dumps(made, ensure_ascii=False, indent=1).encode()


async def _openapi(_request: Request) -> Response:
    return _answer(_json("openapi"), "application/json")


async def _events(_request: Request) -> Response:
    return _answer(_json("events"), "application/json")


async def _docs(request: Request) -> Response:
    made = json.loads(_json("openapi")), json.loads(_json("events"))
    url = str(request.base_url).rstrip("/")
    return _answer(page.render(*made, url=url).encode(), "text/html; charset=utf-8")


async def _style(_request: Request) -> Response:
    return _answer(STYLE.read_bytes(), "text/css; charset=utf-8")


def _answer(body: bytes, media_type: str) -> Response:
    return Response(body, media_type=media_type, headers=HEADERS)
