"""The life of one message, from accepted to its outcome.

Theory of operation
-------------------
A message has two legs and one deadline. RCS goes first. If the phone has not
confirmed it by the deadline, RBM is asked to withdraw it, and the SMS leaves
when the message's policy says that enough is known.

*Evidence, not position.* A leg is the set of all that was ever said about it
and its state is the strongest of that, so it only climbs and the order in
which receipts arrive cannot matter. DELIVERED beats everything. A refusal
(UNREACHABLE, REJECTED) counts only when every create that was ever begun was
answered by one: an unanswered create may have been accepted.

*Three stored facts, one derived outcome.* The RCS leg, the SMS attempts and
`closed` are stored; the outcome is a function of them. What was published of
it is corrected only upward, under a new revision.

*Save, then act.* A step returns the new message together with its unfinished
actions in `todo`; the caller saves both in one commit and only then acts. A
crash leaves the actions in the record, and the trigger that was not
acknowledged comes back as RING or REPEAT and is told to do them again. That
is harmless for everything but the SMS request, which has no key anywhere in
the industry: an attempt is a claim, made by a commit and sent only by whoever
made it. Whoever else finds it treats its answer as unknown (rule 1).

*Time is a signal.* Nothing here reads a clock. `agenda` says what time will
do to a message and when; the earliest of that is the one timer it needs. A
ring turns whatever is due into signals (`due`).

*Old news is no error.* A signal that means nothing where the message stands
changes nothing but its history.

`policy.py` holds the table of decisions; here are the evidence that each
signal adds, the order of the steps, and what time does.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from backstop.domain import policy
from backstop.domain.message import (
    ARRIVED,
    OPEN,
    Action,
    Attempt,
    Closed,
    Do,
    Entry,
    Message,
    Outcome,
    Policy,
    Rcs,
    Sms,
)
from backstop.domain.signal import Kind, Signal

CLAIM_LIFE = timedelta(seconds=10)
"""No SMS request starts later than this after its claim (rule 2)."""

FIRST_RETRY = timedelta(seconds=10)
"""When the watch takes up an action that a crash left behind."""

LOST_ANSWERS = 2
"""No third SMS request after this many whose answer was lost (rule 2)."""


@dataclass(frozen=True)
class Step:
    """A message after a signal, and what to do now that it is saved."""

    message: Message
    actions: tuple[Action, ...] = ()


def advance(message: Message, signal: Signal, now: datetime) -> Step:
    """Return the step that *signal* causes at *now*.

    Pure. A signal without meaning here returns the message as it is, or with
    one more line of history.
    """
    return advance_all(message, [signal], now)


def advance_all(message: Message, signals: Iterable[Signal], now: datetime) -> Step:
    """Return the step of several signals, one after the other, as one.

    The timer is planned once, from where they lead together.
    """
    before, asked = message, dict[int, None]()
    for signal in signals:
        step = _hear(message, signal, now)
        message = step.message
        asked |= dict.fromkeys(action.number for action in step.actions)
    message = _watch(message)
    asked |= dict.fromkeys(
        action.number for action in message.todo if action.number > before.actions
    )
    left = {action.number: action for action in message.todo}
    return Step(message, tuple(left[number] for number in asked if number in left))


def _hear(message: Message, signal: Signal, now: datetime) -> Step:
    """Fold one signal, and do what the table says of where that leads."""
    heard = any(signal.event and entry.id == signal.event for entry in message.history)
    if signal.kind is Kind.RING:
        step = _again(_begin_again(_without_timers(message, now), now), now)
    elif heard or _is_said_again(message, signal):
        step = _again(_look_after_create(message, now), now)
    else:
        step = Step(FOLDS[signal.kind](message, signal, now))
    after = _announce(_decide(_forget_moot(step.message), now), now)
    news = signal.event or (signal.kind not in SILENT and after != message)
    if news and not heard:
        after = _remember(after, signal, now)
    return Step(after, step.actions)


# What each signal adds ------------------------------------------------------

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

SILENT = frozenset({Kind.REPEAT, Kind.RING, Kind.DONE, Kind.DEFERRED})
"""Signals that are no news of the message."""

TEDIOUS = frozenset(
    {
        Kind.RCS_UNANSWERED,
        Kind.RCS_THROTTLED,
        Kind.RCS_REVOKE_UNANSWERED,
        Kind.SMS_THROTTLED,
    }
)
"""Signals that an outage repeats: the history keeps the first."""


def _begin(message: Message, _signal: Signal, _now: datetime) -> Message:
    return _create(message)


def _rcs_evidence(message: Message, signal: Signal, now: datetime) -> Message:
    at = signal.at or now
    message = _with_rcs(message, RCS_EVIDENCE[signal.kind], at)
    if signal.kind in {Kind.RCS_EXPIRED, Kind.RCS_EXPIRY_FAILED}:
        message = _overdue(message, now)
    message = _tick(message, signal.number)
    if signal.kind is Kind.RCS_ACCEPTED:
        message = _drop(message, Do.CREATE)
        if Rcs.REVOKING in message.rcs or message.closed:
            # Rule 8: whatever DELETE met before, this copy is newer.
            message = _revoke(_drop(message, Do.REVOKE), now)
    return message


def _refused(message: Message, signal: Signal, now: datetime) -> Message:
    if signal.clean:
        message = _count_refusal(message, signal.attempt)
    message = _drop(message, Do.CREATE)
    if _all_refused(message):
        return _with_rcs(message, signal.refusal, now)
    if policy.awaits_expiry(message):
        return message
    # Rule 7: an earlier create was not answered, so a copy may be out there.
    return _overdue(message, now)


def _throttled(message: Message, signal: Signal, _now: datetime) -> Message:
    if signal.clean:
        message = _count_refusal(message, signal.attempt)
    return _postpone(message, signal)


def _postpone(message: Message, signal: Signal) -> Message:
    return _amend(message, signal.number, again_at=signal.again_at)


def _unanswered(message: Message, signal: Signal, _now: datetime) -> Message:
    return _postpone(message, signal)


def _revoke_unanswered(message: Message, signal: Signal, now: datetime) -> Message:
    message = _postpone(message, signal)
    if message.terms.policy is Policy.PROMPT and message.overdue_at:
        # Rule 10: asking is enough; the DELETE is repeated beside the SMS.
        return _with_rcs(message, Rcs.REVOKE_FAILED, now)
    return message


def _claim(message: Message, _signal: Signal, now: datetime) -> Message:
    due = message.unfinished(Do.FALL_BACK)
    if not due or (due[0].at and due[0].at > now):
        return message
    number = len(message.sms) + 1
    attempt = Attempt(number=number, state=Sms.CLAIMED, claimed_at=now, at=now)
    message = replace(_drop(message, Do.FALL_BACK), sms=(*message.sms, attempt))
    return _add(message, Do.SEND_SMS, attempt=number)


def _sms_evidence(message: Message, signal: Signal, now: datetime) -> Message:
    at = signal.at or now
    state = SMS_EVIDENCE[signal.kind]
    message = _drop_request(message, signal.attempt)

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
            by=(signal.by or attempt.by) if climbs else attempt.by,
            code=(signal.code or attempt.code) if climbs else attempt.code,
            lost=False,
        )

    message = _change_attempt(message, signal.attempt, fold)
    if (
        signal.kind is Kind.SMS_DELIVERED
        and signal.by == "handset"
        and message.terms.policy is Policy.HEDGE
    ):
        # Rule 12: a carrier's "delivered" would not be enough for this.
        return _revoke_once(message, now)
    return message


def _sms_unanswered(message: Message, signal: Signal, _now: datetime) -> Message:
    return _drop_request(message, signal.attempt)


def _sms_not_sent(message: Message, signal: Signal, now: datetime) -> Message:
    """Known not to have been sent: try again, but not for ever (rule 3)."""
    if not _claimed(message, signal.attempt):
        return message
    message = _drop_request(message, signal.attempt)
    over = (message.due_at or now) + message.terms.receipt_wait
    if signal.kind is Kind.SMS_THROTTLED and (signal.again_at or now) > over:
        return _sms_evidence(message, replace(signal, kind=Kind.SMS_FAILED), now)
    message = _change_attempt(
        message, signal.attempt, lambda attempt: replace(attempt, released=True)
    )
    if signal.again_at and policy.decision(message).sms and message.closed is None:
        return _fall_back(message, now, not_before=signal.again_at)
    return message


def _sms_unsent(message: Message, signal: Signal, now: datetime) -> Message:
    """The provider's own fault, after it had taken the SMS; it says: not sent."""
    over = (message.due_at or now) + message.terms.receipt_wait
    told = message.announced is not Outcome.PENDING
    if (
        message.terms.policy is Policy.STRICT
        or len(message.sms) > 1
        or told
        or (now > over)
    ):
        return _sms_evidence(message, replace(signal, kind=Kind.SMS_FAILED), now)
    message = _drop_request(message, signal.attempt)
    return _change_attempt(
        message,
        signal.attempt,
        lambda attempt: replace(
            attempt, released=True, code=signal.code, provider_id=signal.provider_id
        ),
    )


