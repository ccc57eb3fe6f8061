import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from console.browser import NoBrowserError, open_browser
from machine import Machine
from machine.credentials import private_key


@pytest.fixture(scope="session")
def rbm_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One service account's key for all: making it takes long."""
    state = tmp_path_factory.mktemp("key")
    private_key(state)
    return state / "rbm-key.pem"


class World:
    """One machine whose clock stands still unless a test moves it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.url = machine.url

    def call(self, method: str, path: str, body: Any = None) -> requests.Response:
        return requests.request(method, self.url + path, json=body, timeout=60)

    def ok(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = self.call(method, path, body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def send(self, phone: str, name: str, **body: Any) -> dict[str, Any]:
        whole = {"contentMessage": {"text": "Your table is ready"}, "ttl": "60s"} | body
        path = f"/v1/phones/{phone}/agentMessages?messageId={name}"
        return self.ok("POST", path, whole)

    def outcome(self, phone: str, name: str) -> str:
        told = self.ok("GET", f"/v1/phones/{phone}/agentMessages/{name}")
        return str(told["delivery"]["outcome"])

    def elapse(self, seconds: float) -> None:
        told = self.ok("POST", "/simulator/clock", {"advance": f"{seconds}s"})
        assert told["settled"]

    def events(self, path: str = "/simulator/events") -> list[dict[str, Any]]:
        return list(self.ok("GET", path)["events"])


@pytest.fixture
def world(tmp_path: Path, rbm_key: Path) -> Iterator[World]:
    state = tmp_path / "state"
    state.mkdir()
    shutil.copy(rbm_key, state)
    machine = Machine(state, {})
    machine.clock.set_rate(0)
    machine.start()
    yield World(machine)
    machine.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real browser; without one, say so, and fail where CI=true.

    It ends with its module: as long as it runs, so does an event loop of its own in
    this thread, where other tests want one of theirs.
    """
    try:
        opened = open_browser()
        browser = opened.__enter__()
    except NoBrowserError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
    yield browser
    opened.__exit__(None, None, None)


Open = Callable[..., Any]


@pytest.fixture
def opened(browser: Any, world: World) -> Iterator[Open]:
    """Open the console at an address. It complains of nothing and asks nobody else."""
    complaints: list[str] = []
    asked: list[str] = []
    pages = []

    def complain(message: Any) -> None:
        # An answer of 4xx is an answer; the browser tells of each all the same.
        if message.type == "error" and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    def go(address: str = "", **options: Any) -> Any:
        size = options.pop("size", (1280, 800))
        viewport = {"width": size[0], "height": size[1]}
        page = browser.new_page(
            viewport=viewport, permissions=["clipboard-read"], **options
        )
        page.on("console", complain)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.set_default_timeout(10_000)
        pages.append(page)
        page.goto(f"{world.url}/{address}")
        page.locator("#now").wait_for()
        return page

    yield go
    for page in pages:
        page.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith(world.url)] == []
