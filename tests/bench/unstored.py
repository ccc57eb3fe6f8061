"""Our webhook as it is, before a store that keeps nothing: what its own code takes."""

import os
import sys
from typing import Any

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from backstop import wiring
from backstop.adapters.system import JsonLog, SystemClock, SystemRandom
from backstop.domain.event import Event
from backstop.settings import Settings


class Nowhere:
    """Takes every event and keeps none."""

    def publish(self, *events: Event) -> None:
        """Done already."""


nothing: Any = None
wiring.use(
    wiring.Backstop(
        Settings.read(os.environ, function="webhook"),
        wiring.Embedded(
            messages=nothing,
            recipients=nothing,
            timers=nothing,
            events=Nowhere(),
            clock=SystemClock(),
            random=SystemRandom(),
            log=JsonLog(sys.stdout),
        ),
    )
)


@functions_framework.aio.http
async def unstored(request: Request) -> Response:
    return await wiring.serve("webhook", request)
