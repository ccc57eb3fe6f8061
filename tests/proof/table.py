"""The table, explored: every state a message can reach, and the hole in it if any.

Breadth first, so that the first hole that is found has the shortest trace.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from backstop.domain import policy
from backstop.domain.agenda import agenda, due
from backstop.domain.lifecycle import Step, advance, advance_all
from backstop.domain.message import (
    OPEN,
    Closed,
    Contract,
    Do,
    Message,
    Outcome,
    Policy,
    Rcs,
    Sms,
    Traffic,
)
from backstop.domain.policy import Phase
from backstop.domain.signal import Kind, Signal
from domain.explore import (
    AGAIN_AT,
    BEGINNINGS,
    MOST_ATTEMPTS,
    MOST_CREATES,
    State,
    begin,
    signals,
    state,
)
from domain.tale import START

Configuration = tuple[Policy, Contract, Traffic]

CONFIGURATIONS: tuple[Configuration, ...] = (
    (Policy.PROMPT, Contract.CONFIRMING, Traffic.AUTHENTICATION),
    (Policy.PROMPT, Contract.LEGACY, Traffic.PROMOTION),
    (Policy.CONFIRMED, Contract.CONFIRMING, Traffic.UNSPECIFIED),
    (Policy.CONFIRMED, Contract.LEGACY, Traffic.TRANSACTION),
    (Policy.STRICT, Contract.CONFIRMING, Traffic.PROMOTION),
    (Policy.STRICT, Contract.LEGACY, Traffic.PROMOTION),
    (Policy.HEDGE, Contract.CONFIRMING, Traffic.TRANSACTION),
    (Policy.HEDGE, Contract.LEGACY, Traffic.PROMOTION),
    (Policy.NONE, Contract.CONFIRMING, Traffic.PROMOTION),
)


@dataclass(frozen=True)
class Edge:
    """One step: what happened, when, to what, and what came of it."""

    what: Signal | None
    now: datetime
    before: Message
    step: Step

    @property
    def after(self) -> Message:
        return self.step.message

    @property
    def kind(self) -> Kind:
        return self.what.kind if self.what else Kind.RING

    def __str__(self) -> str:
        signal = self.what
        if signal is None:
            return f"time passes to {self.now:%H:%M:%S}"
        about = f" of attempt {signal.attempt}" if signal.attempt else ""
        return signal.kind.value + about + ("" if signal.clean else ", after silence")

    def asked(self, do: Do) -> bool:
        return any(action.number > self.before.actions for action in self._new(do))

    def _new(self, do: Do) -> Iterator[object]:
        yield from (a for a in (*self.after.todo, *self.step.actions) if a.do is do)


@dataclass
class Found:
    """What an exploration came to; `whole` if no state was left to go on from."""

    states: int = 0
    steps: int = 0
    outcomes: set[str] = field(default_factory=set)
    claims: int = 0
    whole: bool = False
    hole: str = ""
    trace: list[str] = field(default_factory=list)


def explore(configuration: Configuration, most: int) -> Found:
    """Explore until a hole is found, everything is seen, or *most* states are."""
    ahead = deque(begin(*configuration, kind) for kind in BEGINNINGS)
    origin: dict[State, tuple[State, str] | None] = {state(m): None for m in ahead}
    found = Found()
    while ahead:
        before = ahead.popleft()
        found.states += 1
        if found.states > most:
            return found
        for edge in edges(before):
            found.steps += 1
            hole = next((why for why in _holes(edge) if why), "")
            if hole:
                found.hole = hole
                found.trace = [*_trace(origin, state(before)), str(edge)]
                return found
            after = edge.after
            found.outcomes.add(after.outcome.value)
            found.claims = max(found.claims, sum(not a.released for a in after.sms))
            known = state(after)
            small = after.creates <= MOST_CREATES and len(after.sms) <= MOST_ATTEMPTS
            if small and known not in origin:
                origin[known] = (state(before), str(edge))
                ahead.append(after)
    found.whole = True
    return found


def edges(message: Message) -> Iterator[Edge]:
    """Yield everything that may happen to *message* next."""
    for signal in signals(message):
        yield Edge(signal, START, message, advance(message, signal, START))
    # A ring may come at any time: early, or after its own when nothing more is due.
    ring, armed = Signal(kind=Kind.RING), _armed(message)
    for at in (START, message.terms.deadline):
        yield Edge(ring, at, armed, advance_all(armed, due(armed, at), at))
    times = sorted({at for at, _signal in agenda(message)})
    for at in times[:1]:
        yield Edge(None, at, message, advance_all(message, due(message, at), at))


def _armed(message: Message) -> Message:
    for timer in message.unfinished(Do.ARM):
        done = Signal(kind=Kind.DONE, number=timer.number)
        message = advance(message, done, START).message
    return message


def _trace(origin: Mapping[State, tuple[State, str] | None], last: State) -> list[str]:
    trace = []
    while (step := origin[last]) is not None:
        last, what = step
        trace.append(what)
    return trace[::-1]


def _holes(edge: Edge) -> Iterator[str]:
    for rule, check in RULES.items():
        if check(edge):
            yield f"rule {rule}: {(check.__doc__ or '').rstrip('.')}"
    if edge.after.outcome is Outcome.PENDING and not list(agenda(edge.after)):
        yield "a state without a way to an outcome"


def _repeats_the_sms(edge: Edge) -> bool:
    """An SMS is requested by someone who did not claim it."""
    sends = any(action.do is Do.SEND_SMS for action in edge.step.actions)
    return sends and len(edge.after.sms) == len(edge.before.sms)


def _claims_too_often(edge: Edge) -> bool:
    """One more SMS may be under way than the policy allows."""
    possible = [a for a in edge.after.sms if not a.released]
    under_way = [a for a in possible if a.state is Sms.CLAIMED and not a.lost]
    allowed = 1 if edge.before.terms.policy is Policy.STRICT else 2
    third = sum(a.lost for a in possible) >= allowed and edge.after.unfinished(
        Do.FALL_BACK
    )
    return len(possible) > allowed or len(under_way) > 1 or bool(third)


def _forgets_what_was_not_sent(edge: Edge) -> bool:
    """A request that was answered 429 is not tried again."""
    if edge.kind is not Kind.SMS_THROTTLED or edge.what is None:
        return False
    named = [a for a in edge.before.sms if a.number == edge.what.attempt]
    waiting = named and named[0].state is Sms.CLAIMED and not named[0].released
    if not waiting or named[0].lost or edge.now > AGAIN_AT:
        return False
    return not edge.after.sms[edge.what.attempt - 1].released


def _has_no_timer(edge: Edge) -> bool:
    """A message without an outcome has no timer for what time will do to it."""
    message = edge.after
    ahead = min((at for at, _signal in agenda(message)), default=None)
    if message.outcome is not Outcome.PENDING or ahead is None:
        return False
    armed = [a.at for a in message.unfinished(Do.ARM) if a.at]
    armed += [message.wake_at] if message.wake_at else []
    return not armed or min(armed) > ahead


def _is_silent_after_a_ring(edge: Edge) -> bool:
    """A ring came before its time, and none was armed in its place."""
    pending = edge.after.outcome is Outcome.PENDING
    rang = edge.kind is Kind.RING
    return rang and pending and not any(a.do is Do.ARM for a in edge.step.actions)


def _believes_one_refusal(edge: Edge) -> bool:
    """The message counts as impossible by RCS while a create is not answered."""
    impossible = edge.after.rcs_state in {Rcs.UNREACHABLE, Rcs.REJECTED}
    return impossible and len(edge.after.refused) < edge.after.creates


def _leaves_a_late_copy(edge: Edge) -> bool:
    """A copy was accepted after its revocation, and is not called back."""
    late = Rcs.REVOKING in edge.before.rcs or edge.before.closed is not None
    accepted = edge.kind is Kind.RCS_ACCEPTED
    open_still = edge.after.rcs_state in OPEN
    return late and accepted and open_still and not edge.after.unfinished(Do.REVOKE)


def _creates_what_has_expired(edge: Edge) -> bool:
    """A create begins after `expireTime`."""
    return edge.now >= edge.before.terms.deadline and edge.asked(Do.CREATE)


def _gives_up_the_create(edge: Edge) -> bool:
    """A create that was not answered is not repeated."""
    if edge.kind is not Kind.RCS_UNANSWERED or edge.what is None:
        return False
    left = edge.after.unfinished(Do.CREATE)
    mine = [a for a in left if a.number == edge.what.number]
    return bool(mine) and mine[0].again_at is None


def _lets_a_prompt_message_wait(edge: Edge) -> bool:
    """PROMPT: the DELETE was not answered, and the SMS is not due."""
    before, after = edge.before, edge.after
    if edge.kind is not Kind.RCS_REVOKE_UNANSWERED or before.closed:
        return False
    if before.terms.policy is not Policy.PROMPT or not before.overdue_at:
        return False
    return not (after.sms or after.unfinished(Do.FALL_BACK))


def _silences_the_proof(edge: Edge) -> bool:
    """STRICT under `legacy`: a DELETE before the grace period is over."""
    terms = edge.before.terms
    strict = terms.policy is Policy.STRICT and terms.contract is Contract.LEGACY
    waits = not edge.after.late and not edge.after.closed
    return strict and waits and edge.asked(Do.REVOKE)


def _believes_the_carrier(edge: Edge) -> bool:
    """HEDGE: RCS is revoked on a carrier's word, before the deadline."""
    hedged = edge.before.terms.policy is Policy.HEDGE
    waiting = policy.phase(edge.after) is Phase.WAITING and not edge.after.closed
    word = edge.kind is Kind.SMS_DELIVERED and edge.what and edge.what.by == "carrier"
    return bool(hedged and waiting and word and edge.asked(Do.REVOKE))


