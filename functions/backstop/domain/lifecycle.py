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

`evidence.py` says what each signal adds, `policy.py` holds the table of
decisions, `agenda.py` what time does; here is the order in which they follow.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from backstop.domain import policy
from backstop.domain.agenda import agenda
from backstop.domain.evidence import FOLDS
from backstop.domain.message import (
    ARRIVED,
    Action,
    Closed,
    Do,
    Entry,
    Message,
    Outcome,
    Policy,
    Rcs,
)
from backstop.domain.signal import REPLIES, Kind, Signal
from backstop.domain.steps import (
    FIRST_RETRY,
    add,
    amend,
    create,
    drop,
    fall_back,
    revoke_once,
)

CLAIM_LIFE = timedelta(seconds=10)
"""No SMS request starts later than this after its claim (rule 2)."""

SILENT = frozenset(
    {
        *(Kind.REPEAT, Kind.HANDED_OVER, Kind.RING, Kind.DONE, Kind.DEFERRED),
        Kind.RCS_NOT_BEGUN,
    }
)
"""Signals that are no news of the message."""

REPEATED = frozenset(Do) - {Do.SEND_SMS, Do.CREATE}

TEDIOUS = frozenset(
    {
        Kind.RCS_UNANSWERED,
        Kind.RCS_THROTTLED,
        Kind.RCS_REVOKE_UNANSWERED,
        Kind.SMS_THROTTLED,
        Kind.RCS_TYPING,
    }
)
"""Signals that repeat themselves: the history keeps the first."""

REPLIES_KEPT = 100
"""Replies that one message's history keeps; the rest are published all the same."""


class Step(Struct, frozen=True):
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
    before, asked, deferred = message, dict[int, None](), False
    for signal in signals:
        deferred |= signal.kind is Kind.DEFERRED
        step = _hear(message, signal, now)
        message = step.message
        asked |= dict.fromkeys(action.number for action in step.actions)
    message = _watch(message)
    asked |= dict.fromkeys(
        action.number for action in message.todo if action.number > before.actions
    )
    left = {action.number: action for action in message.todo}
    doing = {left[number].do for number in asked if number in left}
    timers = message.unfinished(Do.ARM)
    if deferred:
        # Whoever wanted this timer instead may have died before it was armed.
        asked |= dict.fromkeys(action.number for action in timers)
    if Do.DISARM in doing or (deferred and not timers):
        # Whoever was to tell the outcome may have died: after this no timer asks.
        asked |= dict.fromkeys(a.number for a in message.unfinished(Do.PUBLISH))
    return Step(message, tuple(left[number] for number in asked if number in left))


def _hear(message: Message, signal: Signal, now: datetime) -> Step:
    """Fold one signal, and do what the table says of where that leads."""
    heard = any(signal.event and entry.id == signal.event for entry in message.history)
    if signal.kind is Kind.RING:
        message = _forget_moot(_without_timers(message, now))
        step = _again(_begin_again(message, now), now)
    elif signal.kind is Kind.HANDED_OVER:
        # Whoever handed over does the rest, and is called again if it died; so is
        # whoever is handed to, and has to tell what it had saved.
        step = _again(message, now, Do.FALL_BACK, Do.PUBLISH)
    elif heard or _is_said_again(message, signal):
        step = _again(_look_after(message, now), now)
    else:
        step = Step(FOLDS[signal.kind](message, signal, now))
    after = _announce(_decide(_forget_moot(step.message), now), now)
    news = signal.event or (signal.kind not in SILENT and after != message)
    if news and not heard:
        after = _remember(after, signal, now)
    return Step(after, step.actions)


def _forget_moot(message: Message) -> Message:
    """Drop what has no object any more."""
    moot: set[Do] = set()
    revoked = message.rcs_state.rank >= Rcs.REVOKED.rank
    if message.closed or revoked or Rcs.REVOKING in message.rcs:
        moot |= {Do.CREATE}
    if revoked:
        moot |= {Do.REVOKE}
    claimed = any(attempt.live and not attempt.lost for attempt in message.sms)
    if message.closed or claimed or message.rcs_state in ARRIVED:
        moot |= {Do.FALL_BACK}
    return drop(message, *moot) if moot else message


