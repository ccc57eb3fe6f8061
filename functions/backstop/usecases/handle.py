"""What every trigger does: load, advance, save, act, and save what came of it.

Whoever calls answers or acknowledges only after `handle` returned. Should it
die anywhere before, the trigger comes back and finds what is unfinished.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from backstop.domain.lifecycle import Step, advance_all
from backstop.domain.message import Do, Message, MessageId
from backstop.domain.signal import Kind, Signal
from backstop.domain.steps import FIRST_RETRY
from backstop.errors import Conflict
from backstop.ports import Ports, Stored
from backstop.usecases.actions import PERFORM
from backstop.usecases.lines import log_change

Signals = Callable[[Message, datetime], Sequence[Signal]]

SAVES = 100
"""Attempts at one commit. Every loser means that another has won."""

ASKING = frozenset({Do.CREATE, Do.REVOKE, Do.SEND_SMS})
"""Actions that a carrier answers."""

TELLING = (Do.PUBLISH, Do.FALL_BACK)


def handle(
    ports: Ports,
    message: MessageId,
    signals: Signals,
    known: Stored[Message] | None = None,
) -> Message | None:
    """Let *signals* happen to the message, do what follows, and return it.

    It is read unless it is *known*. Returns None when there is no such message.
    Raises whatever a port raised: then nothing may be acknowledged.
    """
    saved = _change(ports, message, signals, known)
    return None if saved is None else act(ports, *saved)


def act(ports: Ports, step: Step, version: int) -> Message:
    """Do the actions of a step, saved as *version*, and all that their answers ask."""
    while True:
        news: list[Signal] = []
        for action in step.actions:
            if action.do in ASKING:
                news += PERFORM[action.do](ports, step.message, action)
        # Timers after what is answered, since an answer may well make a later one
        # do; before what others act upon, who else would find none. The old one is
        # spared last of all: until then it would see to what a crash leaves undone.
        timers = [a for a in step.actions if a.do is Do.ARM]
        for kind in (Do.ARM, *TELLING, Do.DISARM):
            for action in step.actions:
                if action.do is kind and not (news and kind is Do.ARM):
                    PERFORM[kind](ports, step.message, action)
        if not news:
            return step.message
        if _is_harmless_to_forget(step.message, news):
            # A create has its key: what came of it is saved with the next change.
            return advance_all(step.message, news, ports.clock.now()).message
        done = [
            Signal(kind=Kind.DONE, number=action.number)
            for action in step.actions
            if action.do in {Do.PUBLISH, Do.DISARM}
        ]
        deferred = [Signal(kind=Kind.DEFERRED, number=a.number) for a in timers]
        known = Stored(step.message, version)
        settled = _change(ports, known.value.id, _only(*deferred, *done, *news), known)
        if settled is None:
            # Erased meanwhile: nothing is left to keep promises about.
            return step.message
        step, version = settled


def _is_told(signals: Sequence[Signal]) -> bool:
    """Whether a carrier's event says so: it comes again until it is acknowledged."""
    return any(signal.event for signal in signals)


def _is_harmless_to_forget(message: Message, news: Sequence[Signal]) -> bool:
    """Whether all that happened is that RBM accepted what `send` has just begun.

    Whoever calls it back meanwhile does not know, and asks again (rule 8).
    """
    return message.creates == 1 and {signal.kind for signal in news} == {
        Kind.RCS_ACCEPTED
    }


def _only(*signals: Signal) -> Signals:
    return lambda _message, _now: signals


def _change(
    ports: Ports,
    message: MessageId,
    signals: Signals,
    known: Stored[Message] | None = None,
) -> tuple[Step, int] | None:
    """Advance and save in one commit, again until nobody came between.

    What is *known* need not be read again to be changed, since a commit fails if it
    is no longer the newest.
    """
    for _ in range(SAVES):
        stored = known or ports.messages.load(message)
        known = None
        if stored is None:
            return None
        now = ports.clock.now()
        before = stored.value
        heard = signals(before, now)
        step = advance_all(before, heard, now)
        if ports.sms and any(action.do is Do.FALL_BACK for action in step.actions):
            claim = advance_all(step.message, [Signal(kind=Kind.SMS_CLAIM)], now)
            left = tuple(a for a in step.actions if a in claim.message.todo)
            step = Step(claim.message, (*left, *claim.actions))
        if step.message == before:
            return step, stored.version
        if step.message.revision > before.revision > 0 and not _is_told(heard):
            # A worker that stood still may correct what is settled, and its trigger
            # have been answered by another: then nothing else comes back to tell it.
            ports.timers.arm(message, at=now + FIRST_RETRY)
        try:
            version = ports.messages.save(step.message, version=stored.version)
        except Conflict:
            continue
        log_change(ports, before, heard, step)
        return step, version
    raise Conflict("one message changed faster than it could be saved")
