import ast
import asyncio
import json
import logging
import subprocess
import sys
from pathlib import Path

import functions_framework.aio
import pytest
from functions_framework import _function_registry

from backstop import wiring
from backstop.adapters.embedded.database import Database
from backstop.adapters.embedded.stores import (
    SqliteEvents,
    SqliteMessages,
    SqliteRecipients,
    SqliteTimers,
)
from backstop.adapters.system import JsonLog, SystemClock, SystemRandom
from backstop.settings import Incomplete, Settings
from entrypoints.caller import CLIENT_TOKEN, MESSAGES, encode, sign
from machine.credentials import DEFAULTS
from machine.ground import ENTRY_POINTS

FUNCTIONS = Path(__file__).parents[2] / "functions"

KEY = {"client_email": "a@example.com", "token_uri": "https://example.com/token"}
SETTINGS = DEFAULTS | {"RBM_KEY": json.dumps(KEY | {"private_key": "none"})}

PORTS = ("messages", "recipients", "timers", "events", "clock", "random", "log")

PROGRAM = """
import json, sys
import functions_framework.aio
bare = set(sys.modules)
module = __import__(sys.argv[1])
imported = set(sys.modules) - bare
from backstop import wiring
from backstop.settings import Incomplete, Settings
ports = ["messages", "recipients", "timers", "events", "clock", "random", "log"]
settings = Settings.read(json.loads(sys.argv[2]))
backstop = wiring.Backstop(settings, wiring.Embedded(**dict.fromkeys(ports)))
try:
    getattr(backstop, sys.argv[1])
except Incomplete:
    pass  # the key is no key, but its reader is there
print(json.dumps([sorted(imported), sorted(set(sys.modules) - bare)]))
"""

STRANGERS = {
    "sqlite3",
    "requests",
    "urllib3",
    "google.auth",
    "google.oauth2",
    "cryptography",
    "uvicorn",
    "simulator",
    "local",
    "backstop.adapters.embedded.database",
    "backstop.adapters.embedded.stores",
    "backstop.adapters.embedded.dispatcher",
}
HTTP = {"requests", "urllib3"}
ALLOWED = {
    "send": {*HTTP, "google.auth", "google.oauth2", "cryptography"},
    "revoke": {*HTTP, "google.auth", "google.oauth2", "cryptography"},
    "fallback": HTTP,
    "record": set(),
    "webhook": set(),
    "sms_webhook": set(),
}


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log.jsonl"


@pytest.fixture
def backstop(tmp_path, log, rbm_key, monkeypatch):
    """The functions over an embedded platform, without a server of their own."""
    database = Database(tmp_path / "backstop.db")
    clock = SystemClock()
    key = json.dumps(KEY | {"private_key": rbm_key.read_text()})
    monkeypatch.setattr(wiring, "_in_use", [])
    with log.open("w") as stream:
        wiring.use(
            wiring.Backstop(
                Settings.read(SETTINGS | {"RBM_KEY": key}),
                wiring.Embedded(
                    messages=SqliteMessages(database),
                    recipients=SqliteRecipients(database),
                    timers=SqliteTimers(database, clock, lambda _at: None),
                    events=SqliteEvents(database, clock, (), lambda: None),
                    clock=clock,
                    random=SystemRandom(),
                    log=JsonLog(stream),
                ),
            )
        )
        yield
    database.close()


def load(name):
    return functions_framework.aio.create_asgi_app(name, str(FUNCTIONS / f"{name}.py"))


def ask(app, method, path, body=b"", headers=()):
    """Make one request of an ASGI application. Returns status and body."""
    sent = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    raw = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], raw


