"""Accept a message: timer first, then the record, then RBM."""

from datetime import datetime

from msgspec import Struct

from backstop.domain.lifecycle import advance, advance_all
from backstop.domain.message import (
    Do,
    Message,
    Rcs,
    Request,
    Terms,
    message_key,
)
from backstop.domain.signal import Kind, Signal
from backstop.errors import AlreadyExists, Conflict
from backstop.ports import Ports
from backstop.usecases.handle import act, handle


class Differs(Exception):  # noqa: N818 - named for what happened
    """The id is taken by a message with another body."""


class OptedOut(Exception):  # noqa: N818 - named for what happened
    """The recipient wants no messages like this one."""


class Order(Struct, frozen=True, kw_only=True):
    """What an app ordered, validated, and when its terms were settled."""

    at: datetime
    agent: str
    message_id: str
    phone: str
    request: Request
    terms: Terms


def accept(ports: Ports, order: Order, *, bypass: bool = False) -> Message:
    """Return the message, durable and on its way, or as it was accepted before.

    With *bypass* RBM is not asked: its leg begins UNREACHABLE, and the SMS is due.
    Raises Differs and OptedOut, and Conflict for one that was erased meanwhile.
    """
    now = order.at
    blank = draft(order)
    refusing = order.request.traffic.needs_consent and _refuses(ports, order)
    if refusing and ports.messages.load(blank.id):
        return _repeated(ports, order)
    if refusing:
        ports.log("opted_out", {"agentId": order.agent, "phone": order.phone[-2:]})
        raise OptedOut
    begin = Kind.RCS_BYPASSED if bypass else Kind.BEGIN
    step = advance(blank, Signal(kind=begin), now)
    timers = step.message.unfinished(Do.ARM)
    for timer in timers:
        if timer.at:
            ports.timers.arm(blank.id, at=timer.at)
    armed = [Signal(kind=Kind.DONE, number=timer.number) for timer in timers]
    message = advance_all(step.message, armed, now).message
    try:
        version = ports.messages.create(message)
    except AlreadyExists:
        return _repeated(ports, order, armed=message.wake_at)
    if message.wake_at and ports.clock.now() >= message.wake_at:
        # The ring may have come before the record, and found nothing (rule 5).
        ports.timers.arm(message.id, at=message.wake_at)
    ports.log(
        "accepted",
        {
            "messageId": message.message_id,
            "agentId": message.agent,
            "policy": message.terms.policy.value,
            "traffic": message.request.traffic.value,
            "phone": message.phone[-2:],
        },
    )
    left = tuple(action for action in step.actions if action.do is not Do.ARM)
    return act(ports, type(step)(message, left), version)


def draft(order: Order) -> Message:
    """Return the message as it would be, before anything was done about it."""
    return Message(
        id=message_key(order.agent, order.message_id),
        agent=order.agent,
        message_id=order.message_id,
        phone=order.phone,
        request=order.request,
        terms=order.terms,
        accepted_at=order.at,
        rcs={Rcs.PENDING: order.at},
    )


def _refuses(ports: Ports, order: Order) -> bool:
    return ports.recipients.load(order.phone, order.agent).value.refuses


def _repeated(ports: Ports, order: Order, *, armed: datetime | None = None) -> Message:
    """Answer as before, and finish what a crash may have left (promise 2).

    The timer that was armed for nothing is spared, unless it is the message's.
    """
    key = message_key(order.agent, order.message_id)
    stored = ports.messages.load(key)
    if stored is None:
        raise Conflict("erased since it was found to be there")
    known = stored.value
    # A ring that comes meanwhile may plan for the deadline, as the order did.
    own = {*known.armed, known.terms.deadline + known.terms.margin}
    if armed and armed not in own:
        ports.timers.disarm(key, at=armed)
    if known.phone != order.phone or known.request.digest != order.request.digest:
        raise Differs
    return handle(ports, key, lambda _m, _now: [Signal(kind=Kind.REPEAT)]) or known