def _cancel(message: Message, _signal: Signal, now: datetime) -> Message:
    return _close(message, Closed.CANCELLED, now)


def _opt_out(message: Message, _signal: Signal, now: datetime) -> Message:
    if not message.request.traffic.needs_consent:
        return message
    return _close(message, Closed.OPTED_OUT, now)


def _acknowledge(message: Message, _signal: Signal, now: datetime) -> Message:
    if message.closed or message.outcome is not Outcome.PENDING:
        return message
    return replace(
        message, closed=Closed.ACKNOWLEDGED, closed_at=now, rule="acknowledged"
    )


def _deadline_passed(message: Message, _signal: Signal, now: datetime) -> Message:
    if message.overdue_at or message.rcs_state not in OPEN:
        return message
    if _all_refused(message):
        # Throttled to the end: no copy was ever accepted.
        return _with_rcs(message, Rcs.UNREACHABLE, now)
    return _overdue(_drop(message, Do.CREATE), now)


def _grace_over(message: Message, _signal: Signal, now: datetime) -> Message:
    if message.late or not policy.grace_matters(message):
        return message
    return _with_rcs(replace(message, late=True), Rcs.REVOKE_FAILED, now)


def _answer_lost(message: Message, signal: Signal, now: datetime) -> Message:
    if not _claimed(message, signal.attempt):
        return message
    message = _drop_request(message, signal.attempt)
    lost = 1 + sum(attempt.lost for attempt in message.sms)
    if message.terms.policy is Policy.STRICT or lost >= LOST_ANSWERS:
        return _change_attempt(
            message,
            signal.attempt,
            lambda attempt: replace(attempt, state=Sms.UNCONFIRMED, at=now),
        )
    return _change_attempt(
        message, signal.attempt, lambda attempt: replace(attempt, lost=True)
    )