def _promises_too_much(edge: Edge) -> bool:
    """A cancel is honoured although an SMS was claimed."""
    closes = edge.after.closed is Closed.CANCELLED and not edge.before.closed
    return closes and any(attempt.live for attempt in edge.before.sms)


def _ignores_an_opt_out(edge: Edge) -> bool:
    """An opt-out leaves an open promotion open."""
    before = edge.before
    if edge.kind is not Kind.OPT_OUT or not before.request.traffic.needs_consent:
        return False
    free = not any(attempt.live for attempt in before.sms)
    open_still = edge.after.closed is None and before.outcome is Outcome.PENDING
    return free and open_still


RULES: Mapping[str, Callable[[Edge], bool]] = {
    "1": _repeats_the_sms,
    "2": _claims_too_often,
    "3": _forgets_what_was_not_sent,
    "4": _has_no_timer,
    "5": _is_silent_after_a_ring,
    "7": _believes_one_refusal,
    "8": _leaves_a_late_copy,
    "8, expiry": _creates_what_has_expired,
    "9": _gives_up_the_create,
    "10": _lets_a_prompt_message_wait,
    "11": _silences_the_proof,
    "12": _believes_the_carrier,
    "13": _promises_too_much,
    "14": _ignores_an_opt_out,
}
"""What each rule forbids; 6 and 15 live in the timers and in `accept`."""
