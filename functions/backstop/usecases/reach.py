"""Which phones RCS reaches: asked, remembered for a while, forgotten at a sign of life.

A memory is a convenience: without it RBM is asked, and refuses by itself. What may
be wrong about it costs an SMS in place of an RCS message, until it lapses.
"""

from collections.abc import Collection, Iterable
from datetime import timedelta

from backstop.domain.event import RCS_DELIVERED, RCS_READ, Event
from backstop.domain.inbound import Inbound
from backstop.domain.message import Json, Message, Policy, Rcs
from backstop.domain.reach import Lives, Reach
from backstop.errors import Refusal, Refused, Unavailable
from backstop.ports import Ports
from backstop.usecases.accept import Order, accept
from backstop.usecases.actions import RBM_BUDGET

LATE = timedelta(minutes=1)
"""A receipt that comes later than this after its message is news of the phone."""


def accept_knowing(ports: Ports, order: Order, lives: Lives) -> Message:
    """Accept a message, straight to SMS where RCS is known to be impossible.

    Raises what `accept` raises.
    """
    if ports.reaches is None or order.terms.policy is Policy.NONE:
        # Without an SMS nothing is lost by asking.
        return accept(ports, order)
    known = ports.reaches.load(order.phone, order.agent)
    bypass = known is not None and known.rules_out(order.request.content, order.at)
    message = accept(ports, order, bypass=bypass)
    # An earlier message, found again, says nothing of the phone as it is now.
    refused = message.rcs_state is Rcs.UNREACHABLE and message.accepted_at == order.at
    if refused and not bypass:
        _remember(ports, order.agent, [order.phone], None, lives)
    return message


def ask(ports: Ports, *, agent: str, phone: str, request_id: str, lives: Lives) -> Json:
    """Return what RBM says of the phone's capabilities. Raises ProviderError."""
    if ports.rcs is None:
        raise Unavailable("no RBM")
    try:
        answer = ports.rcs.capabilities(
            agent=agent, phone=phone, request_id=request_id, budget=RBM_BUDGET
        )
    except Refused as no:
        if no.refusal is Refusal.UNREACHABLE:
            _remember(ports, agent, [phone], None, lives)
        raise
    _remember(ports, agent, [phone], answer, lives)
    return answer


def warm(
    ports: Ports,
    *,
    agent: str,
    asked: Iterable[str],
    reachable: Collection[str],
    lives: Lives,
) -> None:
    """Remember RBM's answer about many phones at once."""
    asked = set(asked)
    _remember(ports, agent, asked.intersection(reachable), {}, lives)
    _remember(ports, agent, asked.difference(reachable), None, lives)


def forget(ports: Ports, phone: str, agent: str) -> None:
    """The phone gave a sign of RCS life: whatever was known is no longer so."""
    if ports.reaches:
        ports.reaches.forget(phone, agent)


def heard_from(ports: Ports, event: Event, reply: Inbound) -> None:
    """The user spoke by RCS. A tap that was texted is of our own making."""
    if reply.channel == "RCS" and not event.cause:
        forget(ports, reply.phone, reply.agent)


def heard_of(ports: Ports, event: Event, message: Message) -> None:
    """Forget what a receipt contradicts, if it comes too late to be expected.

    One that follows its message at once says what RBM said when it took it.
    """
    receipt = event.type in {RCS_DELIVERED, RCS_READ}
    if receipt and event.time > message.accepted_at + LATE:
        forget(ports, message.phone, message.agent)


def _remember(
    ports: Ports,
    agent: str,
    phones: Collection[str],
    answer: Json | None,
    lives: Lives,
) -> None:
    """Keep what RBM answered about *phones*, None where it had nothing to say."""
    if not ports.reaches or not phones:
        return
    now = ports.clock.now()
    if answer is None:
        reach = Reach(reachable=False, until=now + lives.negative)
    else:
        given = answer.get("features")
        features = tuple(map(str, given)) if isinstance(given, list) else None
        until = now + lives.positive
        reach = Reach(reachable=True, features=features, until=until)
    try:
        ports.reaches.save(agent, dict.fromkeys(phones, reach))
    except Unavailable:
        # The answer is worth more than its memory: it is not held back for it.
        ports.log("reach_not_kept", {"severity": "WARNING", "count": len(phones)})