def _done(message: Message, signal: Signal, _now: datetime) -> Message:
    for action in message.todo:
        if action.number == signal.number and action.do is Do.ARM:
            message = replace(message, wake_at=action.at)
    return _tick(message, signal.number)


def _deferred(message: Message, signal: Signal, _now: datetime) -> Message:
    return _tick(message, signal.number)


FOLDS: Mapping[Kind, Fold] = {
    Kind.BEGIN: _begin,
    Kind.CANCEL: _cancel,
    Kind.ACKNOWLEDGE: _acknowledge,
    Kind.OPT_OUT: _opt_out,
    **dict.fromkeys(RCS_EVIDENCE, _rcs_evidence),
    Kind.RCS_REFUSED: _refused,
    Kind.RCS_THROTTLED: _throttled,
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
    Kind.DONE: _done,
    Kind.DEFERRED: _deferred,
}


# What follows ----------------------------------------------------------------


def _forget_moot(message: Message) -> Message:
    """Drop what has no object any more."""
    moot: set[Do] = set()
    if message.closed or message.rcs_state.rank >= Rcs.REVOKED.rank:
        moot |= {Do.CREATE}
    if message.rcs_state.rank >= Rcs.REVOKED.rank:
        moot |= {Do.REVOKE}
    claimed = any(attempt.live and not attempt.lost for attempt in message.sms)
    if message.closed or claimed or message.rcs_state in ARRIVED:
        moot |= {Do.FALL_BACK}
    return _drop(message, *moot) if moot else message


