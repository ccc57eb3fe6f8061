"""Every order of the same receipts, each with one of them twice.

The orders share their beginnings, so they are walked as a tree; what the tree's
leaves have in common is compared.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from backstop.domain.lifecycle import advance
from backstop.domain.message import Contract, Message, Policy, Rcs
from backstop.domain.signal import Kind, Signal
from domain.tale import START, Tale

RECEIPTS = (
    Signal(kind=Kind.RCS_DELIVERED, event="1", at=START),
    Signal(kind=Kind.RCS_READ, event="2", at=START),
    Signal(kind=Kind.RCS_EXPIRED, event="3", at=START),
    Signal(kind=Kind.RCS_EXPIRY_FAILED, event="4", at=START),
    Signal(kind=Kind.SMS_SENT, event="5", attempt=1, at=START),
    Signal(kind=Kind.SMS_DELIVERED, event="6", attempt=1, at=START, by="carrier"),
    Signal(kind=Kind.SMS_DOUBTED, event="7", attempt=1, at=START, code=9902),
    Signal(kind=Kind.SMS_FAILED, event="8", attempt=1, at=START, code=4720),
)

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


def multisets(size: int) -> Iterator[tuple[Signal, ...]]:
    """Yield each choice of receipts, with each of them twice in turn."""
    for chosen in combinations(RECEIPTS, size):
        for twice in chosen:
            yield (*chosen, twice)


def ends(message: Message, receipts: tuple[Signal, ...]) -> tuple[set[Record], int]:
    """Return the records in which the orders end, and how many orders there are."""
    if not receipts:
        return {record(message)}, 1
    found: set[Record] = set()
    orders = 0
    for following in dict.fromkeys(receipts):
        left = list(receipts)
        left.remove(following)
        after = advance(message, following, START).message
        records, count = ends(after, tuple(left))
        found |= records
        orders += count
    return found, orders
