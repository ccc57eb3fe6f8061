"""RBM, Bandwidth and one phone: what they do to a message, whatever they say of it.

They speak HTTP to the real clients, through a network that loses, delays and
breaks. What the phone received is the truth that outcomes are measured by.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from backstop.domain.times import format_time, parse_time
from simulation import subject
from simulation.facts import Facts, Text
from simulation.subject import AGENT, PHONE, SENDER

if TYPE_CHECKING:
    from simulation.world import World


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


@dataclass
class Answer:
    """An HTTP answer, as far as the clients look at one."""

    status: int
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Copy:
    """An RCS message at RBM."""

    state: str = "queued"


class Network:
    """Between the clients and the carriers; what makes calls in the clients' eyes."""

    def __init__(self, world: "World", rbm: "RbmPlatform", sms: "SmsProvider") -> None:
        self.chance: Random = world.chance
        self._world = world
        self._rbm = rbm
        self._sms = sms
        self.create: Any = None
        self.text: Text | None = None

    def call(
        self,
        method: str,
        target: str,
        *,
        body: bytes | None,
        within: float,
        **_more: Any,
    ) -> Answer:
        """RBM's API."""
        path, _, query = target.partition("?")
        asked = dict(parse_qsl(query))
        name = asked.get("messageId") or path.rpartition("/")[2]
        facts = self._world.facts[name]
        if method == "POST":
            fates = self.create.fates
            fates.append("lost")
            sent = json.loads(body or b"")
            answer = self._carry(
                lambda: self._rbm.create(facts, sent), within, "create"
            )
            if answer is None:
                fates[-1] = "throttled"
                raise subject.not_connected()
            if answer.status in {400, 403, 404}:
                fates[-1] = "refused"
            elif answer.status == 429:
                fates[-1] = "throttled"
            elif answer.status == 200:
                fates[-1] = "ok"
            return answer
        answer = self._carry(lambda: self._rbm.delete(facts), within, "DELETE")
        if answer is None:
            raise subject.not_connected()
        return answer

    def text_call(
        self, _method: str, _url: str, *, body: bytes, within: float, **_more: Any
    ) -> Answer:
        """Bandwidth's API."""
        sent = json.loads(body)
        _agent, name, attempt = sent["tag"].split("/")
        facts = self._world.facts[name]
        text = self.text
        answer = self._carry(
            lambda: self._sms.take(facts, sent, int(attempt), text),
            within,
            "SMS request",
        )
        if text is not None:
            if answer is None or answer.status == 429:
                text.answer = "throttled"
            elif answer.status < 300:
                text.answer = "ok"
            elif answer.status < 500 and answer.status != 408:
                text.answer = "refused"
        if answer is None:
            raise subject.not_connected()
        return answer

    def close(self) -> None:
        """Nothing is open."""

    def _carry(  # noqa: C901 - one line per way
        self, reach: Any, timeout: float, what: str
    ) -> Answer | None:
        """Return the carrier's answer, None if nobody was reached. Raises silence."""
        world, chance = self._world, self.chance
        if not world.stormy or chance.random() >= world.options.network:
            if chance.random() < 0.2:
                world.elapse(min(chance.random(), timeout * 0.9))
            return reach()
        fault = chance.choice(
            (
                *("not connected", "lost", "unheard", "unheard", "reset"),
                *("broken", "broken after", "busy", "slow", "late", "slow answer"),
            )
        )
        world.tell(f"the network, or the carrier: {what} {fault}")
        match fault:
            case "not connected":
                return None
            case "lost":
                world.elapse(timeout)
                raise subject.silence()
            case "unheard":
                reach()
                world.elapse(timeout)
                raise subject.silence()
            case "reset":
                if chance.random() < 0.5:
                    reach()
                raise subject.silence()
            case "broken":
                return Answer(chance.choice((500, 502, 503, 504)))
            case "broken after":
                reach()
                return Answer(chance.choice((500, 503, 408)))
            case "busy":
                wish = {"retry-after": "7"} if chance.random() < 0.5 else {}
                return Answer(429, headers=wish)
            case "slow":
                world.elapse(timeout * chance.random())
                return reach()
            case "slow answer":
                answer = reach()
                world.elapse(timeout * chance.random())
                return answer
        # Still on its way when the client gives up.
        world.after(timeout + chance.random() * 8, reach)
        world.elapse(timeout)
        raise subject.silence()


