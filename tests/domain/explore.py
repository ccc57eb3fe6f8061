"""Every state that a message can reach, and every signal in each of them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

from backstop.domain.agenda import agenda, due
from backstop.domain.lifecycle import Step, advance, advance_all
from backstop.domain.message import Action, Contract, Do, Message, Policy, Rcs, Traffic
from backstop.domain.signal import Kind, Signal
from domain.tale import START, message

AGAIN_AT = START + timedelta(minutes=5)
MOST_CREATES = 2
MOST_ATTEMPTS = 2

BEGINNINGS = (Kind.BEGIN, Kind.RCS_BYPASSED)

RECEIPTS = (
    Kind.RCS_DELIVERED,
    Kind.RCS_READ,
    Kind.RCS_EXPIRED,
    Kind.RCS_EXPIRY_FAILED,
)
SMS_RECEIPTS = (
    Kind.SMS_SENT,
    Kind.SMS_DELIVERED,
    Kind.SMS_FAILED,
    Kind.SMS_UNSENT,
    Kind.SMS_DOUBTED,
)
WORDS = (
    Kind.REPEAT,
    Kind.HANDED_OVER,
    Kind.RCS_BYPASSED,
    Kind.CANCEL,
    Kind.ACKNOWLEDGE,
    Kind.OPT_OUT,
)
CREATE_ANSWERS = (
    Kind.RCS_ACCEPTED,
    Kind.RCS_REFUSED,
    Kind.RCS_THROTTLED,
    Kind.RCS_NOT_BEGUN,
    Kind.RCS_UNANSWERED,
)
REVOKE_ANSWERS = (
    Kind.RCS_REVOKED,
    Kind.RCS_REVOKE_FAILED,
    Kind.RCS_REVOKE_UNANSWERED,
)
SMS_ANSWERS = (
    Kind.SMS_QUEUED,
    Kind.SMS_UNANSWERED,
    Kind.SMS_THROTTLED,
    Kind.SMS_REFUSED,
    Kind.SMS_RELEASED,
)

State = tuple[object, ...]


def state(message: Message) -> State:
    """What tells one message from another, times and counters left out."""
    return (
        # Of the weaker evidence, the lifecycle asks for these two alone.
        message.rcs_state,
        Rcs.REVOKING in message.rcs,
        Rcs.ACCEPTED in message.rcs,
        message.creates,
        message.refused,
        tuple((a.state, a.released, a.lost) for a in message.sms),
        message.closed,
        message.overdue_at is None,
        message.late,
        tuple(
            (action.do, action.attempt, action.at is None)
            for action in message.todo
            if action.do not in {Do.ARM, Do.DISARM, Do.PUBLISH}
        ),
        message.announced,
    )


def begin(
    policy: Policy,
    contract: Contract,
    traffic: Traffic,
    kind: Kind = Kind.BEGIN,
) -> Message:
    blank = message(policy, contract, traffic)
    return advance(blank, Signal(kind=kind), START).message


def signals(message: Message) -> Iterator[Signal]:
    """Yield all that may happen to *message*, time left out."""
    for kind in (*RECEIPTS, *WORDS):
        yield Signal(kind=kind)
    for action in message.todo:
        yield from ANSWERS.get(action.do, lambda _action: ())(action)
    for attempt in message.sms:
        for kind in SMS_RECEIPTS:
            for by in ("carrier", "handset"):
                yield Signal(kind=kind, attempt=attempt.number, by=by)
    if message.creates > 1:
        for kind in CREATE_ANSWERS:
            yield Signal(kind=kind, attempt=1)


def _create_answers(action: Action) -> Iterator[Signal]:
    for kind in CREATE_ANSWERS:
        for clean in (True, False):
            yield Signal(
                kind=kind,
                number=action.number,
                attempt=action.attempt,
                clean=clean,
                again_at=AGAIN_AT,
            )


def _revoke_answers(action: Action) -> Iterator[Signal]:
    for kind in REVOKE_ANSWERS:
        yield Signal(kind=kind, number=action.number, again_at=AGAIN_AT)


def _sms_answers(action: Action) -> Iterator[Signal]:
    for kind in SMS_ANSWERS:
        yield Signal(kind=kind, attempt=action.attempt, again_at=AGAIN_AT)


ANSWERS: dict[Do, Callable[[Action], Iterable[Signal]]] = {
    Do.CREATE: _create_answers,
    Do.REVOKE: _revoke_answers,
    Do.SEND_SMS: _sms_answers,
    Do.FALL_BACK: lambda _action: [Signal(kind=Kind.SMS_CLAIM)],
}


def after(message: Message) -> Iterator[tuple[str, Message, Step]]:
    """Yield each thing that may happen, by name, with its step."""
    for signal in signals(message):
        yield signal.kind.value, message, advance(message, signal, START)
    times = sorted({at for at, _signal in agenda(message)})
    for at in times[:1]:
        yield "ring", message, advance_all(message, due(message, at), at)


def explore(
    policy: Policy, contract: Contract, traffic: Traffic
) -> Iterator[tuple[str, Message, Step]]:
    """Yield every step from every state that can be reached."""
    ahead = deque(begin(policy, contract, traffic, kind) for kind in BEGINNINGS)
    seen = {state(first) for first in ahead}
    while ahead:
        for name, before, step in after(ahead.popleft()):
            yield name, before, step
            known = state(step.message)
            small = (
                step.message.creates <= MOST_CREATES
                and len(step.message.sms) <= MOST_ATTEMPTS
            )
            if known not in seen and small:
                seen.add(known)
                ahead.append(step.message)