def _decide(message: Message, now: datetime) -> Message:
    """Do what the table says of the state that the evidence adds up to."""
    if message.rcs_state in ARRIVED:
        texted = any(attempt.live for attempt in message.sms)
        return message if texted else replace(message, rule=policy.DONE.rule)
    if message.closed:
        return _revoke_once(message, now)
    decision = policy.decision(message)
    if decision.close and not message.sms:
        reason = (
            Closed.NO_FALLBACK
            if message.terms.policy is Policy.NONE
            else Closed.GRACE_OVER
        )
        message = replace(message, closed=reason, closed_at=now, rule=decision.rule)
        return _revoke_once(_drop(message, Do.CREATE), now)
    if decision.revoke:
        message = _revoke_once(message, now)
    if decision.sms and _wants_sms(message):
        message = _fall_back(message, now)
    if message.outcome is Outcome.PENDING:
        message = replace(message, rule=decision.rule)
    return message


def _announce(message: Message, now: datetime) -> Message:
    """Publish an outcome that is new, or better than the published one."""
    outcome = message.outcome
    if outcome.rank <= message.announced.rank:
        return message
    revision = message.revision + 1
    message = replace(message, announced=outcome, announced_at=now, revision=revision)
    return _add(message, Do.PUBLISH, attempt=revision, outcome=outcome)


def _watch(message: Message) -> Message:
    """Keep one timer armed for the earliest thing that time will do."""
    armed = [action.at for action in message.unfinished(Do.ARM) if action.at]
    if message.wake_at:
        armed.append(message.wake_at)
    due = min((at for at, _signal in agenda(message)), default=None)
    if due is None:
        message = replace(_drop(message, Do.ARM), wake_at=None)
        for at in armed:
            message = _add(message, Do.DISARM, at=at)
        return message
    if armed and min(armed) <= due:
        return message
    return _add(_drop(message, Do.ARM), Do.ARM, at=due)


# What time does --------------------------------------------------------------


def agenda(message: Message) -> Iterator[tuple[datetime, Signal]]:
    """Yield what time will do to *message*, and when. Unordered."""
    terms = message.terms
    pending = message.outcome is Outcome.PENDING
    waiting = not message.overdue_at and not message.closed
    hedged = terms.policy is Policy.HEDGE
    if waiting and message.rcs_state in OPEN and (pending or hedged):
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
    if since and not message.late and policy.grace_matters(message):
        yield since + terms.grace, Signal(kind=Kind.GRACE_OVER)
    for action in message.unfinished(Do.CREATE, Do.FALL_BACK):
        again_at = action.at or action.again_at
        if again_at and not (action.do is Do.CREATE and again_at >= terms.deadline):
            yield again_at, Signal(kind=Kind.REPEAT, number=action.number)
    for attempt in message.sms:
        signal = Signal(kind=Kind.ANSWER_LOST, attempt=attempt.number)
        if _claimed(message, attempt.number) and not attempt.lost:
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


# Small steps -----------------------------------------------------------------


def _is_said_again(message: Message, signal: Signal) -> bool:
    """Whether the trigger was here before and may have died half-way."""
    words = {Kind.CANCEL, Kind.ACKNOWLEDGE, Kind.OPT_OUT}
    return signal.kind is Kind.REPEAT or (
        message.closed is not None and signal.kind in words
    )


def _again(message: Message, now: datetime) -> Step:
    """Ask once more for what is unfinished, the SMS request excepted (rule 1)."""
    actions = tuple(
        action
        for action in message.todo
        if action.do not in {Do.SEND_SMS, Do.CREATE}
        and not (action.do is Do.FALL_BACK and action.at and action.at > now)
    )
    return Step(message, actions)


def _begin_again(message: Message, now: datetime) -> Message:
    """Begin another create in place of one that was not answered."""
    if not message.unfinished(Do.CREATE):
        return message
    message = _drop(message, Do.CREATE)
    # Rule 8: no create starts after `expireTime`.
    return _create(message) if now < message.terms.deadline else message


def _look_after_create(message: Message, now: datetime) -> Message:
    """Let the watch see to a create that may be under way, or may have died."""
    for action in message.unfinished(Do.CREATE):
        if action.again_at is None:
            message = _amend(message, action.number, again_at=now + FIRST_RETRY)
    return message


