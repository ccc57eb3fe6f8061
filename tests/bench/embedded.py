"""The embedded platform behind functions-framework's server, without a simulator.

What is named in the path as `machine` names it is served: /webhook, /sms_webhook,
/revoke, /fallback and /record; everything else is `send`'s. The environment holds the
settings and `STATE`; events and timers leave only where it says `DISPATCH`.
"""

import asyncio
import os
import sys
from pathlib import Path

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from backstop import wiring
from backstop.adapters.system import JsonLog, SystemClock
from backstop.settings import Settings
from machine.embedded import EmbeddedGround
from machine.ground import ENTRY_POINTS

_ground: list[EmbeddedGround] = []


def _build() -> None:
    settings = Settings.read(os.environ)
    ground = EmbeddedGround(
        Path(os.environ["STATE"]),
        SystemClock(),  # type: ignore[arg-type]  # whose time nobody moves
        settings,
        JsonLog(sys.stdout),
    )
    if os.environ.get("DISPATCH"):
        ground.start(asyncio.get_running_loop())
    _ground.append(ground)


@functions_framework.aio.http
async def embedded(request: Request) -> Response:
    if not _ground:
        # Here, since no thread survives the server's fork.
        _build()
    name = request.scope["path"][1:]
    return await wiring.serve(name if name in ENTRY_POINTS else "send", request)
