"""What each signal adds to what is known of a message."""

from collections.abc import Callable, Mapping
from datetime import datetime

from msgspec.structs import replace

from backstop.domain import policy
from backstop.domain.message import (
    Attempt,
    Closed,
    Do,
    Message,
    Outcome,
    Policy,
    Rcs,
    Sms,
)
from backstop.domain.signal import REPLIES, Kind, Signal
from backstop.domain.steps import (
    add,
    all_refused,
    amend,
    change_attempt,
    claimed,
    close,
    count_refusal,
    create,
    drop,
    fall_back,
    overdue,
    revoke,
    revoke_once,
    tick,
    with_rcs,
)

LOST_ANSWERS = 2
"""No third SMS request after this many whose answer was lost (rule 2)."""


Fold = Callable[[Message, Signal, datetime], Message]

RCS_EVIDENCE: Mapping[Kind, Rcs] = {
    Kind.RCS_ACCEPTED: Rcs.ACCEPTED,
    Kind.RCS_EXPIRY_FAILED: Rcs.REVOKE_FAILED,
    Kind.RCS_REVOKE_FAILED: Rcs.REVOKE_FAILED,
    Kind.RCS_EXPIRED: Rcs.REVOKED,
    Kind.RCS_REVOKED: Rcs.REVOKED,
    Kind.RCS_DELIVERED: Rcs.DELIVERED,
    Kind.RCS_READ: Rcs.READ,
}

SMS_EVIDENCE: Mapping[Kind, Sms] = {
    Kind.SMS_QUEUED: Sms.QUEUED,
    Kind.SMS_SENT: Sms.SENT,
    Kind.SMS_DOUBTED: Sms.UNCONFIRMED,
    Kind.RECEIPT_OVERDUE: Sms.UNCONFIRMED,
    Kind.SMS_REFUSED: Sms.FAILED,
    Kind.SMS_FAILED: Sms.FAILED,
    Kind.SMS_DELIVERED: Sms.DELIVERED,
}


def _begin(message: Message, _signal: Signal, _now: datetime) -> Message:
    return create(message)


def _bypassed(message: Message, _signal: Signal, now: datetime) -> Message:
    """Begin without RCS: no create, so no copy that could be out there."""
    return message if message.creates else with_rcs(message, Rcs.UNREACHABLE, now)


def _rcs_evidence(message: Message, signal: Signal, now: datetime) -> Message:
    at = signal.at or now
    message = with_rcs(message, RCS_EVIDENCE[signal.kind], at)
    if signal.kind in {Kind.RCS_EXPIRED, Kind.RCS_EXPIRY_FAILED}:
        message = overdue(message, now)
    message = tick(message, signal.number)
    if signal.kind is Kind.RCS_ACCEPTED:
        message = drop(message, Do.CREATE)
        if Rcs.REVOKING in message.rcs:
            # Rule 8: whatever DELETE met before, this copy is newer.
            message = revoke(drop(message, Do.REVOKE), now)
    return message


def _refused(message: Message, signal: Signal, now: datetime) -> Message:
    if signal.clean:
        message = count_refusal(message, signal.attempt)
    message = drop(message, Do.CREATE)
    if all_refused(message):
        return with_rcs(message, signal.refusal, now)
    if policy.awaits_expiry(message):
        return message
    # Rule 7: an earlier create was not answered, so a copy may be out there.
    return overdue(message, now)


def _not_created(message: Message, signal: Signal, now: datetime) -> Message:
    if signal.clean:
        message = count_refusal(message, signal.attempt)
    message = _unanswered(message, signal, now)
    if all_refused(message) and not message.unfinished(Do.CREATE):
        # Nor will it be: it was given up before its answer came.
        return with_rcs(message, Rcs.UNREACHABLE, now)
    return message


def _unanswered(message: Message, signal: Signal, _now: datetime) -> Message:
    return amend(message, signal.number, again_at=signal.again_at)


def _revoke_unanswered(message: Message, signal: Signal, now: datetime) -> Message:
    message = _unanswered(message, signal, now)
    if message.terms.policy is Policy.PROMPT and message.overdue_at:
        # Rule 10: asking is enough; the DELETE is repeated beside the SMS.
        return with_rcs(message, Rcs.REVOKE_FAILED, now)
    return message


def _claim(message: Message, _signal: Signal, now: datetime) -> Message:
    due = message.unfinished(Do.FALL_BACK)
    if not due or (due[0].at and due[0].at > now):
        return message
    number = len(message.sms) + 1
    attempt = Attempt(number=number, state=Sms.CLAIMED, claimed_at=now, at=now)
    message = replace(drop(message, Do.FALL_BACK), sms=(*message.sms, attempt))
    return add(message, Do.SEND_SMS, attempt=number)


def _sms_evidence(message: Message, signal: Signal, now: datetime) -> Message:
    at = signal.at or now
    state = SMS_EVIDENCE[signal.kind]
    message = drop(message, Do.SEND_SMS)

    def fold(attempt: Attempt) -> Attempt:
        climbs = state.rank > attempt.state.rank
        return replace(
            attempt,
            state=state if climbs else attempt.state,
            at=at if climbs else attempt.at,
            # By our own clock: waits must not depend on a carrier's.
            queued_at=attempt.queued_at or now,
            provider_id=attempt.provider_id or signal.provider_id,
            segments=attempt.segments or signal.segments,
            # They explain the state, and go with it: in whatever order they came.
            by=signal.by if climbs else attempt.by,
            code=signal.code if climbs else attempt.code,
            lost=False,
        )

    message = change_attempt(message, signal.attempt, fold)
    if signal.kind is Kind.SMS_DELIVERED and signal.by == "handset":
        # Rule 12: a carrier's "delivered" would not be enough for this, and only
        # HEDGE has not asked by then.
        return revoke_once(message, now)
    return message


