"""What came of the messages of this run, in numbers."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from backstop.domain.message import ARRIVED, Message, Outcome, Sms

FELL_BACK = frozenset({Outcome.DELIVERED_SMS, Outcome.DELIVERED_BOTH})


def numbers(messages: Sequence[Message]) -> dict[str, Any]:
    """Return shares of outcomes, and how long things took, in seconds.

    `reached` is from acceptance to the first word of a delivery; `lateness` from the
    deadline to the claim of the first SMS that waited for it. Each lists its values,
    smallest first.
    """
    outcomes = Counter(message.outcome for message in messages)
    ended = len(messages) - outcomes[Outcome.PENDING]
    texted = sum(bool(message.sms) for message in messages)
    return {
        "messages": len(messages),
        "outcomes": {outcome.value: outcomes[outcome] for outcome in Outcome},
        "ended": ended,
        "fellBack": sum(outcomes[outcome] for outcome in FELL_BACK),
        "texted": texted,
        "doubles": outcomes[Outcome.DELIVERED_BOTH],
        "reached": _spread(_reached(messages)),
        "lateness": _spread(_late(messages)),
    }


def _reached(messages: Iterable[Message]) -> Iterable[float]:
    for message in messages:
        first = min(arrivals(message), default=None)
        if first:
            yield (first - message.accepted_at).total_seconds()


def arrivals(message: Message) -> Iterable[datetime]:
    """Yield when it is said to have arrived, by whatever leg."""
    yield from (at for state, at in message.rcs.items() if state in ARRIVED)
    yield from (a.at for a in message.sms if a.state is Sms.DELIVERED)


def _late(messages: Iterable[Message]) -> Iterable[float]:
    for message in messages:
        if message.sms and message.overdue_at:
            yield (message.sms[0].claimed_at - message.terms.deadline).total_seconds()


def _spread(values: Iterable[float]) -> dict[str, Any]:
    ordered = sorted(round(max(value, 0.0), 3) for value in values)
    return {
        "count": len(ordered),
        "p50": percentile(ordered, 0.5),
        "p95": percentile(ordered, 0.95),
        "values": ordered,
    }


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """Return the smallest value that *share* of all do not exceed, None of none."""
    if not ordered:
        return None
    rank = -(-len(ordered) * share // 1)
    return ordered[max(int(rank), 1) - 1]
