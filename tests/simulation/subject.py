"""How Backstop is called: its real use cases, triggers and clients."""

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any

from backstop.calls import NoAnswer, NotSent
from backstop.domain.event import Event
from backstop.domain.message import Policy, Request, Traffic, message_key
from backstop.domain.reach import Reach
from backstop.domain.times import format_time
from backstop.edge import triggers
from backstop.errors import Conflict, Unavailable
from backstop.ports import Ports
from backstop.providers.bandwidth import wire as bandwidth_wire
from backstop.providers.bandwidth.client import Bandwidth
from backstop.providers.rbm import wire as rbm_wire
from backstop.providers.rbm.client import Rbm
from backstop.providers.tokens import Tokens
from backstop.settings import Settings
from backstop.usecases import follow
from backstop.usecases.accept import Differs, OptedOut, Order
from backstop.usecases.reach import accept_knowing
from backstop.usecases.view import agent_message
from backstop.wiring import Backstop
from simulation.options import Plan

AGENT = "agent"
SENDER = "+15550100001"
PHONE = "+15551230001"
OTHER_PHONE = "+15551230002"
BANDWIDTH_URL = "http://bandwidth.invalid"
ACCOUNT = "9900001"

SUBSCRIPTIONS = {
    "fallback": frozenset({"expiry", "due"}),
    "record": frozenset({"receipt", "inbound"}),
}

AGAIN = (Unavailable, Conflict, follow.NotYet)
"""What the edge answers with a 503: whoever called comes again."""

REFUSALS = (Differs, OptedOut)

ENVIRON = {
    "AGENTS": json.dumps({AGENT: {"senders": [SENDER]}}),
    "RBM_KEY": json.dumps({"client_email": "e", "private_key": "k", "token_uri": "u"}),
    "RBM_CLIENT_TOKENS": "token",
    "BANDWIDTH_ACCOUNT": ACCOUNT,
    "BANDWIDTH_APPLICATION": "application",
    "BANDWIDTH_CLIENT": "client",
    "BANDWIDTH_SECRET": "secret",
    "BANDWIDTH_CALLBACKS": "user:password",
}


@cache
def settings(contract: str) -> Settings:
    return Settings.read(ENVIRON | {"RBM_DELETE_CONTRACT": contract})


@dataclass(frozen=True)
class Clients:
    """The real clients of both carriers, over a network of the simulation's."""

    rcs: Rbm
    sms: Bandwidth


def clients(
    network: Any, sleep: Callable[[float], None], monotonic: Callable[[], float]
) -> Clients:
    tokens = Tokens(lambda _within: ("token", float("inf")), monotonic)
    rcs = Rbm(
        network,
        tokens,
        sleep=sleep,
        jitter=network.chance.random,
        monotonic=monotonic,
    )
    sms = Bandwidth(
        account_id=ACCOUNT,
        application_id="application",
        client_id="client",
        client_secret="secret",
        base_url=BANDWIDTH_URL,
        monotonic=monotonic,
    )
    sms._messages = SimpleNamespace(call=network.text_call)  # type: ignore[assignment]
    sms._tokens = tokens
    return Clients(rcs, sms)


def key(plan: Plan) -> str:
    return message_key(AGENT, plan.name)


def send(
    ports: Ports,
    contract: str,
    plan: Plan,
    now: datetime,
    *,
    deadline: datetime | None = None,
    clash: bool = False,
) -> tuple[str, str]:
    """Return `sendTime` and `expireTime` of the answer. Raises REFUSALS."""
    none = plan.policy == Policy.NONE.value
    order = Order(
        at=now,
        agent=AGENT,
        message_id=plan.name,
        phone=PHONE,
        request=Request(
            digest="another body" if clash else "body",
            content={"text": plan.name},
            traffic=Traffic(plan.traffic),
            sender=SENDER,
            text="" if none else plan.name,
        ),
        terms=settings(contract).terms(
            traffic=Traffic(plan.traffic),
            policy=Policy(plan.policy),
            deadline=deadline or now + timedelta(seconds=plan.ttl),
            now=now,
        ),
    )
    message = accept_knowing(ports, order, settings(contract).reach)
    return format_time(message.accepted_at), format_time(message.terms.deadline)


def rule_out_rcs(ports: Ports, until: datetime) -> None:
    """Let the phone be remembered as one that RCS does not reach."""
    assert ports.reaches
    ports.reaches.save(AGENT, {PHONE: Reach(reachable=False, until=until)})


def cancel(ports: Ports, plan: Plan) -> str | None:
    """Return why the message is closed, as the answer says, None if there is none."""
    return _say(ports, plan, follow.cancel)


def acknowledge(ports: Ports, plan: Plan) -> str | None:
    return _say(ports, plan, follow.acknowledge)


def _say(ports: Ports, plan: Plan, word: Any) -> str | None:
    found = ports.messages.load(message_key(AGENT, plan.name))
    return None if found is None else str(word(ports, found).closed or "")


def look(ports: Ports, message: str) -> dict[str, Any] | None:
    """Return what GET answers."""
    stored = ports.messages.load(message)
    return None if stored is None else agent_message(stored.value)


Work = Callable[[bytes], None]


def ring(ports: Ports) -> Work:
    return triggers.revoke(ports)


def fallback(ports: Ports) -> Work:
    return triggers.fallback(ports)


def record(ports: Ports, contract: str) -> Work:
    return triggers.record(ports, _house(contract))


@cache
def _house(contract: str) -> Any:
    # Only the settings have a part in it.
    return Backstop(settings(contract), None)._house  # type: ignore[arg-type]


def ring_body(message: str, due_at: datetime) -> bytes:
    return json.dumps({"message": message, "dueAt": format_time(due_at)}).encode()


def push_body(event: Event, attempt: int) -> bytes:
    """Return the push of an event, as Pub/Sub delivers it."""
    message = {
        "data": b64encode(event.data).decode(),
        "attributes": event.attributes(),
        "messageId": "1",
    }
    return json.dumps({"message": message, "deliveryAttempt": attempt}).encode()


def rbm_events(data: bytes, now: datetime) -> tuple[Event, ...]:
    return (rbm_wire.announce(data, received_at=now),)


def bandwidth_events(raw: bytes, now: datetime) -> tuple[Event, ...]:
    return bandwidth_wire.announce(raw, received_at=now)


# Made anew each time: an exception keeps the frames that it was last raised in.


def silence() -> NoAnswer:
    return NoAnswer()


def not_connected() -> NotSent:
    return NotSent()
