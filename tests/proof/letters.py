"""A subscriber that is broken for an hour, its dead letters, and their replay."""

import json
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from backstop.adapters.embedded.dispatcher import DEAD_AFTER
from entrypoints.caller import Caller, basic
from machine import Machine
from proof.removal import Cut, without
from proof.standstill import standstill

BROKEN = Cut(
    "backstop.edge.triggers:_by_rcs",
    "return",
    "raise AttributeError('planted')\n    return",
)
"""`record` fails with every event; `fallback` does not pass here."""

POISON = 5
"""Verified events that nobody can ever take: they name no sender."""

ALL = 10**6


class Hour:
    """One hour without `record`, told in numbers."""

    def __init__(self, machine: Machine, messages: int) -> None:
        self.machine = machine
        self.call = Caller(machine)
        self.broken: list[str] = []
        self._phones = [f"+15554{n:06}" for n in range(messages)]
        self.replayed = 0

    def live(self, log: Path) -> None:
        with without(BROKEN):
            self._wide(self._send, enumerate(self._phones))
            self._poison()
            self._advance("3600s")
        self._others_lacked_nothing()
        lines = [json.loads(line)["message"] for line in log.read_text().splitlines()]
        letters = self._letters()
        tried = sum(letter.tries for letter in letters)
        wanted = (len(self._phones) * 3 + 1) // 2 + POISON
        self._check(len(letters) == wanted, f"{len(letters)} letters, not {wanted}")
        self._check(
            all(letter.tries == DEAD_AFTER for letter in letters),
            "given up early or late",
        )
        self._check(lines.count("crash") <= tried, "more than a line per attempt")
        published = self._effects()
        self._check(not published, "an effect before the replay")

        names = [letter.id for letter in letters]
        first = Counter(self._wide(self._replay, names))
        self._advance("5s")
        self.replayed = first[200] - POISON
        effects = self._effects()
        self._check(first == {200: len(names)}, f"replays were answered {first}")
        self._check(
            effects == dict.fromkeys(map(self._name, range(len(self._phones))), 1),
            "a message does not have its one outcome",
        )
        before = self._states()
        again = self._wide(self._replay, names)
        self._advance("5s")
        self._check(set(again) == {404}, "a second replay was taken")
        self._check(self._effects() == effects, "a second replay had an effect")
        self._check(self._states() == before, "a second replay changed a record")
        self._advance("3600s")
        left = self._letters()
        self._check(len(left) == POISON, f"{len(left)} letters left, {POISON} poison")

    def _send(self, numbered: tuple[int, str]) -> None:
        number, phone = numbered
        if number % 2:
            path = f"/simulator/phones/{phone}"
            self.call("PUT", path, {"rcs": False})
        body = {
            "contentMessage": {"text": "Hello"},
            "messageTrafficType": "TRANSACTION",
            "ttl": "86400s",
        }
        name = self._name(number)
        path = f"/v1/phones/{phone}/agentMessages?messageId={name}"
        answer = self.call("POST", path, body)
        self._check(answer.status == 200, f"a send was answered {answer.status}")

    def _poison(self) -> None:
        for number in range(POISON):
            entry = {"type": "message-received", "message": {"id": f"poison-{number}"}}
            headers: dict[str, str | bytes] = {"authorization": basic()}
            answer = self.call("POST", "/sms_webhook", [entry], headers)
            self._check(answer.status == 200, "a verified event was refused")

    def _others_lacked_nothing(self) -> None:
        """Texts are the other subscriber's: each left, once, in the broken hour."""
        for number, phone in enumerate(self._phones):
            inbox = self.call("GET", f"/simulator/phones/{phone}").json["inbox"]
            wanted = "SMS" if number % 2 else "RCS"
            got = [item["channel"] for item in inbox]
            self._check(got == [wanted], f"a phone got {got}, not {wanted}")

    def _effects(self) -> dict[str, int]:
        """Return how many outcomes were published of each message."""
        return dict(
            Counter(
                event.attributes["messageId"]
                for event in self.machine.ground.newest_events(ALL)
                if event.attributes["ce-type"].startswith("backstop.message.")
            )
        )

    def _states(self) -> list[Any]:
        return sorted(
            (m.message_id, m.outcome, m.announced, len(m.history))
            for m in self.machine.ground.newest_messages(ALL)
        )

    def _letters(self) -> list[Any]:
        return list(self.machine.ground.dead_letters(ALL))

    def _replay(self, name: str) -> int:
        return self.call("POST", f"/simulator/dead-letters/{name}:replay").status

    def _advance(self, by: str) -> None:
        told = self.call("POST", "/simulator/clock", {"advance": by}, wait=600).json
        self._check(told["settled"], "it does not come to rest")

    def _wide(self, work: Any, items: Iterable[Any]) -> list[Any]:
        with ThreadPoolExecutor(8) as threads:
            return list(threads.map(work, items))

    def _check(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.broken.append(otherwise)

    @staticmethod
    def _name(number: int) -> str:
        return f"hour-{number}"


def broken_hour(state: Path, messages: int) -> Hour:
    """Return how an hour without `record` went; two messages make three letters."""
    with standstill(state) as machine:
        hour = Hour(machine, messages)
        hour.live(state / "log.jsonl")
    return hour
