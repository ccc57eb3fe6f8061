"""What the log says is what the catalogue promises, and what metrics can count."""

import ast
import asyncio
import io
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.requests import Request

from backstop.adapters.system import JsonLog
from backstop.domain.message import Contract, Policy
from backstop.domain.signal import Kind, Signal
from backstop.edge.answers import Problem
from backstop.edge.webhooks import Inlet, sms_webhook, webhook
from backstop.logs import CATALOGUE
from backstop.usecases.handle import handle
from usecases.desk import Desk, Fate

FUNCTIONS = Path(__file__).parents[1] / "functions"
SECOND = timedelta(seconds=1)

CHOSEN = {"severity"}
"""What a line may choose besides its own fields."""

LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}

STORIES = {
    "delivered": {},
    "expired": {"rcs": "offline"},
    "prompt": {"rcs": "silent", "policy": Policy.PROMPT},
    "strict, legacy": {
        "rcs": "silent",
        "policy": Policy.STRICT,
        "contract": Contract.LEGACY,
    },
    "unreachable": {"rcs": "unreachable"},
    "hedge": {"policy": Policy.HEDGE},
    "answer lost": {"rcs": "unreachable", "sms": "unanswered"},
    "no fallback": {"rcs": "silent", "policy": Policy.NONE},
}

LINE = """
import logging
from backstop import wiring
wiring.start("webhook")
client = logging.getLogger("backstop.providers.rbm.client")
client.error("rbm_credentials_refused", extra={"cause": "401", "phone": "+15551230001"})
logging.getLogger("urllib3.connectionpool").error("GET /v1/phones/+15551230001")
"""


def lines():
    """Yield where each line is written, its name, and the fields it is given."""
    for file in sorted((FUNCTIONS / "backstop").rglob("*.py")):
        tree = ast.parse(file.read_text())
        for scope in ast.walk(tree):
            if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
                for call in calls(scope):
                    where = f"{file.name}:{call.lineno}"
                    given = call.args[1:] + [k.value for k in call.keywords]
                    yield where, name(call), set().union(*map(keys(scope), given))


def calls(scope):
    """Find `log(...)`, `x.log(...)` and `_log.error(...)` in a function itself."""
    inner = {
        node
        for part in ast.walk(scope)
        if part is not scope
        and isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(part)
    }
    for node in ast.walk(scope):
        if isinstance(node, ast.Call) and node not in inner and logs(node.func):
            yield node


def logs(called):
    match called:
        case ast.Name(id="log") | ast.Attribute(attr="log"):
            return True
        case ast.Attribute(value=ast.Name(id="_log"), attr=level):
            return level in LEVELS
    return False


def name(call):
    match call.args[0]:
        case ast.Constant(value=str(text)):
            return text
    return ast.unparse(call.args[0])


def keys(scope):
    """Return what finds the keys that an expression in *scope* may have."""
    assigned = {
        target.id: node.value
        for node in ast.walk(scope)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value, ast.Dict)
    }

    def find(expression):
        found = set()
        for node in ast.walk(expression):
            if isinstance(node, ast.Dict):
                found |= {key.value for key in node.keys if key}
            elif isinstance(node, ast.Name) and node.id in assigned:
                found |= find(assigned[node.id])
        return found - CHOSEN

    return find


def test_every_line_is_in_the_catalogue():
    """Its name is spelled out where it is written, and so are its fields."""
    unknown = [
        (where, name, fields - CATALOGUE.get(name, frozenset()))
        for where, name, fields in lines()
        if not fields <= CATALOGUE.get(name, frozenset()) or name not in CATALOGUE
    ]

    assert unknown == []


def test_the_catalogue_promises_nothing_that_nobody_writes():
    written = {name: set() for name in CATALOGUE}
    for _where, name, fields in lines():
        written[name] |= fields

    assert written == CATALOGUE


@pytest.fixture
def tell(tmp_path):
    """Play a story to its end; return the desk that heard it."""
    desks = []

    def play(**how):
        desks.append(Desk(tmp_path / f"desk-{len(desks)}.db", **how))
        desks[-1].send()
        desks[-1].run()
        return desks[-1]

    yield play
    for desk in desks:
        desk.close()


@pytest.mark.parametrize("how", STORIES.values(), ids=STORIES)
def test_what_is_written_is_what_the_catalogue_says(tell, how):
    """In whole stories: no other field, and what is measured is a number."""
    desk = tell(**how)

    assert {name for name, _fields in desk.lines} >= {"accepted", "step", "outcome"}
    for name, fields in desk.lines:
        assert fields.keys() <= CATALOGUE[name], name
        for field, value in fields.items():
            assert type(value) in TYPES.get(field, (str,)), field


TYPES = {
    "lateSeconds": (float,),
    "overdueSeconds": (float,),
    "reachSeconds": (float,),
    "revision": (int,),
    "attempt": (int,),
    "fellBack": (bool,),
}


def test_a_message_that_arrived_in_time(tell):
    """Reached at once: long before its deadline, and without an SMS."""
    desk = tell()

    assert desk.said("outcome") == [
        {
            "messageId": "one",
            "agentId": "agent",
            "outcome": "DELIVERED_RCS",
            "policy": "CONFIRMED",
            "revision": 1,
            "fellBack": False,
            "reachSeconds": 0.0,
            "overdueSeconds": -600.0,
        }
    ]
    assert desk.said("sms_request") == []


