"""The console's own files, served as they are."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

import simulator
from backstop.edge.answers import Problem

FOLDER = Path(simulator.__file__).parent / "console"
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
# What a message says is shown on this page: it must have nowhere to go.
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


async def none(_request: Request) -> Response:
    """Answer instead of the console where it could reach a real carrier."""
    raise Problem(404, "the console is for simulated carriers: one of these is real")


async def file(request: Request) -> Response:
    """Answer with a file of the console, or with its page."""
    name = request.path_params.get("name", "index.html")
    known = {path.name: path for path in FOLDER.iterdir() if path.suffix in TYPES}
    path = known.get(name)
    if path is None:
        raise Problem(404, "the console has no such file")
    return Response(
        path.read_bytes(), media_type=TYPES[path.suffix], headers=dict(HEADERS)
    )
