"""What holds in every state that can be reached, under every signal."""

from datetime import timedelta
from itertools import islice, permutations

import pytest

from backstop.domain import policy
from backstop.domain.agenda import agenda
from backstop.domain.evidence import FOLDS
from backstop.domain.lifecycle import Step, advance
from backstop.domain.message import (
    ARRIVED,
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
from domain.explore import explore
from domain.tale import START, Tale

CONFIGURATIONS = [
    (Policy.PROMPT, Contract.CONFIRMING, Traffic.AUTHENTICATION),
    (Policy.CONFIRMED, Contract.CONFIRMING, Traffic.UNSPECIFIED),
    (Policy.CONFIRMED, Contract.LEGACY, Traffic.TRANSACTION),
    (Policy.STRICT, Contract.CONFIRMING, Traffic.PROMOTION),
    (Policy.STRICT, Contract.LEGACY, Traffic.PROMOTION),
    (Policy.HEDGE, Contract.CONFIRMING, Traffic.TRANSACTION),
    (Policy.NONE, Contract.CONFIRMING, Traffic.PROMOTION),
]

STEPS = 8_000
"""Breadth first, so the shortest tales are all among them."""


@pytest.fixture(scope="module", params=CONFIGURATIONS, ids="-".join)
def steps(request: pytest.FixtureRequest) -> list[tuple[str, Message, Step]]:
    return list(islice(explore(*request.param), STEPS))


def test_legs_only_climb(steps):
    """No signal takes evidence away, lowers an attempt, or reopens a message."""
    for name, before, step in steps:
        after = step.message
        assert before.rcs.keys() <= after.rcs.keys(), name
        for old, new in zip(before.sms, after.sms, strict=False):
            assert new.state.rank >= old.state.rank, name
        assert before.closed is None or after.closed is before.closed, name


def test_outcomes_are_corrected_only_upward(steps):
    """What was published is never taken back, and each revision is new."""
    for name, before, step in steps:
        after = step.message
        assert after.announced.rank >= before.announced.rank, name
        assert after.announced.rank >= after.outcome.rank, name
        published = [a for a in step.actions if a.do is Do.PUBLISH]
        assert len({a.attempt for a in published}) == len(published), name


def test_while_there_is_no_outcome_there_is_a_timer(steps):
    """No state waits for something that never comes (promise 1)."""
    for name, _before, step in steps:
        message = step.message
        if message.outcome is Outcome.PENDING:
            earliest = min(at for at, _signal in agenda(message))
            armed = [a.at for a in message.unfinished(Do.ARM) if a.at]
            armed += [message.wake_at] if message.wake_at else []
            assert armed, name
            assert min(armed) <= earliest, name


def test_no_sms_after_a_known_delivery(steps):
    """A delivery that was recorded before the claim stops the SMS (promise 3)."""
    for name, before, step in steps:
        if before.rcs_state in ARRIVED:
            assert len(step.message.sms) == len(before.sms), name
            assert not step.message.unfinished(Do.FALL_BACK), name


def test_the_rcs_copy_is_called_back_first(steps):
    """Except under HEDGE no SMS is claimed before revocation was asked (promise 4)."""
    for name, before, step in steps:
        claimed = len(step.message.sms) > len(before.sms)
        if claimed and before.terms.policy is not Policy.HEDGE:
            asked = Rcs.REVOKING in before.rcs
            expired = before.rcs_state.rank >= Rcs.REVOKE_FAILED.rank
            assert asked or expired, name


def test_at_most_as_many_sms_as_the_policy_allows(steps):
    """STRICT one, the others two whose answer was lost (promise 5)."""
    for name, _before, step in steps:
        message = step.message
        possible = [a for a in message.sms if not a.released]
        assert len(possible) <= (1 if message.terms.policy is Policy.STRICT else 2), (
            name
        )
        if len(possible) > 1:
            assert possible[0].lost or possible[0].state is not Sms.CLAIMED, name


def test_only_a_claim_sends(steps):
    """SEND_SMS is asked for once, by the step that made the claim (rule 1)."""
    for name, before, step in steps:
        if any(action.do is Do.SEND_SMS for action in step.actions):
            assert len(step.message.sms) == len(before.sms) + 1, name


def test_a_closed_message_sends_nothing(steps):
    """Closed means closed, whatever is heard later."""
    for name, before, step in steps:
        if before.closed:
            assert len(step.message.sms) == len(before.sms), name


def test_every_signal_has_its_row():
    """The table of folds is total."""
    assert set(Kind) - {Kind.REPEAT, Kind.HANDED_OVER, Kind.RING} == set(FOLDS)


def test_every_state_has_its_decision():
    """The table of decisions is total, under both contracts."""
    for name in Policy:
        for contract in Contract:
            rows = policy.rows(name, contract)
            assert set(rows) == set(Phase)
            assert all(set(row) == set(Rcs) for row in rows.values())


def test_only_what_was_withdrawn_was_called_back():
    """The word for why the SMS left is the same under every policy that has one."""
    for name in set(Policy) - {Policy.NONE}:
        for contract in Contract:
            for row in policy.rows(name, contract).values():
                called_back = {
                    state for state in Rcs if row[state].rule == "called_back"
                }
                assert called_back == {Rcs.REVOKED}


def test_an_outcome_is_never_shown_lower_than_it_was_told():
    """A receipt for a lost attempt does not reopen what ended in doubt."""
    tale = Tale()
    tale.refused()
    tale.claim()
    tale.hear(Kind.SMS_UNANSWERED, attempt=1)
    while not tale.wants(Do.FALL_BACK):
        tale.ring()
    tale.claim()
    tale.hear(Kind.SMS_REFUSED, attempt=2)
    assert tale.outcome is Outcome.UNCONFIRMED

    tale.hear(Kind.SMS_SENT, attempt=1, event="late")
    tale.hear(Kind.ACKNOWLEDGE)

    assert tale.outcome is Outcome.UNCONFIRMED
    assert tale.message.closed is None


def test_a_repeated_event_asks_for_what_is_unfinished():
    """Its first coming may have died after the save."""
    tale = Tale().accepted()
    tale.hear(Kind.RCS_DELIVERED, event="e1")

    actions = tale.hear(Kind.RCS_DELIVERED, event="e1")
    assert Do.PUBLISH in {action.do for action in actions}


def test_a_carriers_clock_moves_no_wait():
    """A receipt from the far future is awaited no longer than any other."""
    tale = Tale()
    tale.refused()
    tale.claim()
    far = START.replace(year=9999)
    tale.hear(Kind.SMS_SENT, attempt=1, event="far", at=far)

    waits = [at for at, _signal in agenda(tale.message)]
    assert waits == [tale.now + tale.message.terms.receipt_wait]


def test_a_repeated_event_is_old_news():
    """The carrier's id is remembered with the effect of its event."""
    tale = Tale().accepted()
    tale.hear(Kind.RCS_DELIVERED, event="e1", at=START)
    once = tale.message
    tale.hear(Kind.RCS_DELIVERED, event="e1", at=START)

    assert tale.message == once


RECEIPTS = (
    Signal(kind=Kind.RCS_DELIVERED, event="1", at=START),
    Signal(kind=Kind.RCS_READ, event="2", at=START),
    Signal(kind=Kind.RCS_EXPIRED, event="3", at=START),
    Signal(kind=Kind.SMS_SENT, event="4", attempt=1, at=START),
    Signal(kind=Kind.SMS_DELIVERED, event="5", attempt=1, at=START, by="carrier"),
    Signal(kind=Kind.SMS_DOUBTED, event="6", attempt=1, at=START),
)


def test_the_order_of_receipts_does_not_matter():
    """All orders of the same receipts, each once more, end in the same legs."""
    tale = Tale(Policy.HEDGE).accepted()
    tale.claim()
    tale.hear(Kind.SMS_QUEUED, attempt=1)
    ends = set()
    for order in permutations(RECEIPTS):
        message = tale.message
        for signal in (*order, order[0]):
            message = advance(message, signal, START).message
        ends.add(
            (
                tuple(sorted(message.rcs.items())),
                message.sms[0].state,
                message.sms[0].by,
                message.outcome,
            )
        )

    assert len(ends) == 1


@pytest.mark.parametrize("first_heard", [0, 1])
def test_of_two_times_for_the_same_the_earlier_stands(first_heard: int):
    """A carrier's repeat under another id may come before what it repeats."""
    tale = Tale().accepted()
    times = [START + timedelta(seconds=1), START + timedelta(seconds=2)]
    for number in (first_heard, 1 - first_heard):
        tale.hear(Kind.RCS_DELIVERED, event=f"e{number}", at=times[number])

    assert tale.message.rcs[Rcs.DELIVERED] == times[0]


class TestBypassed:
    """A message that begins without RCS."""

    @pytest.mark.parametrize("policy", sorted(set(Policy) - {Policy.NONE}))
    def test_the_sms_is_due_at_once(self, policy: Policy):
        """RBM is asked for nothing, neither now nor by any later ring."""
        tale = Tale(policy, begin=Kind.RCS_BYPASSED)
        assert tale.rcs is Rcs.UNREACHABLE
        assert tale.message.rule == "rcs_cannot_arrive"
        assert tale.wants(Do.FALL_BACK)

        tale.ring()
        tale.claim()
        tale.hear(Kind.SMS_QUEUED, attempt=1)
        while tale.outcome is Outcome.PENDING:
            tale.ring()

        assert not tale.message.creates
        assert Rcs.REVOKING not in tale.message.rcs

    def test_the_history_says_so(self):
        """The app sees why its message never went by RCS."""
        tale = Tale(begin=Kind.RCS_BYPASSED)
        assert [entry.type for entry in tale.message.history] == ["rcs.bypassed"]

    def test_without_an_sms_it_has_failed(self):
        """Neither leg is left."""
        assert Tale(Policy.NONE, begin=Kind.RCS_BYPASSED).outcome is Outcome.FAILED

    def test_what_has_begun_is_not_bypassed(self):
        """A copy may be out there: that is no proof that it cannot arrive (rule 7)."""
        tale = Tale()
        before = tale.message
        tale.hear(Kind.RCS_BYPASSED)

        assert tale.message == before