def imports(name):
    """Return what importing the file, and then building its function, brought in."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, name, json.dumps(SETTINGS)],
        env={"PYTHONPATH": str(FUNCTIONS)},
        capture_output=True,
        text=True,
        check=True,
    )
    return [set(modules) for modules in json.loads(done.stdout)]


def test_the_folder_lists_the_functions():
    """What lies in `functions/` is the functions, and what runs them all here."""
    files = {file.stem for file in FUNCTIONS.glob("*.py")}

    assert files == {*ENTRY_POINTS, "local"}


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_a_file_has_one_entry_point_of_its_name(name):
    """A composition root and an entry point, nothing else."""
    tree = ast.parse((FUNCTIONS / f"{name}.py").read_text())
    defined = [
        node
        for node in tree.body
        if not isinstance(node, ast.Import | ast.ImportFrom | ast.Expr)
    ]

    assert [(type(node), node.name) for node in defined] == [
        (ast.AsyncFunctionDef, name)
    ]
    assert [ast.unparse(d) for d in defined[0].decorator_list] == [
        "functions_framework.aio.http"
    ]


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_the_framework_takes_it_for_http(backstop, name):
    """The framework loads the file by itself, as an HTTP function."""
    load(name)

    assert _function_registry.REGISTRY_MAP[name] == "http"


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_the_framework_serves_our_refusals(backstop, name):
    """What is wrong is answered by us, in Google's shape, not by the framework."""
    status, raw = ask(load(name), "PUT", MESSAGES if name == "send" else "/")

    assert status == 405
    assert json.loads(raw)["error"]["status"] == "UNIMPLEMENTED"


def test_the_framework_serves_the_api(backstop):
    """`send` is reached with its path, encoded as it came."""
    status, raw = ask(load("send"), "GET", MESSAGES.replace("+", "%2B"))

    assert (status, json.loads(raw)) == (200, {"agentMessages": []})


def test_the_framework_serves_the_handshake(backstop):
    """`webhook` answers RBM's handshake at any path."""
    body = encode({"clientToken": CLIENT_TOKEN, "secret": "s3cret"})

    assert ask(load("webhook"), "POST", "/", body) == (200, b"s3cret")


def test_the_framework_serves_a_signed_event(backstop):
    """`webhook` publishes over whatever platform is in use."""
    body = encode({"message": {"data": "e30="}})

    answer = ask(
        load("webhook"), "POST", "/", body, [("x-goog-signature", sign(b"{}"))]
    )

    assert answer == (200, b"{}")


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_a_function_imports_only_what_it_serves(name):
    """A cold start pays for no client and no platform that is not its own."""
    imported, built = imports(name)

    assert imported & STRANGERS == set()
    assert built & STRANGERS <= ALLOWED[name]


@pytest.mark.parametrize("name", ["webhook", "sms_webhook"])
def test_a_webhook_knows_no_use_case(name):
    """It verifies, publishes and answers; what follows is not its business."""
    _imported, built = imports(name)

    assert {module for module in built if module.startswith("backstop.usecases")} == (
        set()
    )


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_without_a_platform_nothing_is_accepted(monkeypatch, name):
    """A carrier or an app is told to come again, and gets to see no traceback."""
    monkeypatch.setattr(wiring, "_in_use", [])

    status, raw = ask(load(name), "POST", "/")

    assert status >= 500
    assert b"Traceback" not in raw


@pytest.mark.parametrize("key", ["{}", "5", "no JSON", '{"type": "service_account"}'])
def test_a_key_that_is_none_is_refused_at_the_start(key):
    """Settings that cannot work do not start."""
    with pytest.raises(Incomplete, match="RBM_KEY"):
        Settings.read(SETTINGS | {"RBM_KEY": key})


def test_a_key_that_does_not_sign_is_refused_at_the_start():
    """What looks like a key is tried before anyone is served."""
    backstop = wiring.Backstop(
        Settings.read(SETTINGS),
        wiring.Embedded(**dict.fromkeys(PORTS)),
    )

    with pytest.raises(Incomplete, match="RBM_KEY"):
        backstop.build("send")


def test_without_a_platform_the_refusal_is_ours(monkeypatch, caplog):
    """Even then the answer is Google's shape, and no path gets into a log."""
    monkeypatch.setattr(wiring, "_in_use", [])

    with caplog.at_level(logging.ERROR):
        status, raw = ask(load("send"), "GET", MESSAGES)

    assert MESSAGES not in caplog.text
    assert status == 503
    assert "start functions/local.py" in json.loads(raw)["error"]["message"]