def _sms_unanswered(message: Message, _signal: Signal, _now: datetime) -> Message:
    return drop(message, Do.SEND_SMS)


def _sms_not_sent(message: Message, signal: Signal, now: datetime) -> Message:
    """Known not to have been sent: try again, but not for ever (rule 3)."""
    if _given_up(message, signal.attempt):
        # Its outcome may have been told: as doubt, which this ends.
        return _sms_evidence(message, replace(signal, kind=Kind.SMS_FAILED), now)
    if not claimed(message, signal.attempt):
        return message
    message = drop(message, Do.SEND_SMS)
    again_at = signal.again_at
    if again_at and again_at > _gives_up_at(message, now):
        return _sms_evidence(message, replace(signal, kind=Kind.SMS_FAILED), now)
    message = change_attempt(
        message, signal.attempt, lambda attempt: replace(attempt, released=True)
    )
    return fall_back(message, now, not_before=again_at)


def _given_up(message: Message, number: int) -> bool:
    """Whether nothing but silence was heard of an attempt that counts as sent."""
    return any(
        attempt.number == number
        and attempt.state is Sms.UNCONFIRMED
        and attempt.queued_at is None
        for attempt in message.sms
    )


def _sms_unsent(message: Message, signal: Signal, now: datetime) -> Message:
    """The provider's own fault, after it had taken the SMS; it says: not sent."""
    told = message.announced is not Outcome.PENDING
    if (
        message.terms.policy is Policy.STRICT
        or len(message.sms) > 1
        or told
        or now > _gives_up_at(message, now)
    ):
        return _sms_evidence(message, replace(signal, kind=Kind.SMS_FAILED), now)
    message = drop(message, Do.SEND_SMS)
    return change_attempt(
        message,
        signal.attempt,
        lambda attempt: replace(
            attempt, released=True, code=signal.code, provider_id=signal.provider_id
        ),
    )


def _gives_up_at(message: Message, now: datetime) -> datetime:
    """Return the instant after which a text that never left is tried no more."""
    return (message.due_at or now) + message.terms.receipt_wait


def _cancel(message: Message, _signal: Signal, now: datetime) -> Message:
    return close(message, Closed.CANCELLED, now)


def _opt_out(message: Message, _signal: Signal, now: datetime) -> Message:
    if not message.request.traffic.needs_consent:
        return message
    message = close(message, Closed.OPTED_OUT, now)
    # The SMS of a HEDGE may be out there, but its RCS copy can still be called back.
    return message if message.closed else revoke_once(message, now)


def _acknowledge(message: Message, _signal: Signal, now: datetime) -> Message:
    if message.outcome is not Outcome.PENDING:
        return message
    return replace(
        message, closed=Closed.ACKNOWLEDGED, closed_at=now, rule="acknowledged"
    )


def _deadline_passed(message: Message, _signal: Signal, now: datetime) -> Message:
    if all_refused(message):
        # Throttled to the end: no copy was ever accepted.
        return with_rcs(message, Rcs.UNREACHABLE, now)
    return overdue(drop(message, Do.CREATE), now)


def _grace_over(message: Message, _signal: Signal, now: datetime) -> Message:
    return with_rcs(replace(message, late=True), Rcs.REVOKE_FAILED, now)


def _answer_lost(message: Message, signal: Signal, now: datetime) -> Message:
    if not claimed(message, signal.attempt):
        return message
    message = drop(message, Do.SEND_SMS)
    lost = 1 + sum(attempt.lost for attempt in message.sms)
    if message.terms.policy is Policy.STRICT or lost >= LOST_ANSWERS:
        return change_attempt(
            message,
            signal.attempt,
            lambda attempt: replace(attempt, state=Sms.UNCONFIRMED, at=now),
        )
    return change_attempt(
        message, signal.attempt, lambda attempt: replace(attempt, lost=True)
    )


def _done(message: Message, signal: Signal, _now: datetime) -> Message:
    for action in message.todo:
        if action.number == signal.number and action.do is Do.ARM:
            message = replace(message, wake_at=action.at)
    return tick(message, signal.number)


def _reply(message: Message, _signal: Signal, _now: datetime) -> Message:
    return message


def _deferred(message: Message, signal: Signal, _now: datetime) -> Message:
    return tick(message, signal.number)


FOLDS: Mapping[Kind, Fold] = {
    Kind.BEGIN: _begin,
    Kind.RCS_BYPASSED: _bypassed,
    Kind.CANCEL: _cancel,
    Kind.ACKNOWLEDGE: _acknowledge,
    Kind.OPT_OUT: _opt_out,
    **dict.fromkeys(RCS_EVIDENCE, _rcs_evidence),
    Kind.RCS_REFUSED: _refused,
    Kind.RCS_NOT_BEGUN: _not_created,
    Kind.RCS_THROTTLED: _not_created,
    Kind.RCS_UNANSWERED: _unanswered,
    Kind.RCS_REVOKE_UNANSWERED: _revoke_unanswered,
    Kind.SMS_CLAIM: _claim,
    **dict.fromkeys(SMS_EVIDENCE, _sms_evidence),
    Kind.SMS_UNANSWERED: _sms_unanswered,
    Kind.SMS_THROTTLED: _sms_not_sent,
    Kind.SMS_RELEASED: _sms_not_sent,
    Kind.SMS_UNSENT: _sms_unsent,
    Kind.DEADLINE_PASSED: _deadline_passed,
    Kind.GRACE_OVER: _grace_over,
    Kind.ANSWER_LOST: _answer_lost,
    **dict.fromkeys(REPLIES, _reply),
    Kind.DONE: _done,
    Kind.DEFERRED: _deferred,
}
