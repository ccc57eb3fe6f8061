"""The controls of the simulated world that need to see Backstop as well."""

import asyncio
import json
from base64 import b64encode
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from backstop.domain.invalid import Invalid
from backstop.domain.message import Json, Message, Traffic
from backstop.domain.times import format_time, parse_duration
from backstop.edge.answers import (
    Handler,
    Problem,
    answer,
    answering,
    parse_json,
    read_body,
)
from backstop.ports import Log
from backstop.providers.rbm.face import compose
from backstop.usecases.view import agent_message
from machine import console_files, documents
from machine.console_numbers import arrivals, numbers
from machine.console_stream import Changes, Stream
from machine.ground import Published

if TYPE_CHECKING:
    from machine.machine import Machine

CONTROL_LIMIT = 64 * 1024
SHOWN = 500
SEARCHED = 5_000
MOST_SHOWN = 10_000
SNIPPET = 120
SUMMARY = ("outcome", "policy", "rule", "deadline", "rcs", "sms", "next")


def application(machine: "Machine", log: Log) -> Starlette:
    """Return the page, the controls and the carriers, for the machine's own paths."""
    control = Control(machine)
    counts: Counter[str] = Counter()
    console = console_files.file if machine.simulated else console_files.none

    def route(path: str, method: str, handler: Handler) -> Route:
        return Route(path, answering(handler, log), methods=[method])

    app = Starlette(
        routes=[
            route("/", "GET", console),
            route("/console/{name}", "GET", console),
            route("/simulator/stream", "GET", Stream(machine, counts)),
            route("/simulator/clock", "GET", control.clock),
            route("/simulator/clock", "POST", control.move_clock),
            route("/simulator/events", "GET", control.events),
            route("/simulator/messages", "GET", control.messages),
            route("/simulator/numbers", "GET", control.numbers),
            route("/simulator/timers", "GET", control.timers),
            route("/simulator/dead-letters", "GET", control.dead_letters),
            route("/simulator/dead-letters/{id}:replay", "POST", control.replay),
            *documents.routes(),
            *machine.ground.routes,
            *machine.simulator.routes,
        ],
        exception_handlers={HTTPException: _framework_error},
        middleware=[Middleware(Changes, counts=counts)],
    )
    # A path that ends in a slash is another path, not one to be sent from.
    app.router.redirect_slashes = False
    return app


async def _framework_error(_request: Request, error: Exception) -> Response:
    code = error.status_code if isinstance(error, HTTPException) else 500
    if code == 405:  # noqa: PLR2004 - HTTP's own word
        return Problem(405, "method: not for this path").response()
    return Problem(404, "no such path; see the README").response()


