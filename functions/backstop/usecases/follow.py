"""What the other triggers do: rings, carriers' events, the app's second thoughts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec.structs import replace

from backstop.domain.agenda import due
from backstop.domain.event import Event
from backstop.domain.message import Message, MessageId, message_key
from backstop.domain.signal import Kind, Signal
from backstop.ports import Ports, Stored, Timers
from backstop.usecases.actions import SEND_TIMEOUT
from backstop.usecases.handle import handle
from backstop.usecases.lines import log_ring


class NotYet(Exception):  # noqa: N818 - named for what happened
    """The record may still be on its way: come back later."""


def ring(ports: Ports, message: MessageId, *, due_at: datetime) -> Message | None:
    """Do whatever time asks of the message; the next timer is armed on return.

    Raises NotYet while `send` may still be about to store the record (rule 5).
    """
    ports = replace(ports, timers=_Elsewhen(ports.timers, due_at))
    heard_at = ports.clock.now()
    found = handle(ports, message, due)
    if found is None and ports.clock.now() - SEND_TIMEOUT < due_at:
        raise NotYet
    log_ring(ports, found, due_at=due_at, heard_at=heard_at)
    return found


@dataclass(frozen=True)
class _Elsewhen:
    """Timers but for one instant, whose ring is being answered at this moment.

    A ring may be early by our own clock. The same instant, armed again, would be
    taken for the ring that is under way, and end with it.
    """

    timers: Timers
    ringing: datetime

    def arm(self, message: MessageId, *, at: datetime) -> None:
        beside = at + timedelta(microseconds=1)
        self.timers.arm(message, at=beside if at == self.ringing else at)

    def disarm(self, message: MessageId, *, at: datetime) -> None:
        self.timers.disarm(message, at=at)


def cancel(ports: Ports, found: Stored[Message]) -> Message:
    """Revoke, and send nothing more, unless an SMS was claimed already."""
    return _say(ports, found, Signal(kind=Kind.CANCEL))


def acknowledge(ports: Ports, found: Stored[Message]) -> Message:
    """The user has acted: revoke what can be revoked, send nothing more."""
    return _say(ports, found, Signal(kind=Kind.ACKNOWLEDGE))


def _say(ports: Ports, found: Stored[Message], word: Signal) -> Message:
    message = found.value
    return handle(ports, message.id, lambda _m, _now: [word], found) or message


def report(
    ports: Ports, event: Event, read: Callable[[Event], Signal | None]
) -> Message | None:
    """Fold a carrier's event, or a handover, into the message it is about.

    An event about no message of ours is old news: records are stored before
    anything is sent, so there is nothing to wait for.
    """
    signal = read(event)
    if signal is None:
        return None

    def signals(message: Message, _now: datetime) -> Sequence[Signal]:
        if signal.kind is not Kind.SMS_DELIVERED:
            return [signal]
        handset = message.request.handset_receipts
        return [replace(signal, by="handset" if handset else "carrier")]

    return handle(ports, message_key(event.agent, event.message_id), signals)
