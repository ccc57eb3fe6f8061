"""What the console asks of the control API, asked by a script."""

import asyncio
import base64
import hashlib
import hmac
import json
import shutil
import sqlite3
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import requests
from starlette.requests import Request
from starlette.responses import Response

import simulator
from backstop.edge.answers import Handler
from console.conftest import World
from machine import Machine
from machine.console_numbers import percentile
from machine.console_stream import Stream

ANDROID, SMS_ONLY = "+15551230001", "+15551230003"
CONSOLE = Path(simulator.__file__).parent / "console"
STORIES: list[dict[str, Any]] = json.loads((CONSOLE / "scenarios.json").read_text())
MINUTE, HOUR = 60, 3600


class Hints:
    """Listens to the stream until it is told to stop."""

    def __init__(self, url: str) -> None:
        self._answer = requests.get(f"{url}/simulator/stream", stream=True, timeout=5)
        self.type = self._answer.headers["content-type"]
        self._lines = self._answer.iter_lines(decode_unicode=True)

    def next(self) -> dict[str, Any]:
        for line in self._lines:
            if line.startswith("data: "):
                return dict(json.loads(line.removeprefix("data: ")))
        raise AssertionError("the stream ended")

    def until(self, kind: str) -> dict[str, Any]:
        while kind not in (hint := self.next())["kinds"] or not hint["settled"]:
            pass
        return hint

    def close(self) -> None:
        self._answer.close()


@pytest.fixture
def hints(world: World):
    hints = Hints(world.url)
    hints.next()
    yield hints
    hints.close()


@pytest.mark.parametrize(
    ("kind", "method", "path", "body"),
    [
        ("clock", "POST", "/simulator/clock", {"advance": "1s"}),
        ("carriers", "PUT", "/simulator/carriers/rbm", {"duplicate": True}),
        ("phones", "PUT", f"/simulator/phones/{ANDROID}", {"online": False}),
        (
            "messages",
            "POST",
            f"/v1/phones/{ANDROID}/agentMessages",
            {"contentMessage": {"text": "Hello"}},
        ),
    ],
)
def test_a_change_is_hinted_at(
    world: World, hints: Hints, kind: str, method: str, path: str, body: Any
):
    """Whoever listens hears of a change, and once more when all has come to rest."""
    assert hints.type.startswith("text/event-stream")
    world.ok(method, path, body)

    assert hints.until(kind)["settled"]


def test_what_is_only_looked_at_is_not_hinted_at(world: World, hints: Hints):
    """A page that asks because of a hint causes none."""
    world.ok("GET", "/simulator/messages")
    world.ok("GET", f"/simulator/phones/{ANDROID}")
    world.ok("PUT", "/simulator/carriers/rbm", {"duplicate": True})

    assert hints.next()["kinds"] == ["carriers"]


def test_the_last_hint_comes_when_all_is_at_rest(world: World):
    """A hint may come too early; then the same once more."""

    class Scripted(Stream):
        looks = iter(
            [
                ({"messages": 1}, True),
                ({"messages": 2}, False),
                ({"messages": 2}, False),
                ({"messages": 2}, True),
                ({"messages": 3}, True),
            ]
        )

        def _look(self):
            look = next(self.looks, None)
            if look is None:
                raise sqlite3.ProgrammingError("closed")
            return look

    async def listen() -> list[Any]:
        hints = Scripted(world.machine, Counter())._hints()
        return [json.loads(text.partition("data: ")[2]) async for text in hints]

    # The browser's own loop may be running in this thread.
    with ThreadPoolExecutor(1) as thread:
        hints = thread.submit(lambda: asyncio.run(listen())).result()
    settled = [hint["settled"] for hint in hints]
    assert settled == [True, False, True, True]


def test_a_listener_does_not_hold_up_the_end(world: World):
    """Stopping takes no longer because somebody listens."""
    hints = Hints(world.url)
    hints.next()
    ending = threading.Thread(target=world.machine.stop)
    ending.start()
    ending.join(3)
    ended = not ending.is_alive()
    hints.close()
    ending.join()
    world.machine.stop = lambda: None  # type: ignore[method-assign]

    assert ended


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story["name"])
def test_a_story_ends_as_it_says(world: World, story: dict[str, Any]):
    """The switches that the console sets do what its sentence tells, and one SMS."""
    for method, path, body in story["steps"]:
        world.ok(method, path, body)
    world.send(story["to"], story["name"], **story["send"])
    world.elapse(3 * HOUR)

    path = f"/v1/phones/{story['to']}/agentMessages/{story['name']}"
    told = world.ok("GET", path)["delivery"]
    assert (told["outcome"], told["rule"]) == (story["outcome"], story["rule"])
    assert (told["sms"]["attempts"] > 1) is (story["name"] == "queue-full")
    events = world.ok("GET", "/simulator/callbacks")["callbacks"]
    bodies = [callback["body"] for callback in events]
    assert (len(set(bodies)) < len(bodies)) is (story["name"] == "twice")
    inbox = world.ok("GET", f"/simulator/phones/{story['to']}")["inbox"]
    assert [item["channel"] for item in inbox].count("SMS") == 1


