"""When the SMS may leave: the decision table.

A row per policy, phase and state of the RCS leg. README.md prints it, and the
drawing there is made from it.
"""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from backstop.domain.message import OPEN, Contract, Message, Policy, Rcs


class Phase(StrEnum):
    """How far time has come for a message."""

    WAITING = "WAITING"
    OVERDUE = "OVERDUE"
    LATE = "LATE"


class Decision(Struct, frozen=True):
    """What follows from a state. `rule` is the word for it in `delivery.rule`."""

    rule: str
    revoke: bool = False
    sms: bool = False
    close: bool = False


WAIT = Decision("waiting_for_receipt")
CALL_BACK = Decision("deadline_passed", revoke=True)
WAIT_FOR_PROOF = Decision("waiting_for_proof")
CALLED_BACK = Decision("called_back", sms=True)
CANNOT_ARRIVE = Decision("rcs_cannot_arrive", sms=True)
ASKING_IS_ENOUGH = Decision("revocation_asked", revoke=True, sms=True)
GRACE_OVER = Decision("grace_over", revoke=True, sms=True)
NO_PROOF = Decision("no_proof", revoke=True, close=True)
HEDGE = Decision("hedge", sms=True)
HEDGE_OVER = Decision("hedge_deadline", revoke=True, sms=True)
NO_FALLBACK = Decision("no_fallback", revoke=True, close=True)
DONE = Decision("delivered")

Row = Mapping[Rcs, Decision]


def _row(
    unasked: Decision, asked: Decision, doubtful: Decision, proved: Decision
) -> Row:
    """One row: nothing asked yet, DELETE under way, inconclusive, withdrawn."""
    cannot = CANNOT_ARRIVE if proved.sms else proved
    return {
        Rcs.PENDING: unasked,
        Rcs.ACCEPTED: unasked,
        Rcs.REVOKING: asked,
        Rcs.REVOKE_FAILED: doubtful,
        Rcs.REVOKED: proved,
        Rcs.UNREACHABLE: cannot,
        Rcs.REJECTED: cannot,
        Rcs.DELIVERED: DONE,
        Rcs.READ: DONE,
    }


_WAITING = _row(WAIT, WAIT_FOR_PROOF, CALL_BACK, CALLED_BACK)

TABLE: Mapping[Policy, Mapping[Phase, Row]] = {
    Policy.PROMPT: {
        Phase.WAITING: _WAITING,
        Phase.OVERDUE: _row(CALL_BACK, WAIT_FOR_PROOF, ASKING_IS_ENOUGH, CALLED_BACK),
        Phase.LATE: _row(GRACE_OVER, GRACE_OVER, ASKING_IS_ENOUGH, CALLED_BACK),
    },
    Policy.CONFIRMED: {
        Phase.WAITING: _WAITING,
        Phase.OVERDUE: _row(CALL_BACK, WAIT_FOR_PROOF, CALL_BACK, CALLED_BACK),
        Phase.LATE: _row(GRACE_OVER, GRACE_OVER, GRACE_OVER, CALLED_BACK),
    },
    Policy.STRICT: {
        Phase.WAITING: _WAITING,
        Phase.OVERDUE: _row(CALL_BACK, WAIT_FOR_PROOF, CALL_BACK, CALLED_BACK),
        Phase.LATE: _row(NO_PROOF, NO_PROOF, NO_PROOF, CALLED_BACK),
    },
    Policy.HEDGE: {
        Phase.WAITING: _row(HEDGE, HEDGE, HEDGE, CALLED_BACK),
        Phase.OVERDUE: _row(HEDGE_OVER, HEDGE_OVER, HEDGE_OVER, CALLED_BACK),
        Phase.LATE: _row(HEDGE_OVER, HEDGE_OVER, HEDGE_OVER, CALLED_BACK),
    },
    Policy.NONE: {
        Phase.WAITING: _row(WAIT, WAIT_FOR_PROOF, NO_FALLBACK, NO_FALLBACK),
        Phase.OVERDUE: _row(NO_FALLBACK, NO_FALLBACK, NO_FALLBACK, NO_FALLBACK),
        Phase.LATE: _row(NO_FALLBACK, NO_FALLBACK, NO_FALLBACK, NO_FALLBACK),
    },
}

# Rule 11: under this contract DELETE proves nothing, and may silence the
# expiry event, which is the only proof there is.
STRICT_UNDER_LEGACY: Mapping[Phase, Row] = {
    Phase.WAITING: _row(WAIT, WAIT_FOR_PROOF, WAIT_FOR_PROOF, CALLED_BACK),
    Phase.OVERDUE: _row(WAIT_FOR_PROOF, WAIT_FOR_PROOF, WAIT_FOR_PROOF, CALLED_BACK),
    Phase.LATE: TABLE[Policy.STRICT][Phase.LATE],
}


def awaits_expiry(message: Message) -> bool:
    """Whether only RBM's own expiry event could prove a withdrawal."""
    terms = message.terms
    return terms.policy is Policy.STRICT and terms.contract is Contract.LEGACY


def rows(policy: Policy, contract: Contract) -> Mapping[Phase, Row]:
    if policy is Policy.STRICT and contract is Contract.LEGACY:
        return STRICT_UNDER_LEGACY
    return TABLE[policy]


def phase(message: Message) -> Phase:
    if message.late:
        return Phase.LATE
    return Phase.OVERDUE if message.overdue_at else Phase.WAITING


def decision(message: Message, *, at: Phase | None = None) -> Decision:
    """Return what the table says of *message*, now or as if in phase *at*."""
    table = rows(message.terms.policy, message.terms.contract)
    return table[at or phase(message)][message.rcs_state]


def grace_matters(message: Message) -> bool:
    """Whether the end of the grace period would change anything."""
    if message.rcs_state not in OPEN:
        return False
    if message.rcs_state.rank < Rcs.REVOKE_FAILED.rank:
        return True
    return decision(message) != decision(message, at=Phase.LATE)
