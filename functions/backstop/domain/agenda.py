"""What time will do to a message, and when."""

from collections.abc import Iterator
from datetime import datetime

from msgspec.structs import replace

from backstop.domain import policy
from backstop.domain.message import OPEN, Do, Message, Outcome, Sms
from backstop.domain.signal import Kind, Signal
from backstop.domain.steps import claimed


def agenda(message: Message) -> Iterator[tuple[datetime, Signal]]:
    """Yield what time will do to *message*, and when. Unordered."""
    terms = message.terms
    pending = message.outcome is Outcome.PENDING
    waiting = not message.overdue_at and not message.closed
    if waiting and message.rcs_state in OPEN:
        yield terms.deadline + terms.margin, Signal(kind=Kind.DEADLINE_PASSED)
    for action in message.unfinished(Do.REVOKE):
        # Whatever else has come of the message: until RBM withdraws it by itself,
        # a copy that was called back may still arrive.
        if action.again_at and (pending or action.again_at < terms.deadline):
            yield action.again_at, Signal(kind=Kind.REPEAT, number=action.number)
    if pending:
        yield from _agenda_without_outcome(message)


def _agenda_without_outcome(message: Message) -> Iterator[tuple[datetime, Signal]]:
    terms = message.terms
    since = message.overdue_at or message.closed_at
    if since and policy.grace_matters(message):
        yield since + terms.grace, Signal(kind=Kind.GRACE_OVER)
    for action in message.unfinished(Do.CREATE, Do.FALL_BACK):
        again_at = action.at or action.again_at
        if again_at and not (action.do is Do.CREATE and again_at >= terms.deadline):
            yield again_at, Signal(kind=Kind.REPEAT, number=action.number)
    for attempt in message.sms:
        signal = Signal(kind=Kind.ANSWER_LOST, attempt=attempt.number)
        if claimed(message, attempt.number) and not attempt.lost:
            yield attempt.claimed_at + terms.lost_answer, signal
        elif attempt.live and attempt.state in {Sms.QUEUED, Sms.SENT}:
            since = attempt.queued_at or attempt.claimed_at
            overdue = replace(signal, kind=Kind.RECEIPT_OVERDUE)
            yield since + terms.receipt_wait, overdue


def due(message: Message, now: datetime) -> tuple[Signal, ...]:
    """Return the signals of a ring at *now*: what is due, then the ring itself."""
    passed = sorted(
        ((at, signal) for at, signal in agenda(message) if at <= now),
        key=lambda item: item[0],
    )
    news = tuple(signal for _at, signal in passed if signal.kind is not Kind.REPEAT)
    return (*news, Signal(kind=Kind.RING))


def next_up(message: Message) -> tuple[datetime, str] | None:
    """Return when time acts on *message* next, and the word for what it does."""
    doing = {action.number: f"{action.do.lower()}_again" for action in message.todo}
    return min(
        (
            (at, doing.get(signal.number, signal.kind.value))
            for at, signal in agenda(message)
        ),
        default=None,
    )