def test_a_callback_shows_how_it_was_signed(world: World):
    """Base and digests are those that went over the wire."""
    world.send(ANDROID, "signed")
    world.elapse(1)
    (told,) = world.ok("GET", "/simulator/callbacks")["callbacks"][:1]

    proof = told["verification"]
    base = base64.b64decode(proof["baseBase64"])
    digest = hmac.new(b"local-client-token", base, hashlib.sha512).digest()
    assert proof["sent"] == base64.b64encode(digest).decode() == proof["expected"]
    assert (proof["verdict"], told["status"]) == ("believed", 200)
    assert json.loads(base)["messageId"] == "signed"


def test_a_carrier_that_knows_another_token_is_refused(world: World):
    """The digests differ, and so does the verdict."""
    world.ok("PUT", "/simulator/carriers/rbm", {"clientToken": "another"})
    world.send(ANDROID, "wrong")
    world.elapse(1)
    proof = world.ok("GET", "/simulator/callbacks")["callbacks"][0]["verification"]

    assert not proof["equal"]
    assert proof["verdict"] == "refused"


@pytest.mark.parametrize("forged", [False, True])
@pytest.mark.parametrize("phone", [ANDROID, SMS_ONLY], ids=["rbm", "bandwidth"])
def test_a_callback_is_sent_again(world: World, phone: str, *, forged: bool):
    """The same bytes once more: known by their id; a forgery is not even published."""
    world.ok("PUT", f"/simulator/phones/{SMS_ONLY}", {"rcs": False})
    world.send(phone, "again")
    world.elapse(10)
    first = world.ok("GET", "/simulator/callbacks")["callbacks"][0]
    published = {event["id"] for event in world.events()}
    path = f"/simulator/callbacks/{first['id']}:resend"
    world.ok("POST", path, {"forged": forged})
    world.elapse(1)

    last = world.ok("GET", "/simulator/callbacks")["callbacks"][-1]
    assert last["body"] == first["body"]
    assert last["verification"]["equal"] is not forged
    assert last["status"] == (401 if forged else 200)
    assert {event["id"] for event in world.events()} == published


def test_bandwidth_proves_itself_by_its_credentials(world: World):
    """What is shown of a password is its digest."""
    world.ok("PUT", f"/simulator/phones/{SMS_ONLY}", {"rcs": False})
    world.send(SMS_ONLY, "basic")
    world.elapse(5)
    answer = world.call("GET", "/simulator/callbacks")

    proof = answer.json()["callbacks"][-1]["verification"]
    assert proof["scheme"] == "Basic"
    assert base64.b64decode(proof["baseBase64"]) == b"local-callback"
    assert proof["equal"]
    assert "local-callback-password" not in answer.text


def test_no_other_callback_is_known(world: World):
    """A resend of nothing is 404, and `forged` is true or false."""
    assert world.call("POST", "/simulator/callbacks/rbm-9:resend").status_code == 404
    path = "/simulator/callbacks/rbm-9:resend"
    assert world.call("POST", path, {"forged": "yes"}).status_code == 400


