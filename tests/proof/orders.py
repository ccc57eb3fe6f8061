"""Every order of the same receipts, each with one of them twice.

The orders share their beginnings, so they are walked as a tree; what the tree's
leaves have in common is compared.
"""

from collections.abc import Iterator
from datetime import timedelta
from itertools import combinations
from typing import Any

from backstop.domain.lifecycle import advance
from backstop.domain.message import Contract, Message, Outcome, Policy, Rcs, Sms
from backstop.domain.signal import Kind, Signal
from domain.tale import START, Tale


def _receipt(number: int, kind: Kind, **fields: Any) -> Signal:
    """Each has an instant of its own, which has to survive in any order."""
    at = START + timedelta(seconds=number)
    return Signal(kind=kind, event=str(number), at=at, **fields)


RECEIPTS = (
    _receipt(1, Kind.RCS_DELIVERED),
    _receipt(2, Kind.RCS_READ),
    _receipt(3, Kind.RCS_EXPIRED),
    _receipt(4, Kind.RCS_EXPIRY_FAILED),
    _receipt(5, Kind.SMS_SENT, attempt=1),
    _receipt(6, Kind.SMS_DELIVERED, attempt=1, by="carrier"),
    _receipt(7, Kind.SMS_DOUBTED, attempt=1, code=9902),
    _receipt(8, Kind.SMS_FAILED, attempt=1, code=4720),
)
ARRIVED = {Kind.RCS_DELIVERED: Rcs.DELIVERED, Kind.RCS_READ: Rcs.READ}
OUTCOMES = {
    (True, True): Outcome.DELIVERED_BOTH,
    (True, False): Outcome.DELIVERED_RCS,
    (False, True): Outcome.DELIVERED_SMS,
}

Record = tuple[Any, ...]


def begun(policy: Policy, contract: Contract) -> Message:
    """Return a message on both legs, which any receipt may still be about."""
    if policy is Policy.HEDGE:
        tale = Tale(policy, contract).accepted()
    else:
        tale = Tale(policy, contract)
        tale.refused(clean=False)
        tale.hear(Kind.RCS_EXPIRED, event="0", at=START)
    tale.claim()
    tale.hear(Kind.SMS_QUEUED, attempt=1)
    return tale.message


def record(message: Message) -> Record:
    """Return what a reader of the record sees of the legs and the outcome."""
    return (
        # What we asked for in between is no receipt.
        tuple(sorted(i for i in message.rcs.items() if i[0] is not Rcs.REVOKING)),
        tuple((a.state, a.by, a.code, a.at) for a in message.sms),
        message.closed,
        message.outcome,
        message.announced,
        frozenset(entry.id for entry in message.history if entry.id),
    )


def contradicted(message: Message, receipts: tuple[Signal, ...]) -> bool:
    """Whether *message* says anything else of an arrival than it was told."""
    by_rcs = {ARRIVED[r.kind]: r.at for r in receipts if r.kind in ARRIVED}
    by_sms = [r.at for r in receipts if r.kind is Kind.SMS_DELIVERED]
    kept = {state: at for state, at in message.rcs.items() if state in by_rcs}
    texted = [a.at for a in message.sms if a.state is Sms.DELIVERED]
    wanted = OUTCOMES.get((bool(by_rcs), bool(by_sms)), message.outcome)
    return (kept, texted[:1], message.outcome) != (by_rcs, by_sms[:1], wanted)


def multisets(size: int) -> Iterator[tuple[Signal, ...]]:
    """Yield each choice of receipts, with each of them twice in turn."""
    for chosen in combinations(RECEIPTS, size):
        for twice in chosen:
            yield (*chosen, twice)


def ends(message: Message, receipts: tuple[Signal, ...]) -> tuple[set[Record], int]:
    """Return the records in which the orders end, and how many orders there are.

    One that does not say what the receipts said adds another.
    """
    return _ends(message, receipts, receipts)


def _ends(
    message: Message, left: tuple[Signal, ...], receipts: tuple[Signal, ...]
) -> tuple[set[Record], int]:
    if not left:
        wrong = {("contradicted",)} if contradicted(message, receipts) else set()
        return {record(message), *wrong}, 1
    found: set[Record] = set()
    orders = 0
    for following in dict.fromkeys(left):
        rest = list(left)
        rest.remove(following)
        after = advance(message, following, START).message
        records, count = _ends(after, tuple(rest), receipts)
        found |= records
        orders += count
    return found, orders
