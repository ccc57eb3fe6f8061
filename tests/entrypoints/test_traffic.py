"""Whom the one port serves: this machine, and whoever proves what it is."""

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from machine.traffic import Traffic

HERE, ELSEWHERE = "127.0.0.1", "192.0.2.7"
OURS = ("/v1/phones", "/revoke", "/fallback", "/record")
PROVED = ("/webhook", "/sms_webhook")
SIMULATORS = ("/", "/simulator/phones", "/send", "/webhook/more")


async def _enter(request: Request) -> Response:
    return PlainTextResponse("ours")


async def _simulate(request: Request) -> Response:
    return PlainTextResponse("simulated")


def ask(
    path: str,
    *,
    client: str = HERE,
    host: str = "localhost:8080",
    origin: str = "",
    guarded: bool = False,
) -> tuple[int, bytes]:
    """Return status and body of a request, made without a network."""
    entries = dict.fromkeys(
        ("send", "webhook", "sms_webhook", "revoke", "fallback", "record"), _enter
    )
    simulator = Starlette(routes=[Route("/{path:path}", _simulate)])
    traffic = Traffic(
        entries, simulator, "192.0.2.1", guarded=guarded, behind=lambda: False
    )
    headers = [(b"host", host.encode())]
    if origin:
        headers.append((b"origin", origin.encode()))
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "client": (client, 40_000),
    }
    told: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(event: Any) -> None:
        told.append(event)

    asyncio.run(traffic(scope, receive, send))
    assert traffic.idle()
    return told[0]["status"], told[1].get("body", b"")


@pytest.mark.parametrize("guarded", [False, True])
@pytest.mark.parametrize("path", [*OURS, *PROVED, *SIMULATORS])
@pytest.mark.parametrize(
    "host", ["localhost:8080", "127.0.0.1", "[::1]:80", "192.0.2.1:8080", "192.0.2.1"]
)
def test_this_machine_is_served_by_its_own_names(path: str, host: str, guarded: bool):
    """Each path by what it belongs to."""
    status, body = ask(path, host=host, guarded=guarded)

    assert status == 200
    assert body == (b"simulated" if path in SIMULATORS else b"ours")


@pytest.mark.parametrize("path", [*OURS, *SIMULATORS])
def test_another_machine_is_not_served(path: str):
    """It does not even learn what there is."""
    assert ask(path, client=ELSEWHERE)[0] == 404


@pytest.mark.parametrize("path", SIMULATORS)
def test_the_simulator_is_never_served_to_others(path: str):
    """No token opens it."""
    assert ask(path, client=ELSEWHERE, guarded=True)[0] == 404


@pytest.mark.parametrize("path", PROVED)
def test_a_carrier_calls_from_wherever_it_is(path: str):
    """Its proof is asked for behind this door."""
    served = ask(path, client=ELSEWHERE, host="backstop.example", origin="null")

    assert served == (200, b"ours")


@pytest.mark.parametrize("path", OURS)
def test_whoever_has_a_token_may_be_anywhere(path: str):
    """The token is asked for behind this door."""
    assert ask(path, client=ELSEWHERE, host="b.example", guarded=True)[0] == 200


@pytest.mark.parametrize(
    "host", ["", "evil.example", "evil.example:8080", "localhost.evil.example", ":80"]
)
def test_by_another_name_nobody_is_served(host: str):
    """A name that somebody points at this machine is how a web page would come in."""
    assert ask("/v1/phones", host=host)[0] == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8080", 200),
        ("http://localhost:8081", 403),
        ("https://localhost:8080", 403),
        ("http://evil.example", 403),
        ("null", 403),
    ],
)
def test_no_page_of_another_site_is_served(origin: str, status: int):
    """Another port of this machine is another site."""
    assert ask("/simulator/phones", origin=origin)[0] == status
