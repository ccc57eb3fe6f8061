"""What the other triggers do: rings, carriers' events, the app's second thoughts."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from backstop.domain.agenda import due
from backstop.domain.consent import Choice, choose
from backstop.domain.event import Event
from backstop.domain.message import Message, MessageId, message_key
from backstop.domain.signal import Kind, Signal
from backstop.errors import Conflict
from backstop.ports import Ports
from backstop.usecases.accept import SEND_TIMEOUT
from backstop.usecases.handle import SAVES, handle


class NotYet(Exception):  # noqa: N818 - named for what happened
    """The record may still be on its way: come back later."""


def ring(ports: Ports, message: MessageId, *, due_at: datetime) -> Message | None:
    """Do whatever time asks of the message; the next timer is armed on return.

    Raises NotYet while `send` may still be about to store the record (rule 5).
    """
    found = handle(ports, message, due)
    if found is None and ports.clock.now() - SEND_TIMEOUT < due_at:
        raise NotYet
    return found


def cancel(ports: Ports, message: MessageId) -> Message | None:
    """Revoke, and send nothing more, unless an SMS was claimed already."""
    return handle(ports, message, lambda _m, _now: [Signal(kind=Kind.CANCEL)])


def acknowledge(ports: Ports, message: MessageId) -> Message | None:
    """The user has acted: revoke what can be revoked, send nothing more."""
    return handle(ports, message, lambda _m, _now: [Signal(kind=Kind.ACKNOWLEDGE)])


def report(
    ports: Ports, event: Event, read: Callable[[Event], Signal | None]
) -> Message | None:
    """Fold a carrier's event, or a handover, into the message it is about.

    An event about no message of ours is old news: records are stored before
    anything is sent, so there is nothing to wait for.
    """
    signal = read(event)
    if signal is None or not event.message_id:
        return None

    def signals(message: Message, _now: datetime) -> Sequence[Signal]:
        if signal.kind is not Kind.SMS_DELIVERED:
            return [signal]
        handset = message.request.handset_receipts
        return [replace(signal, by="handset" if handset else "carrier")]

    return handle(ports, message_key(event.agent, event.message_id), signals)


def consent(ports: Ports, choice: Choice, agents: Sequence[str]) -> None:
    """Record a choice for each agent; an opt-out closes open promotions (rule 14)."""
    for agent in agents:
        if not _record(ports, choice, agent):
            continue
        for message in ports.messages.open_of_phone(choice.phone, agent):
            handle(ports, message, lambda _m, _now: [Signal(kind=Kind.OPT_OUT)])


def _record(ports: Ports, choice: Choice, agent: str) -> bool:
    """Store the choice if it is the newest. Returns whether it is an opt-out."""
    for _ in range(SAVES):
        stored = ports.recipients.load(choice.phone, agent)
        chosen = choose(stored.value, choice)
        if chosen == stored.value:
            return chosen.refuses
        try:
            ports.recipients.save(choice.phone, agent, chosen, version=stored.version)
        except Conflict:
            continue
        ports.log(
            "consent",
            {
                "agentId": agent,
                "wish": chosen.wish.value,
                "channel": choice.channel,
                "phone": choice.phone[-2:],
            },
        )
        return chosen.refuses
    raise Conflict("one recipient changed faster than it could be saved")