def _without_timers(message: Message, now: datetime) -> Message:
    """A timer rang: plan anew, from what the record says is due (rules 4, 5)."""
    message = _drop(message, Do.ARM)
    for action in message.unfinished(Do.FALL_BACK):
        if action.at and action.at <= now:
            message = _amend(
                message,
                action.number,
                at=None,
                again_at=now + message.terms.lost_answer,
            )
        elif action.again_at and action.again_at <= now:
            message = _amend(
                message, action.number, again_at=now + message.terms.lost_answer
            )
    for action in message.unfinished(Do.REVOKE):
        if action.again_at and action.again_at <= now:
            message = _amend(message, action.number, again_at=now + FIRST_RETRY)
    return replace(message, wake_at=None)


def _add(
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


def _keep(message: Message, keep: Callable[[Action], bool]) -> Message:
    kept = tuple(action for action in message.todo if keep(action))
    return message if kept == message.todo else replace(message, todo=kept)


def _drop(message: Message, *kinds: Do) -> Message:
    return _keep(message, lambda action: action.do not in kinds)


def _tick(message: Message, number: int) -> Message:
    return _keep(message, lambda action: action.number != number)


def _drop_request(message: Message, attempt: int) -> Message:
    return _keep(
        message,
        lambda action: not (action.do is Do.SEND_SMS and action.attempt == attempt),
    )


def _amend(
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


def _create(message: Message) -> Message:
    number = message.creates + 1
    return _add(replace(message, creates=number), Do.CREATE, attempt=number)


def _revoke(message: Message, now: datetime) -> Message:
    message = _with_rcs(message, Rcs.REVOKING, now)
    return _add(message, Do.REVOKE, again_at=now + FIRST_RETRY)


def _revoke_once(message: Message, now: datetime) -> Message:
    if message.rcs_state in OPEN and Rcs.REVOKING not in message.rcs:
        return _revoke(message, now)
    return message


def _fall_back(
    message: Message, now: datetime, *, not_before: datetime | None = None
) -> Message:
    message = replace(message, due_at=message.due_at or now)
    return _add(
        message,
        Do.FALL_BACK,
        at=not_before,
        again_at=None if not_before else now + message.terms.lost_answer,
    )


def _wants_sms(message: Message) -> bool:
    if message.unfinished(Do.FALL_BACK):
        return False
    return all(attempt.lost or not attempt.live for attempt in message.sms)


def _close(message: Message, reason: Closed, now: datetime) -> Message:
    """Close before the claim; afterwards it is too late (rule 13)."""
    if message.closed or message.outcome is not Outcome.PENDING:
        return message
    if any(attempt.live for attempt in message.sms):
        return message
    return replace(message, closed=reason, closed_at=now, rule=reason.value.lower())


def _overdue(message: Message, now: datetime) -> Message:
    return replace(message, overdue_at=message.overdue_at or now)


def _with_rcs(message: Message, state: Rcs, at: datetime) -> Message:
    """Add evidence; of two times for the same, the earlier, whichever came first."""
    known = message.rcs.get(state)
    if known and known <= at:
        return message
    return replace(message, rcs={**message.rcs, state: at})


def _count_refusal(message: Message, attempt: int) -> Message:
    return replace(message, refused=tuple(sorted({*message.refused, attempt})))


def _all_refused(message: Message) -> bool:
    accepted = Rcs.ACCEPTED in message.rcs
    return (
        bool(message.creates)
        and len(message.refused) == message.creates
        and (not accepted)
    )


def _claimed(message: Message, number: int) -> bool:
    return any(
        attempt.number == number
        and attempt.state is Sms.CLAIMED
        and not attempt.released
        for attempt in message.sms
    )


def _change_attempt(
    message: Message, number: int, change: Callable[[Attempt], Attempt]
) -> Message:
    return replace(
        message,
        sms=tuple(
            change(attempt) if attempt.number == number else attempt
            for attempt in message.sms
        ),
    )


def _remember(message: Message, signal: Signal, now: datetime) -> Message:
    leg = signal.kind.value.partition(".")[0]
    entry = Entry(
        time=signal.at or now,
        type=signal.kind.value,
        leg=leg if leg in {"rcs", "sms"} else "",
        id=signal.event,
    )
    if signal.kind in TEDIOUS and any(
        known.type == entry.type for known in message.history
    ):
        return message
    return replace(message, history=(*message.history, entry))
