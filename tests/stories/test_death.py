"""`kill -9` at any moment: the message still reaches its outcome, once."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from stories.world import VIRTUAL

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0


class Process:
    """`make run`, on a port and a state of its own."""

    def __init__(self, state: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._state = state
        self.url = f"http://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        environ = {"PORT": str(self._port), "STATE": str(self._state)}
        self._process = subprocess.Popen(
            [sys.executable, ROOT / "functions" / "local.py"],
            env=os.environ | environ,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        assert "Backstop is running" in self._process.stdout.readline()

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> str:
        """Stop as Ctrl-C does, and return what was said at the end."""
        assert self._process.poll() is None
        return self._end(signal.SIGINT)

    def _end(self, how: signal.Signals) -> str:
        self._process.send_signal(how)
        said, _ = self._process.communicate(timeout=PATIENCE)
        return said

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = requests.request(method, self.url + path, json=body, timeout=PATIENCE)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def outcome(self, name: str) -> str:
        return str(self.call("GET", f"/v1/{name}")["delivery"]["outcome"])

    def texts(self, phone: str) -> list[str]:
        inbox = self.call("GET", f"/simulator/phones/{phone}")["inbox"]
        return [item["text"] for item in inbox if item["channel"] == "SMS"]

    def until_outcome(self, name: str) -> str:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.call("POST", "/simulator/clock", {"advance": "60s"})
            outcome = self.outcome(name)
            if outcome != "PENDING":
                return outcome
        return "PENDING"


@pytest.fixture
def process(state: Path) -> Iterator[Process]:
    process = Process(state)
    yield process
    process.kill()


def _send(process: Process, phone: str, **body: Any) -> str:
    message = {"contentMessage": {"text": "Hello"}, "ttl": f"{VIRTUAL.ttl}s", **body}
    path = f"/v1/phones/{phone}/agentMessages?messageId=one"
    return str(process.call("POST", path, message)["name"])


def test_a_kill_while_the_message_waits(process: Process):
    """The timer, the record and the carriers' queues all outlive the process."""
    phone = "+15551230001"
    process.call("PUT", f"/simulator/phones/{phone}", {"online": False})
    name = _send(process, phone)
    process.kill()
    process.start()

    assert process.until_outcome(name) == "DELIVERED_SMS"
    assert process.texts(phone) == ["Hello"]
    assert _send(process, phone) == name


def test_a_kill_while_the_sms_is_asked_for(process: Process):
    """A claim whose answer is lost is not sent again, but waited out."""
    phone = "+15551230002"
    process.call("PUT", f"/simulator/phones/{phone}", {"rcs": False})
    process.call("PUT", "/simulator/carriers/bandwidth", {"delay": "2s"})
    name = _send(process, phone, fallback={"policy": "STRICT"})
    end = time.monotonic() + PATIENCE
    while "sms" not in process.call("GET", f"/v1/{name}")["delivery"]:
        assert time.monotonic() < end
    process.kill()
    process.start()
    process.call("DELETE", "/simulator/carriers/bandwidth")

    assert process.until_outcome(name) in {"DELIVERED_SMS", "UNCONFIRMED"}
    assert len(process.texts(phone)) <= 1
    delivery = process.call("GET", f"/v1/{name}")["delivery"]
    assert delivery["sms"]["attempts"] == 1


def test_killed_again_and_again(process: Process):
    """However often it dies on the way, one SMS arrives and the outcome is told."""
    phone = "+15550199006"
    name = _send(process, phone)
    for _ in range(4):
        process.call("POST", "/simulator/clock", {"advance": "590s"})
        process.kill()
        process.start()

    assert process.until_outcome(name) == "DELIVERED_SMS"
    assert process.texts(phone) == ["Hello"]


def test_ctrl_c_ends_cleanly_and_the_clock_goes_on(process: Process):
    """The message clock keeps its lead over a restart, and never goes back."""
    process.call("POST", "/simulator/clock", {"advance": "86400s"})
    before = process.call("GET", "/simulator/clock")["now"]

    assert process.stop().endswith("Stopped.\n")
    process.start()

    assert process.call("GET", "/simulator/clock")["now"] > before


def test_a_second_start_on_the_same_state_is_refused(process: Process, state: Path):
    """Two writers on one state would be no help to anyone."""
    second = subprocess.run(
        [sys.executable, ROOT / "functions" / "local.py"],
        env=os.environ | {"PORT": "0", "STATE": str(state)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert second.returncode == 1
    assert "in use" in second.stderr
    assert "Traceback" not in second.stderr
