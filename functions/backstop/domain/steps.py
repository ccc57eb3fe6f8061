"""The small changes that a step is made of. Each returns a new message."""

from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec.structs import replace

from backstop.domain.message import (
    OPEN,
    Action,
    Attempt,
    Closed,
    Do,
    Message,
    Outcome,
    Rcs,
    Sms,
)

FIRST_RETRY = timedelta(seconds=10)
"""When the watch takes up an action that a crash left behind."""


def add(
    message: Message,
    do: Do,
    *,
    attempt: int = 0,
    at: datetime | None = None,
    again_at: datetime | None = None,
    outcome: Outcome | None = None,
) -> Message:
    number = message.actions + 1
    action = Action(
        number=number, do=do, attempt=attempt, at=at, again_at=again_at, outcome=outcome
    )
    return replace(message, actions=number, todo=(*message.todo, action))


def keep(message: Message, wanted: Callable[[Action], bool]) -> Message:
    kept = tuple(action for action in message.todo if wanted(action))
    return message if kept == message.todo else replace(message, todo=kept)


def drop(message: Message, *kinds: Do) -> Message:
    return keep(message, lambda action: action.do not in kinds)


def tick(message: Message, number: int) -> Message:
    return keep(message, lambda action: action.number != number)


def amend(
    message: Message,
    number: int,
    *,
    again_at: datetime | None,
    at: datetime | None = None,
) -> Message:
    return replace(
        message,
        todo=tuple(
            replace(action, again_at=again_at, at=at)
            if action.number == number
            else action
            for action in message.todo
        ),
    )


def create(message: Message) -> Message:
    number = message.creates + 1
    return add(replace(message, creates=number), Do.CREATE, attempt=number)


def revoke(message: Message, now: datetime) -> Message:
    message = with_rcs(message, Rcs.REVOKING, now)
    return add(message, Do.REVOKE, again_at=now + FIRST_RETRY)


def revoke_once(message: Message, now: datetime) -> Message:
    if message.rcs_state in OPEN and Rcs.REVOKING not in message.rcs:
        return revoke(message, now)
    return message


def fall_back(
    message: Message, now: datetime, *, not_before: datetime | None = None
) -> Message:
    """Plan a try of the SMS, unless one is planned already, or under way.

    A worker that stood still may ask for it long after others did.
    """
    if not _wants_sms(message):
        return message
    message = replace(message, due_at=message.due_at or now)
    return add(
        message,
        Do.FALL_BACK,
        at=not_before,
        again_at=None if not_before else now + message.terms.lost_answer,
    )


def _wants_sms(message: Message) -> bool:
    if message.unfinished(Do.FALL_BACK):
        return False
    return all(attempt.lost or not attempt.live for attempt in message.sms)


def close(message: Message, reason: Closed, now: datetime) -> Message:
    """Close before the claim; afterwards it is too late (rule 13).

    An opt-out also closes after a claim whose answer is lost: what may have left
    cannot be helped, but no other request begins (promise 8).
    """
    if message.outcome is not Outcome.PENDING:
        return message
    forgiving = reason is Closed.OPTED_OUT
    if any(
        attempt.live and not (forgiving and attempt.lost) for attempt in message.sms
    ):
        return message
    return replace(message, closed=reason, closed_at=now, rule=reason.value.lower())


def overdue(message: Message, now: datetime) -> Message:
    return replace(message, overdue_at=message.overdue_at or now)


def with_rcs(message: Message, state: Rcs, at: datetime) -> Message:
    """Add evidence; of two times for the same, the earlier, whichever came first."""
    earlier = min(message.rcs.get(state, at), at)
    return replace(message, rcs={**message.rcs, state: earlier})


def count_refusal(message: Message, attempt: int) -> Message:
    return replace(message, refused=tuple(sorted({*message.refused, attempt})))


def all_refused(message: Message) -> bool:
    accepted = Rcs.ACCEPTED in message.rcs
    return len(message.refused) == message.creates and not accepted


def claimed(message: Message, number: int) -> bool:
    return any(
        attempt.number == number
        and attempt.state is Sms.CLAIMED
        and not attempt.released
        for attempt in message.sms
    )


def change_attempt(
    message: Message, number: int, change: Callable[[Attempt], Attempt]
) -> Message:
    return replace(
        message,
        sms=tuple(
            change(attempt) if attempt.number == number else attempt
            for attempt in message.sms
        ),
    )