def test_a_timer_that_nobody_answers_is_told_of(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    """The oldest that is due is the sign of life, since nothing else says a word."""
    entries, clock = world.machine.ground.entries, world.machine.clock
    ring, answered = entries["revoke"], threading.Event()

    async def blocked(request: Request) -> Response:
        await asyncio.to_thread(answered.wait)
        return await ring(request)

    monkeypatch.setitem(cast("dict[str, Handler]", entries), "revoke", blocked)
    world.ok("PUT", "/simulator/carriers/rbm", {"drop": "events"})
    world.send(ANDROID, "one")
    [timer] = world.ok("GET", "/simulator/timers")["timers"]
    late = timedelta(seconds=61)
    try:
        clock.jump_to(datetime.fromisoformat(timer["at"]) + late)
        told = world.ok("GET", "/simulator/clock")["oldestDueSeconds"]
    finally:
        answered.set()

    assert late.total_seconds() == told > 30
    world.elapse(0)
    assert world.ok("GET", "/simulator/clock")["oldestDueSeconds"] == 0


def test_a_phone_has_a_system(world: World):
    """It is remembered, and there are two."""
    path = f"/simulator/phones/{ANDROID}"
    assert world.ok("GET", path)["system"] == "android"
    assert world.ok("PUT", path, {"system": "iphone"})["system"] == "iphone"
    assert world.call("PUT", path, {"system": "nokia"}).status_code == 400
    phones = world.ok("GET", "/simulator/phones")["phones"]
    assert [told["system"] for told in phones] == ["iphone"]


def test_the_agent_is_seen_typing_and_reading(world: World):
    """Its events at RBM are shown on the phone: twenty seconds of dots, and ticks."""
    path = f"/simulator/phones/{ANDROID}"
    world.send(ANDROID, "first")
    world.elapse(1)
    (said,) = world.ok("POST", f"{path}/messages", {"text": "Hello?"})["ids"]
    now = world.ok("GET", "/simulator/clock")["now"]
    rbm = Rbm(world.url)
    rbm.event("typing-1", eventType="IS_TYPING")
    rbm.event("read-1", eventType="READ", messageId=said)

    seen = world.ok("GET", path)["agent"]
    assert seen["read"] == [said]
    typing = datetime.fromisoformat(seen["typingUntil"])
    assert typing - datetime.fromisoformat(now) == timedelta(seconds=20)


class Rbm:
    """An agent that calls the simulated platform by itself."""

    def __init__(self, url: str) -> None:
        head, claims = (
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
            for part in ({"alg": "RS256"}, {"iss": "a", "aud": "b", "scope": "c"})
        )
        grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
        form = {"grant_type": grant, "assertion": f"{head}.{claims}.c2lnbmVk"}
        told = requests.post(f"{url}/simulator/rbm/token", data=form, timeout=9)
        self._url = f"{url}/simulator/rbm/v1/phones/{ANDROID}/agentEvents"
        self._headers = {"authorization": f"Bearer {told.json()['access_token']}"}

    def event(self, name: str, **body: str) -> None:
        answer = requests.post(
            self._url,
            params={"eventId": name, "agentId": "demo_agent"},
            json=body,
            headers=self._headers,
            timeout=9,
        )
        assert answer.status_code == 200, answer.text


def test_a_summary_leaves_out_what_is_long(world: World):
    """Enough for a row; sizes and filters are checked."""
    world.send(ANDROID, "brief", contentMessage={"text": "x" * 500})
    path = "/simulator/messages?view=summary"
    (told,) = world.ok("GET", path)["messages"]

    assert told["text"] == "x" * 120
    assert told["agentId"] == "demo_agent"
    assert "contentMessage" not in told
    assert world.ok("GET", f"{path}&q=nothing-like-it")["messages"] == []
    assert world.ok("GET", f"{path}&outcome=FAILED")["messages"] == []
    assert world.call("GET", f"{path}&pageSize=0").status_code == 400
    assert world.call("GET", "/simulator/messages?view=brief").status_code == 400


def test_events_of_one_message(world: World):
    """The timeline asks for its own only."""
    for name in ("one", "two"):
        world.send(ANDROID, name)
    world.elapse(5)
    told = world.events("/simulator/events?messageId=two")
    assert {event["attributes"]["messageId"] for event in told} == {"two"}


def test_the_page_is_served_alone(world: World):
    """Its own files and no others, under a policy that lets it ask nobody else."""
    page = world.call("GET", "/")
    assert "SIMULATOR" in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    assert world.call("GET", "/console/main.js").status_code == 200
    for name in ("nothing.js", "..%2Fapp.py", "%2e%2e/app.py"):
        assert world.call("GET", f"/console/{name}").status_code == 404
    elsewhere = requests.get(world.url, headers={"host": "evil.example"}, timeout=9)
    assert elsewhere.status_code == 403


def test_there_is_no_console_to_real_carriers(tmp_path: Path, rbm_key: Path):
    """A click on a page that says SIMULATOR never sends anything for real."""
    shutil.copy(rbm_key, tmp_path)
    machine = Machine(tmp_path, {"RBM_URL": "https://rbm.invalid"})
    machine.start()
    answers = [
        requests.get(machine.url + path, timeout=9)
        for path in ("/", "/console/main.js")
    ]
    machine.stop()

    assert [answer.status_code for answer in answers] == [404, 404]
    assert "one of these is real" in answers[0].text


def test_nothing_of_the_console_is_fetched_from_elsewhere():
    """No address of another host stands in what the page loads."""
    for path in CONSOLE.iterdir():
        if path.suffix in {".html", ".css"}:
            assert "http" not in path.read_text().replace("http://www.w3.org/", "")


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ((), 0.5, None),
        ((7,), 0.95, 7),
        ((1, 2, 3, 4), 0.5, 2),
        (range(1, 101), 0.95, 95),
    ],
)
def test_percentiles(values, share, expected):
    """The nearest rank: a value that was measured."""
    assert percentile(list(values), share) == expected