class RbmPlatform:
    """Google's side. Its clock is its own."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._chance = world.chance
        self._copies: dict[str, Copy] = {}

    def now(self) -> datetime:
        return self._world.time + seconds(self._world.options.skew_rbm)

    def create(self, facts: Facts, body: dict[str, Any]) -> Answer:
        name, fate = facts.plan.name, facts.plan.rcs
        world, chance = self._world, self._chance
        facts.bodies.add(json.dumps([body["contentMessage"], body["expireTime"]]))
        if name in self._copies:
            world.tell(f"RBM ignores another create of {name}: 200")
            return Answer(200)
        if fate in {"unreachable", "unlaunched", "invalid"}:
            status = {"unreachable": 404, "unlaunched": 403, "invalid": 400}[fate]
            world.tell(f"RBM refuses {name}: {status}")
            return Answer(status)
        if fate == "flaky" and chance.random() < 0.6:
            world.tell(f"RBM refuses {name} this time: 404")
            return Answer(404)
        if fate == "busy" and world.stormy:
            return Answer(429)
        if fate == "down" and world.stormy:
            return Answer(503)
        expires = parse_time(body["expireTime"])
        if expires <= self.now():
            world.tell(f"RBM refuses {name}, which has expired: 400")
            return Answer(400)
        self._copies[name] = Copy()
        facts.copy_at = world.time
        world.tell(f"RBM accepts {name}")
        left = (expires - self.now()).total_seconds()
        world.after(left, lambda: self._expire(facts))
        delay = {
            "online": chance.random() * 3,
            "flaky": chance.random() * 3,
            "slow": chance.random() * left * 1.5,
            "down": chance.random() * 3,
            "busy": chance.random() * 3,
        }.get(fate)
        if delay is not None:
            world.after(delay, lambda: self._deliver(facts))
        return Answer(200)

    def delete(self, facts: Facts) -> Answer:
        world, chance = self._world, self._chance
        copy = self._copies.get(facts.plan.name)
        legacy = world.options.contract == "legacy"
        fate = facts.plan.rcs
        gone = copy is None or copy.state != "queued"
        facts.called_back |= copy is not None
        if fate == "down" and world.stormy:
            return Answer(503)
        if gone or (fate == "stuck" and not legacy):
            world.tell(
                f"RBM answers DELETE {facts.plan.name}: {200 if legacy else 404}"
            )
            return Answer(200 if legacy else 404)
        assert copy is not None
        if fate == "stuck":
            return Answer(200)
        copy.state = "withdrawn"
        world.tell(f"RBM withdraws {facts.plan.name}: 200")
        if fate == "liar":
            facts.lied = True
            world.after(chance.random() * 3, lambda: self._deliver(facts, lying=True))
        return Answer(200)

    def _expire(self, facts: Facts) -> None:
        copy = self._copies[facts.plan.name]
        chance, fate = self._chance, facts.plan.rcs
        if copy.state != "queued":
            return
        if fate == "silent":
            if chance.random() < 0.5:
                copy.state = "withdrawn"
            return
        if fate == "stuck":
            self._emit(facts, "TTL_EXPIRATION_REVOKE_FAILED")
            if chance.random() < 0.5:
                self._world.after(
                    chance.random() * 120, lambda: self._deliver(facts, lying=True)
                )
            return
        copy.state = "withdrawn"
        self._emit(facts, "TTL_EXPIRATION_REVOKED")
        if fate == "liar":
            facts.lied = True
            self._world.after(
                chance.random() * 40, lambda: self._deliver(facts, lying=True)
            )

    def _deliver(self, facts: Facts, *, lying: bool = False) -> None:
        copy = self._copies[facts.plan.name]
        if copy.state == "delivered" or (copy.state != "queued" and not lying):
            return
        if facts.plan.rcs == "stuck" and copy.state == "withdrawn":
            return
        copy.state = "delivered"
        facts.rcs_at = facts.rcs_at or self._world.time
        facts.rcs_copies += 1
        self._world.tell(f"the phone shows {facts.plan.name} in RCS")
        self._emit(facts, "DELIVERED")
        if self._chance.random() < 0.4:
            self._emit(facts, "READ", self._chance.random() * 60)

    def _emit(self, facts: Facts, kind: str, delay: float = 0.0) -> None:
        server = kind.startswith("TTL")
        payload = {
            "phoneNumber" if server else "senderPhoneNumber": PHONE,
            "eventType": kind,
            "eventId": f"{facts.plan.name}-{kind}",
            "messageId": facts.plan.name,
            "sendTime": format_time(self.now() + seconds(delay)),
            "agentId": f"{AGENT}@rbm.goog",
        }
        self._world.announce(
            "webhook", subject.rbm_events, json.dumps(payload).encode(), delay
        )

    def choose(self, number: int, *, opted_in: bool) -> None:
        """The owner of the phone unsubscribes, or subscribes again."""
        kind = "SUBSCRIBE" if opted_in else "UNSUBSCRIBE"
        at = self.now()
        payload = {
            "senderPhoneNumber": PHONE,
            "eventType": kind,
            "eventId": f"choice-{number}",
            "sendTime": format_time(at),
            "agentId": f"{AGENT}@rbm.goog",
        }
        data = json.dumps(payload).encode()
        if opted_in:
            # It may count as soon as it was said, an opt-out once it is recorded.
            self._world.consents.append((self._world.time, at, True))
        else:
            self._world.words[data] = at
        self._world.tell(f"the owner says {kind}")
        self._world.announce("webhook", subject.rbm_events, data)


RECEIPTS = {
    "failed": (4720, False),
    "unsent": (5101, False),
    "doubt": (9902, None),
}
"""Codes, and whether the phone gets the SMS all the same; None for perhaps."""


class SmsProvider:
    """Bandwidth's side, and the carriers behind it."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._chance = world.chance
        self._ids = 0

    def now(self) -> datetime:
        return self._world.time + seconds(self._world.options.skew_sms)

    def take(
        self, facts: Facts, body: dict[str, Any], attempt: int, text: Text | None
    ) -> Answer:
        world, fate = self._world, facts.plan.sms
        facts.tags.append(body["tag"])
        if fate == "refused":
            return Answer(400, b'{"type": "request-validation"}')
        if fate == "busy" and (world.stormy or attempt == 1):
            return Answer(429)
        self._ids += 1
        number = f"sms-{self._ids}"
        if text is not None:
            text.taken = True
        world.tell(f"Bandwidth takes the SMS of {body['tag']}")
        if fate != "vanishes":
            self._send(facts, body["tag"], attempt, number)
        return Answer(202, json.dumps({"id": number, "segmentCount": 1}).encode())

    def _send(self, facts: Facts, tag: str, attempt: int, number: str) -> None:
        world, chance, fate = self._world, self._chance, facts.plan.sms
        delay = chance.random() * (1200 if fate == "slow" else 4)
        if chance.random() < 0.5:
            self._report(facts, "message-sending", tag, number, delay * 0.3)
        code, arrives = RECEIPTS.get(fate, (0, True))
        if fate == "unsent" and attempt > 1:
            code, arrives = 0, True
        if arrives is None:
            arrives = chance.random() < 0.5
        if arrives:
            world.after(delay, lambda: self._arrive(facts, attempt))
        if code:
            self._report(facts, "message-failed", tag, number, delay, code)
        elif fate != "mute":
            self._report(facts, "message-delivered", tag, number, delay)

    def _arrive(self, facts: Facts, attempt: int) -> None:
        facts.sms_at.append((self._world.time, attempt))
        self._world.tell(f"the phone gets SMS {attempt} of {facts.plan.name}")

    def _report(
        self,
        facts: Facts,
        kind: str,
        tag: str,
        number: str,
        delay: float,
        code: int = 0,
    ) -> None:
        at = self.now() + seconds(delay)
        entry = {
            "type": kind,
            "time": format_time(at),
            "to": PHONE,
            "message": {"id": number, "owner": SENDER, "tag": tag, "segmentCount": 1},
        }
        if code:
            entry["errorCode"] = code
        raw = b"[" + json.dumps(entry).encode() + b"]"
        self._world.announce("sms_webhook", subject.bandwidth_events, raw, delay)

    def choose(self, number: int) -> None:
        """The owner of the phone texts STOP."""
        at = self.now()
        entry = {
            "type": "message-received",
            "time": format_time(at),
            "to": SENDER,
            "message": {
                "id": f"in-{number}",
                "owner": SENDER,
                "from": PHONE,
                "text": "Stop",
            },
        }
        data = json.dumps(entry).encode()
        self._world.words[data] = at
        self._world.tell("the owner texts STOP")
        self._world.announce(
            "sms_webhook", subject.bandwidth_events, b"[" + data + b"]"
        )
