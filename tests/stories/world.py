"""A whole Backstop with its carriers, as a newcomer meets it: over HTTP."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from machine import Machine

Json = dict[str, Any]


@dataclass(frozen=True)
class Pace:
    """How long things take in a story, in seconds of the message clock."""

    virtual: bool
    ttl: float
    margin: float
    grace: float
    lost_answer_prompt: float
    lost_answer: float
    receipt_wait: float

    def environ(self) -> dict[str, str]:
        return {
            "MARGIN": f"{self.margin}s",
            "GRACE": f"{self.grace}s",
            "LOST_ANSWER_PROMPT": f"{self.lost_answer_prompt}s",
            "LOST_ANSWER": f"{self.lost_answer}s",
            "RECEIPT_WAIT": f"{self.receipt_wait}s",
        }


VIRTUAL = Pace(
    virtual=True,
    ttl=600,
    margin=5,
    grace=60,
    lost_answer_prompt=30,
    lost_answer=900,
    receipt_wait=8100,
)
REAL = Pace(
    virtual=False,
    ttl=2,
    margin=0.5,
    grace=2,
    lost_answer_prompt=21,
    lost_answer=22,
    receipt_wait=30,
)


class World:
    """Drives one machine from outside. `log` is where its lines go."""

    def __init__(self, machine: Machine, pace: Pace, contract: str, log: Path) -> None:
        self.machine = machine
        self.pace = pace
        self.contract = contract
        self.log = log
        self._http = requests.Session()
        self._ids = 0

    def close(self) -> None:
        self._http.close()

    def begin_anew(self) -> None:
        """Leave nothing of this story to the next; the six servers stay."""
        self.machine.settle()
        self.machine.ground.forget()
        self.machine.simulator.forget()
        self._ids = 0

    def call(self, method: str, path: str, body: Any = None) -> requests.Response:
        url = self.machine.url + path
        return self._http.request(method, url, json=body, timeout=90)

    def ok(self, method: str, path: str, body: Any = None) -> Json:
        answer = self.call(method, path, body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def send(
        self,
        phone: str,
        text: str = "Your table is ready",
        *,
        name: str = "",
        policy: str = "",
        ttl: float | None = None,
        **more: Any,
    ) -> Json:
        """Send, and return the answer; the id is the last part of its name."""
        self._ids += 1
        name = name or f"story-{self._ids}"
        body: Json = {
            "contentMessage": {"text": text},
            "ttl": f"{self.pace.ttl if ttl is None else ttl}s",
            **more,
        }
        if policy:
            body["fallback"] = {"policy": policy, **body.get("fallback", {})}
        return self.ok(
            "POST", f"/v1/phones/{phone}/agentMessages?messageId={name}", body
        )

    def look(self, sent: Json) -> Json:
        return self.ok("GET", f"/v1/{sent['name']}")

    def delivery(self, sent: Json) -> Json:
        return dict(self.look(sent)["delivery"])

    def outcome(self, sent: Json) -> str:
        return str(self.delivery(sent)["outcome"])

    def phone(self, number: str, **changes: Any) -> Json:
        if changes:
            return self.ok("PUT", f"/simulator/phones/{number}", changes)
        return self.ok("GET", f"/simulator/phones/{number}")

    def inbox(self, number: str, channel: str) -> list[str]:
        """Return the texts that the phone received on that channel."""
        return [
            item["text"]
            for item in self.phone(number)["inbox"]
            if item["channel"] == channel
        ]

    def says(self, number: str, **what: Any) -> Json:
        return self.ok("POST", f"/simulator/phones/{number}/messages", what)

    def carrier(self, name: str, **faults: Any) -> None:
        if faults:
            self.ok("PUT", f"/simulator/carriers/{name}", faults)
        else:
            self.ok("DELETE", f"/simulator/carriers/{name}")

    def events(self, prefix: str = "") -> list[Json]:
        events = self.ok("GET", "/simulator/events")["events"]
        return [event for event in events if event["type"].startswith(prefix)]

    def elapse(self, seconds: float) -> None:
        """Let time pass, with everything that is due in it."""
        if self.pace.virtual:
            moved = self.ok("POST", "/simulator/clock", {"advance": f"{seconds}s"})
            assert moved["settled"]
            return
        end = time.monotonic() + seconds
        while time.monotonic() < end or not self.machine.settled():
            time.sleep(0.01)

    def settle(self) -> None:
        """Let what is due now, and a carrier's ordinary delays, happen."""
        self.elapse(3)

    def pass_deadline(self) -> None:
        self.elapse(self.pace.ttl + self.pace.margin + 1)

    def pass_grace(self) -> None:
        self.pass_deadline()
        self.elapse(self.pace.grace + 1)