def test_a_message_that_fell_back(tell):
    """Ring, request and outcome, each against the deadline."""
    desk = tell(rcs="silent")

    message = {"messageId": "one", "agentId": "agent"}
    assert desk.said("ring")[0] == {
        **message,
        "lateSeconds": 0.0,
        "overdueSeconds": 5.0,
    }
    assert desk.said("sms_request") == [
        {**message, "policy": "CONFIRMED", "attempt": 1, "lateSeconds": 5.0}
    ]
    assert desk.said("outcome") == [
        {
            **message,
            "outcome": "DELIVERED_SMS",
            "policy": "CONFIRMED",
            "revision": 1,
            "fellBack": True,
            "reachSeconds": 605.0,
            "overdueSeconds": 5.0,
        }
    ]


def test_an_outcome_is_corrected_under_the_next_revision(tell):
    """Doubt reached nobody; what comes after it did."""
    desk = tell(rcs="silent", policy=Policy.STRICT, contract=Contract.LEGACY)
    desk.carriers.deliver()
    desk.run()

    first, second = desk.said("outcome")
    assert (first["revision"], first["outcome"]) == (1, "UNCONFIRMED")
    assert first.keys().isdisjoint({"reachSeconds", "overdueSeconds"})
    assert (second["revision"], second["outcome"]) == (2, "DELIVERED_RCS")
    assert second["overdueSeconds"] > 0


def test_an_outcome_that_is_published_twice_is_counted_once(tell):
    """A crash repeats the publication, and must not repeat what is counted."""
    calls = tell().fate.names
    desk = tell(fate=Fate(last=1 + calls.index("events.publish"), after=True))
    # Saved with the publication still unticked.
    read = Signal(kind=Kind.RCS_READ, event="read")
    handle(desk.ports(), desk.key, lambda _message, _now: [read])

    assert desk.fate.names.count("events.publish") > calls.count("events.publish")
    assert [line["revision"] for line in desk.said("outcome")] == [1]


def test_a_late_ring_says_how_late(tell):
    desk = tell(rcs="silent")
    desk.lines.clear()
    due_at = desk.clock.now()
    desk.clock.at += 90 * SECOND
    desk._ring(desk.key, due_at)

    assert desk.said("ring") == [
        {"messageId": "one", "agentId": "agent", "lateSeconds": 90.0}
    ]


REFUSALS = {
    "unsigned": ("webhook", {}, {"message": {"data": "e30="}}),
    "signature": (
        "webhook",
        {"x-goog-signature": "AAAA"},
        {"message": {"data": "e30="}},
    ),
    "token": ("webhook", {}, {"clientToken": "+15551230001", "secret": "s"}),
    "secret": ("webhook", {}, {"clientToken": "right", "secret": ""}),
    "credentials": ("sms_webhook", {"authorization": "Basic Og=="}, []),
}


@pytest.mark.parametrize("cause", REFUSALS)
def test_a_refusal_names_its_cause_and_nothing_that_was_sent(cause):
    """A word of ours: what a stranger sent is nobody's label."""
    function, headers, body = REFUSALS[cause]
    written = []
    inlet = Inlet(None, None, None, lambda *line: written.append(line))
    handler = (
        webhook(inlet, (b"right",))
        if function == "webhook"
        else sms_webhook(inlet, (("right", "right"),))
    )

    with pytest.raises(Problem, match="not verified"):
        asyncio.run(handler(post(headers, body)))

    assert written == [(f"{function}_refused", {"severity": "WARNING", "cause": cause})]


def post(headers, body):
    scope = {
        "type": "http",
        "method": "POST",
        "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
    }

    async def receive():
        return {"type": "http.request", "body": json.dumps(body).encode()}

    return Request(scope, receive)


def test_a_line_has_cloud_loggings_names():
    """Its own fields stand beside what Cloud Logging takes out of a line."""
    stream = io.StringIO()
    JsonLog(stream)("ring", {"lateSeconds": 0.5})
    JsonLog(stream)("crash", {"severity": "ERROR", "error": "KeyError"})

    ring, crash = map(json.loads, stream.getvalue().splitlines())
    assert ring.pop("time").endswith("+00:00")
    assert ring == {"severity": "INFO", "message": "ring", "lateSeconds": 0.5}
    assert crash["severity"] == "ERROR"


def test_a_deployed_function_says_all_of_it_in_json():
    """What a provider's client says, too; and of libraries nothing that could."""
    environ = {
        "PLATFORM": "google",
        "PROJECT": "my-project",
        "TOPIC": "projects/my-project/topics/events",
        "RBM_CLIENT_TOKENS": "token",
    }
    done = subprocess.run(
        [sys.executable, "-c", LINE],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(FUNCTIONS), **environ},
        capture_output=True,
        text=True,
        check=True,
    )

    line = json.loads(done.stdout)
    del line["time"]
    assert line == {
        "severity": "ERROR",
        "message": "rbm_credentials_refused",
        "cause": "401",
    }
    assert "rbm_credentials_refused" not in done.stderr
