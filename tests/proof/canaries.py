"""Unique words put wherever people are, and a search of wherever they may not be.

A message's text, its metadata and its recipient's number belong into the record,
the events (dead letters hold events) and the phone's inbox. They, and every secret,
belong into no log at any level, no error, no reason, no name of a process or thread,
and no trace that is handed on (promise 10). Metrics are made of the log's lines, and
no spans are exported.
"""

import io
import json
import logging
import re
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from backstop import tracing
from entrypoints.caller import Answer, Caller, basic, encode, envelope, sign
from machine import Machine
from proof.removal import Cut, without
from proof.standstill import standstill

BIRD = re.compile(r"canary[0-9]{7}")
PHONE = re.compile(r"155512[0-9]{5}|1555 ?12[0-9 -]{5,}")
CRASHES = Cut(
    "backstop.usecases.lines:log_request",
    "ports.log(",
    "raise ValueError(message.request.text, message.phone)\n    ports.log(",
)
"""A defect whose own words hold all that must not be told."""

FAULTS: tuple[dict[str, Any], ...] = (
    {},
    {"status": 500},
    {"status": 400},
    {"status": 403},
    {"status": 429},
    {"drop": "answers"},
    {"drop": "requests"},
    {"duplicate": True},
)

ALL = 10**6

RETRIED = ({"status": 500}, {"status": 429}, {"drop": "answers"}, {"drop": "requests"})
MOST_RETRIED = 8
"""Lives under a fault that is tried again, in seconds that no clock of ours moves."""


@dataclass
class Aviary:
    """Lives full of canaries, and what may not have heard of them."""

    machine: Machine
    seed: int
    call: Caller = field(init=False)
    errors: list[Answer] = field(default_factory=list)
    lived: int = 0

    def __post_init__(self) -> None:
        self.call = Caller(self.machine)

    def live(self, lives: int) -> None:
        """Send so many messages, and everything that may befall them."""
        begin, self.lived = self.lived, self.lived + max(0, lives)
        with ThreadPoolExecutor(8) as apps:
            list(apps.map(self._one, range(begin, self.lived)))
        self.call("POST", "/simulator/clock", {"advance": "900s"}, wait=600)

    def fault(self, faults: dict[str, Any]) -> None:
        for carrier in ("rbm", "bandwidth"):
            path = f"/simulator/carriers/{carrier}"
            self.call("PUT" if faults else "DELETE", path, faults or None)

    def _one(self, number: int) -> None:
        chance = Random(f"{self.seed} {number}")
        bird, phone = f"canary{number:07}", f"+155512{number:05}"
        profile = chance.choice(({}, {"online": False}, {"rcs": False}))
        if profile:
            self.call("PUT", f"/simulator/phones/{phone}", profile)
        body = {
            "contentMessage": {"text": f"Your code is {bird}"},
            "messageTrafficType": "AUTHENTICATION",
            "ttl": "60s",
            "fallback": {
                "text": f"Code {bird}",
                "policy": chance.choice(("PROMPT", "CONFIRMED", "STRICT", "HEDGE")),
            },
            "metadata": {"name": bird},
        }
        path = f"/v1/phones/{phone}/agentMessages"
        trace = {"traceparent": f"00-{bird}-{bird}-01"}
        self._ask("POST", f"{path}?messageId=aviary-{number}", body, trace)
        for odd in chance.sample(list(self._odd(number, bird, phone, body)), 4):
            self._ask(*odd)

    def _odd(
        self, number: int, bird: str, phone: str, body: dict[str, Any]
    ) -> Iterator[tuple[Any, ...]]:
        """Yield what is refused, and what the owner of the phone says."""
        path, ours = f"/v1/phones/{phone}", f"aviary-{number}"
        messages = f"{path}/agentMessages"
        yield "POST", f"{messages}?messageId={ours}", {**body, "ttl": "61s"}
        yield "POST", messages, {"contentMessage": {"fileName": {"a": bird}}}
        yield "POST", messages, {**body, "fallback": {"policy": bird}}
        yield "POST", messages, {**body, "ttl": bird}
        yield "POST", messages, {**body, "messageTrafficType": bird}
        yield "POST", messages, {**body, "metadata": {"name": [bird]}}
        yield "POST", messages, {**body, "fallback": {"media": [bird]}}
        yield "POST", messages, f'{{"contentMessage": "{bird}'.encode()
        yield "POST", f"{messages}?messageId=a&agentId={bird}", body
        yield "POST", f"{messages}?messageId=a&secret={bird}", body
        yield "GET", f"{messages}?pageToken={bird}"
        yield "GET", f"{messages}/{bird}"
        yield "GET", f"{path}/{bird}"
        yield "DELETE", f"{messages}/{bird}"
        yield "POST", f"{path}9999999/agentMessages", body
        yield "POST", f"{path}/agentEvents?eventId=e-{number}", {"eventType": bird}
        yield "GET", f"{path}/capabilities?requestId=r-{number}"
        yield "PUT", f"{path}/consent", {"state": bird}
        yield "POST", "/webhook", {"clientToken": bird, "secret": bird}
        data = encode({"senderPhoneNumber": phone, "text": bird, "eventId": bird})
        yield "POST", "/webhook", envelope(data), {"x-goog-signature": bird}
        yield "POST", "/webhook", envelope(data), {"x-goog-signature": sign(data)}
        yield "POST", "/sms_webhook", [{"a": bird}], {"authorization": f"Basic {bird}"}
        yield "POST", "/sms_webhook", [{"a": bird}], {"authorization": basic(bird)}
        entry = {"type": "message-received", "message": {"from": bird, "text": bird}}
        yield "POST", "/sms_webhook", [entry], {"authorization": basic()}
        for entry_point in ("/revoke", "/fallback", "/record"):
            pushed = {"message": {"attributes": {"ce-id": bird}, "data": bird}}
            yield "POST", entry_point, pushed
        said = f"/simulator/phones/{phone}/messages"
        yield "POST", said, {"text": f"It is {bird}"}
        yield "POST", said, {"text": bird, "channel": "SMS"}
        trace = {"traceparent": f"00-{bird}-{bird}-01"}
        yield "GET", f"{messages}/{ours}", None, trace

    def _ask(self, *what: Any) -> None:
        answer = self.call(*what, wait=60)
        simulated = what[1].startswith("/simulator")
        if answer.status >= 400 and not simulated:
            self.errors.append(answer)