def _decide(message: Message, now: datetime) -> Message:
    """Do what the table says of the state that the evidence adds up to."""
    if message.rcs_state in ARRIVED:
        texted = any(attempt.live for attempt in message.sms)
        return message if texted else replace(message, rule=policy.DONE.rule)
    if message.closed:
        return revoke_once(message, now)
    decision = policy.decision(message)
    if decision.close:
        reason = (
            Closed.NO_FALLBACK
            if message.terms.policy is Policy.NONE
            else Closed.GRACE_OVER
        )
        message = replace(message, closed=reason, closed_at=now, rule=decision.rule)
        return revoke_once(drop(message, Do.CREATE), now)
    if decision.revoke:
        message = revoke_once(message, now)
    if decision.sms:
        message = fall_back(message, now)
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
    return add(message, Do.PUBLISH, attempt=revision, outcome=outcome)


def _watch(message: Message) -> Message:
    """Keep one timer armed for the earliest thing that time will do."""
    armed = message.armed
    due = min((at for at, _signal in agenda(message)), default=None)
    if due is None:
        message = replace(drop(message, Do.ARM), wake_at=None)
        for at in armed:
            message = add(message, Do.DISARM, at=at)
        return message
    if armed and min(armed) <= due:
        return message
    return add(drop(message, Do.ARM), Do.ARM, at=due)


def _is_said_again(message: Message, signal: Signal) -> bool:
    """Whether the trigger was here before and may have died half-way."""
    words = {Kind.CANCEL, Kind.ACKNOWLEDGE, Kind.OPT_OUT}
    return signal.kind is Kind.REPEAT or (
        message.closed is not None and signal.kind in words
    )


def _again(message: Message, now: datetime, *kinds: Do) -> Step:
    """Ask once more for what is unfinished, the SMS request excepted (rule 1)."""
    repeated = kinds or REPEATED
    actions = tuple(
        action
        for action in message.todo
        if action.do in repeated
        and not (action.do is Do.FALL_BACK and action.at and action.at > now)
    )
    return Step(message, actions)


def _begin_again(message: Message, now: datetime) -> Message:
    """Begin another create in place of one that was not answered."""
    if not message.unfinished(Do.CREATE):
        return message
    message = drop(message, Do.CREATE)
    # Rule 8: no create starts after `expireTime`, and none once all is well.
    wanted = now < message.terms.deadline and message.outcome is Outcome.PENDING
    return create(message) if wanted else message


def _look_after(message: Message, now: datetime) -> Message:
    """Let the watch see to a create that may be under way, or may have died.

    A first ring that is late may have come before the record, and not come back.
    """
    if message.wake_at and message.wake_at <= now:
        message = replace(message, wake_at=None)
    for action in message.unfinished(Do.CREATE):
        if action.again_at is None:
            message = amend(message, action.number, again_at=now + FIRST_RETRY)
    return message


def _without_timers(message: Message, now: datetime) -> Message:
    """A timer rang: plan anew, from what the record says is due (rules 4, 5)."""
    message = drop(message, Do.ARM)
    for action in message.unfinished(Do.FALL_BACK):
        due = action.at or action.again_at
        if due and due <= now:
            again_at = now + message.terms.lost_answer
            message = amend(message, action.number, again_at=again_at)
    for action in message.unfinished(Do.REVOKE):
        if action.again_at and action.again_at <= now:
            message = amend(message, action.number, again_at=now + FIRST_RETRY)
    return replace(message, wake_at=None)


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
    replies = [known for known in message.history if known.type in REPLIES]
    if signal.kind in REPLIES and len(replies) >= REPLIES_KEPT:
        return message
    return replace(message, history=(*message.history, entry))