class Control:
    """The controls of the simulated world that need to see Backstop as well."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        self._ground = machine.ground

    async def clock(self, _request: Request) -> Response:
        return answer(await asyncio.to_thread(self._clock))

    async def move_clock(self, request: Request) -> Response:
        body = parse_json(await read_body(request, CONTROL_LIMIT))
        if not isinstance(body, dict) or set(body) - {"advance", "rate"} or not body:
            raise Invalid("", 'give {"advance": "600s"} or {"rate": 60}')
        settled = True
        if "rate" in body:
            rate = body["rate"]
            if isinstance(rate, bool) or not isinstance(rate, int | float):
                raise Invalid("rate", "must be a number")
            if not 0 <= rate <= 86400:  # noqa: PLR2004 - a day a second
                raise Invalid("rate", "must be from 0 to 86400")
            self._machine.clock.set_rate(rate)
        if "advance" in body:
            by = _duration("advance", body["advance"])
            settled = await asyncio.to_thread(self._machine.advance, by)
        told = await asyncio.to_thread(self._clock)
        return answer(told | {"settled": settled})

    async def events(self, request: Request) -> Response:
        message = request.query_params.get("messageId")
        newest = SHOWN if message is None else SEARCHED
        published = await asyncio.to_thread(self._ground.newest_events, newest)
        shown = (
            event
            for event in published
            if message in {None, event.attributes.get("messageId")}
        )
        return answer({"events": [_event(event) for event in shown]})

    async def messages(self, request: Request) -> Response:
        asked = request.query_params
        outcome = asked.get("outcome", "")
        words = asked.get("q", "").lower()
        size = asked.get("pageSize", str(SHOWN))
        if not (size.isascii() and size.isdigit() and 0 < int(size[:6]) <= MOST_SHOWN):
            raise Invalid("pageSize", f"must be a number from 1 to {MOST_SHOWN}")
        view = {"": agent_message, "full": agent_message, "summary": _summary}.get(
            asked.get("view", "")
        )
        if view is None:
            raise Invalid("view", "must be full or summary")

        def shown() -> list[dict[str, Any]]:
            newest = self._ground.newest_messages(int(size))
            found = [view(m) for m in newest if outcome in {"", m.outcome.value}]
            return [m for m in found if not words or words in json.dumps(m).lower()]

        return answer({"messages": await asyncio.to_thread(shown)})

    async def numbers(self, _request: Request) -> Response:
        newest = await asyncio.to_thread(self._ground.newest_messages, MOST_SHOWN)
        return answer(await asyncio.to_thread(numbers, newest))

    async def timers(self, _request: Request) -> Response:
        pending = await asyncio.to_thread(self._ground.pending_timers, SHOWN)
        timers = []
        for message, at in pending:
            known = await asyncio.to_thread(self._ground.load, message)
            name = agent_message(known)["name"] if known else None
            timers.append({"message": name, "at": format_time(at)})
        return answer({"timers": timers})

    async def dead_letters(self, _request: Request) -> Response:
        letters = await asyncio.to_thread(self._ground.dead_letters, SHOWN)
        return answer(
            {
                "deadLetters": [
                    {
                        "id": letter.id,
                        "subscription": letter.subscription,
                        "reason": letter.reason,
                        "tries": letter.tries,
                        "event": _event(letter.event),
                    }
                    for letter in letters
                ]
            }
        )

    async def replay(self, request: Request) -> Response:
        known = await asyncio.to_thread(self._ground.replay, request.path_params["id"])
        if not known:
            raise Problem(404, "no such dead letter")
        return answer({})

    def _clock(self) -> dict[str, Any]:
        clock = self._machine.clock
        now, oldest = clock.now(), self._ground.oldest_due()
        return {
            "now": format_time(now),
            "rate": clock.rate,
            "oldestDueSeconds": (now - oldest).total_seconds() if oldest else 0.0,
        }


def _duration(field: str, given: Any) -> timedelta:
    try:
        duration = parse_duration(given)
    except (TypeError, ValueError):
        raise Invalid(field, 'must be a duration such as "600s"') from None
    if not timedelta(0) <= duration <= timedelta(days=400):
        raise Invalid(field, "must be from 0s to 400 days")
    return duration


def _summary(message: Message) -> dict[str, Any]:
    """Return what a long list shows of each: no content, no history."""
    whole = agent_message(message)
    told = whole["delivery"]
    arrived = min(arrivals(message), default=None)
    return {
        "name": whole["name"],
        "agentId": message.agent,
        "sendTime": whole["sendTime"],
        "text": (_words(message.request.content) or message.request.text)[:SNIPPET],
        "steps": len(told["events"]),
        **({"arrivedAt": format_time(arrived)} if arrived else {}),
        **{key: told[key] for key in SUMMARY if key in told},
    }


def _event(event: Published) -> dict[str, Any]:
    attributes = event.attributes
    try:
        data = parse_json(event.data)
    except Invalid:
        data = None
    return {
        "id": attributes.get("ce-id"),
        "type": attributes.get("ce-type"),
        "source": attributes.get("ce-source"),
        "subject": attributes.get("ce-subject"),
        "time": attributes.get("ce-time"),
        "attributes": dict(attributes),
        "data": data,
        "dataBase64": b64encode(event.data).decode(),
    }


def _words(rich: Json) -> str:
    return compose(rich, traffic=Traffic.UNSPECIFIED).text