def told(
    state: Path, lives: int, seed: int, faults: Sequence[dict[str, Any]] = FAULTS
) -> tuple[list[str], int]:
    """Return where a canary was heard, and how many lives there were."""
    everything = io.StringIO()
    handler = logging.StreamHandler(everything)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    threads: set[str] = set()
    try:
        share = max(1, lives // (len(faults) + 1))
        with standstill(state) as machine:
            aviary = Aviary(machine, seed)
            for fault in faults:
                aviary.fault(fault)
                aviary.live(min(share, MOST_RETRIED) if fault in RETRIED else share)
            aviary.fault({})
            with without(CRASHES):
                aviary.live(share)
            aviary.live(lives - aviary.lived)
            threads = {thread.name for thread in threading.enumerate()}
            letters = aviary.call("GET", "/simulator/dead-letters").json["deadLetters"]
            traces = {
                event.attributes.get(tracing.ATTRIBUTE, "")
                for event in machine.ground.newest_events(ALL)
            }
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    places = {
        "the log": (state / "log.jsonl").read_text(),
        "a line of some library": everything.getvalue(),
        "an error": "\n".join(a.raw.decode() + str(a.headers) for a in aviary.errors),
        "a dead letter's reason": "\n".join(
            json.dumps({k: v for k, v in letter.items() if k != "event"})
            for letter in letters
        ),
        "a trace": "\n".join(traces),
        "a thread's name": "\n".join(threads),
        "a process's arguments": _arguments(),
    }
    assert len(aviary.errors) > lives
    assert '"crash"' in places["the log"]
    assert any(traces)
    return list(_heard(places)), aviary.lived


def _arguments() -> str:
    """Return what the list of processes shows of this one."""
    lists = (Path("/proc/self") / name for name in ("cmdline", "comm"))
    return "\n".join(file.read_text() for file in lists if file.exists())


def _heard(places: dict[str, str]) -> Iterator[str]:
    for place, words in places.items():
        for line in words.splitlines():
            # The last digits of a number are meant to be there.
            if BIRD.search(line) or PHONE.search(line):
                quiet = PHONE.sub("(number)", BIRD.sub("(canary)", line))
                yield f"{place}: {quiet[:200]}"
