"""A machine that has more to do than it can."""

import asyncio
import json
import socket
import threading
from contextlib import ExitStack

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse

from machine.documents import problems
from machine.pace import LATE, LOOKS, PERIOD, Pace
from machine.traffic import FEW, Traffic

CROWD = 64
MESSAGES = "/v1/phones/+15551230001/agentMessages"


def test_a_crowd_is_let_in_together(local):
    """A turn of a busy loop is long: one connection each would be a long wait."""
    here, go_on = threading.Event(), threading.Event()
    address = local.url.removeprefix("http://").split(":")
    let_in = local._server.server_state.connections

    async def turns():
        before, turn = len(let_in), 0
        here.set()
        go_on.wait()
        while len(let_in) < before + CROWD:
            await asyncio.sleep(0)
            turn += 1
        return turn

    taken = asyncio.run_coroutine_threadsafe(turns(), local._loop)
    here.wait()
    with ExitStack() as open_ones:
        for _ in range(CROWD):
            open_ones.enter_context(socket.create_connection(address))
        go_on.set()
        assert taken.result() < CROWD / 4


class Door:
    """Traffic whose function answers when it is told to."""

    def __init__(self, *, behind):
        self.open = asyncio.Event()
        self.entered = 0
        self.traffic = Traffic(
            dict.fromkeys(("send", "webhook"), self._enter),
            Starlette(),
            "localhost",
            guarded=False,
            behind=lambda: behind,
        )

    async def _enter(self, _request):
        self.entered += 1
        await self.open.wait()
        return PlainTextResponse("accepted")

    async def ask(self, method, path):
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [(b"host", b"localhost")],
            "client": ("127.0.0.1", 40_000),
        }
        told = []

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(event):
            told.append(event)

        await self.traffic(scope, receive, send)
        return told[0]["status"], dict(told[0]["headers"]), told[1]["body"]


async def knock(door, asked):
    """Ask all of it at once, and open once whoever is let in is in."""
    tasks = [asyncio.create_task(door.ask(*one)) for one in asked]
    await asyncio.sleep(0)
    door.open.set()
    return await asyncio.gather(*tasks)


@pytest.mark.parametrize("behind", [True, False])
def test_where_more_is_due_than_can_be_done_few_messages_are_let_in(behind):
    """The rest is told so as the document shows it, and when to ask again."""

    async def crowd():
        door = Door(behind=behind)
        answers = await knock(door, [("POST", MESSAGES)] * CROWD)
        later = await door.ask("POST", MESSAGES)
        return door.entered, answers, later

    entered, answers, later = asyncio.run(crowd())

    assert entered == (FEW if behind else CROWD) + 1
    assert later[0] == 200
    for status, headers, body in answers[entered - 1 :]:
        assert status == 503
        assert headers[b"retry-after"] == b"1"
        assert json.loads(body) == problems.body(problems.TOO_MUCH)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", MESSAGES),
        ("DELETE", f"{MESSAGES}/m1"),
        ("POST", f"{MESSAGES}/m1:acknowledge"),
        ("POST", "/webhook"),
    ],
)
def test_what_is_known_already_is_let_in(method, path):
    """A receipt, a cancel or a question makes less of what is due, not more."""

    async def crowd():
        return await knock(Door(behind=True), [(method, path)] * CROWD)

    assert {status for status, *_ in asyncio.run(crowd())} == {200}


def test_the_carriers_beside_it_are_asked_as_ever():
    """What is asked of them is due."""

    async def crowd():
        asked = [("POST", f"/simulator/rbm{MESSAGES}")] * CROWD
        return await knock(Door(behind=True), asked)

    assert {status for status, *_ in asyncio.run(crowd())} == {404}


class Turns:
    """A loop of which a test says how late it comes to things."""

    def __init__(self):
        self.now = 0.0
        self.planned = None

    def time(self):
        return self.now

    def call_soon_threadsafe(self, work, *given):
        self.planned = self.now, work, given

    def call_at(self, at, work, *given):
        self.planned = at, work, given

    def turn(self, late):
        at, work, given = self.planned
        self.now = at + late
        work(*given)


@pytest.fixture
def turns():
    return Turns()


@pytest.fixture
def pace(turns):
    pace = Pace()
    pace.watch(turns)
    return pace


@pytest.mark.parametrize(
    ("late", "behind"),
    [
        ((1.1, 1.1, 0, 0, 1.1), True),
        ((1.1, 0.9, 0.9, 0.9, 1.1), False),
        ((900, 900, 0, 0, 0), False),
        ((1.1, 1.1, 1.1, 0, 0, 0), False),
    ],
)
def test_a_machine_is_behind_whose_last_turns_were_mostly_late(
    pace, turns, late, behind
):
    """By how much does not matter: a pause is no backlog."""
    for share in late:
        turns.turn(LATE * share)

    assert len(late) >= LOOKS
    assert pace.behind() is behind


def test_it_looks_ten_times_a_second(pace, turns):
    for _ in range(10):
        turns.turn(0.0)

    assert turns.now == pytest.approx(9 * PERIOD)
