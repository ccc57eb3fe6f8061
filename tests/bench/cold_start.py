"""From a function's start to its first answer, and what it then holds in memory.

The floor is a function that says hello in the same server and mode. The carriers'
webhooks are asked with an event that is verified and published before they answer,
so that nothing is left for later; Pub/Sub is canned, and without TLS. The others
would need Firestore: they are asked for an answer that reads and stores nothing,
with every client built.
"""

import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench import servers
from bench.imports import beyond, environ
from bench.load import http
from bench.rows import Effort, Row, ratio
from bench.signed import delivered, texted
from machine.ground import ENTRY_POINTS

SHOWN = 3

MEBIBYTE = 2**20

GOALS = dict.fromkeys(ENTRY_POINTS, 2.2) | {"webhook": 1.6, "sms_webhook": 1.6}

SMALL = 45
"""MiB that a webhook may hold."""

JSON = {"Content-Type": "application/json", "Connection": "close"}


def _push(kind: str) -> bytes:
    attributes = {
        "ce-id": "bench",
        "ce-type": kind,
        "ce-time": "2026-11-20T17:00:03Z",
    }
    return json.dumps({"message": {"attributes": attributes, "data": ""}}).encode()


ASKED = {
    "send": (
        http(
            "POST",
            "/v1/phones/+15551230001/agentMessages?validateOnly=true",
            JSON,
            b'{"contentMessage": {"text": "Hello"}}',
        ),
        b"200",
        "a preview of a message",
    ),
    "webhook": (delivered(0, JSON), b"200", "an event published"),
    "sms_webhook": (texted(0, JSON), b"200", "an event published"),
    "revoke": (http("POST", "/", JSON, b"{}"), b"400", "a ring that names nothing"),
    "fallback": (
        http("POST", "/", JSON, _push("backstop.rcs.read")),
        b"200",
        "an event that is not for it",
    ),
    "record": (
        http("POST", "/", JSON, _push("backstop.message.delivered")),
        b"200",
        "an event that is not for it",
    ),
}
"""What is asked first, how it must be answered, and that in words."""


def rows(effort: Effort) -> Iterable[Row]:
    starts: dict[str, list[_Start]] = {name: [] for name in ENTRY_POINTS}
    floors: dict[str, list[_Start]] = {name: [] for name in ENTRY_POINTS}
    with tempfile.TemporaryDirectory() as folder, servers.carrier() as pubsub:
        settings = environ(Path(folder)) | {
            "PUBSUB_EMULATOR_HOST": f"127.0.0.1:{pubsub.port}",
            "TASKS_CALLER": "bench@example.invalid",
        }
        for _ in range(effort.rounds(7, 2)):
            for name in ENTRY_POINTS:
                floors[name].append(_start("hello", settings))
                starts[name].append(_start(name, settings))
        for name in ENTRY_POINTS:
            times = [start.took for start in starts[name]]
            found = ratio(times, [floor.took for floor in floors[name]])
            most = beyond(name, settings).most_common(SHOWN)
            imported = ", ".join(f"{package} {ms} ms" for package, ms in most)
            yield Row(
                what=f"Cold start of `{name}`, to {ASKED[name][2]}",
                unit="ms",
                values=times,
                ratio=found,
                floor="hello",
                goal=f"at most {GOALS[name]}",
                met=found <= GOALS[name],
                remark=f"imports beside the server's: {imported}",
            )
    for name in ENTRY_POINTS:
        sizes = [start.size for start in starts[name]]
        small = GOALS[name] < max(GOALS.values())
        yield Row(
            what=f"Memory of `{name}`'s worker",
            unit="MiB",
            values=sizes,
            ratio=ratio(sizes, [floor.size for floor in floors[name]]),
            floor="hello",
            goal=f"at most {SMALL} MiB" if small else "",
            met=max(sizes) <= SMALL if small else None,
        )


@dataclass(frozen=True)
class _Start:
    """One start: milliseconds to the first answer, and MiB in memory after it."""

    took: float
    size: float


def _start(name: str, settings: dict[str, str]) -> _Start:
    if name == "hello":
        source, told = servers.BENCH / "floors" / "hello.py", {}
        ask, status = http("POST", "/", JSON), b"200"
    else:
        source, told = servers.FUNCTIONS / f"{name}.py", settings
        ask, status, _ = ASKED[name]
    with servers.function(source, name, told, ask=ask) as server:
        if server.answer[9:12] != status:
            raise AssertionError(f"{name} answered {server.answer[:80]!r}")
        return _Start(server.answered_after * 1000, server.rss() / MEBIBYTE)
