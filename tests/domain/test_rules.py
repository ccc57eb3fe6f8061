"""The rules that close the races, each with the hole that it closes.

Numbers are those of the README's list. Rules 5, 6, 9 and parts of 2 and 15
live where timers and records meet: tests/usecases/test_races.py.
"""

from datetime import timedelta

import pytest

from backstop.domain.agenda import agenda, due, next_up
from backstop.domain.lifecycle import advance_all
from backstop.domain.message import (
    Action,
    Closed,
    Contract,
    Do,
    Outcome,
    Policy,
    Rcs,
    Sms,
    Traffic,
)
from backstop.domain.signal import Kind, Signal
from domain.tale import START, Tale


def unreachable(policy: Policy = Policy.CONFIRMED) -> Tale:
    tale = Tale(policy)
    tale.refused()
    return tale


def unanswered() -> Tale:
    """Return one whose first SMS request was not answered, and a second is due."""
    tale = unreachable()
    tale.claim()
    tale.hear(Kind.SMS_UNANSWERED, attempt=1)
    while not tale.wants(Do.FALL_BACK):
        tale.ring()
    return tale


class TestRule1:
    """An SMS is never repeated because an unfinished action was found."""

    @pytest.mark.parametrize("kind", [Kind.REPEAT, Kind.RING])
    def test_a_claim_found_is_not_sent(self, kind: Kind):
        """Whoever finds a claim without an answer sends nothing."""
        tale = unreachable()
        tale.claim()

        actions = tale.hear(kind)

        assert tale.wants(Do.SEND_SMS)
        assert Do.SEND_SMS not in {action.do for action in actions}

    def test_a_second_worker_cannot_claim(self):
        """One commit claims; the next finds nothing to claim."""
        tale = unreachable()
        first = tale.claim()
        second = tale.claim()

        assert [action.do for action in first if action.do is Do.SEND_SMS]
        assert not second
        assert len(tale.message.sms) == 1

    def test_strict_ends_in_doubt(self):
        """Under STRICT a crash after the claim ends UNCONFIRMED, unsent."""
        tale = unreachable(Policy.STRICT)
        tale.claim()
        tale.ring()
        while tale.outcome is Outcome.PENDING:
            tale.ring()

        assert tale.outcome is Outcome.UNCONFIRMED
        assert len(tale.message.sms) == 1


class TestRule2:
    """A claim expires, and at most two answers may be lost."""

    def test_every_wait_is_longer_than_a_claim_and_its_request(self):
        """A claim that may still be used is never given up."""
        for policy in Policy:
            assert Tale(policy).message.terms.lost_answer > timedelta(seconds=20)

    def test_the_second_lost_answer_is_the_last(self):
        """Two requests without an answer, then doubt."""
        tale = unreachable()
        for _ in range(2):
            tale.claim()
            tale.hear(Kind.SMS_UNANSWERED, attempt=len(tale.message.sms))
            while tale.sms is Sms.CLAIMED and not tale.wants(Do.FALL_BACK):
                tale.ring()

        assert tale.outcome is Outcome.UNCONFIRMED
        assert not tale.wants(Do.FALL_BACK)
        assert len(tale.message.sms) == 2

    def test_a_receipt_leaves_the_untold_outcome_to_be_told(self):
        """An attempt and a revision may have one number; they are two things."""
        tale = unreachable()
        tale.claim()
        tale.hear(Kind.SMS_REFUSED, attempt=1)
        assert tale.wants(Do.PUBLISH)

        tale.hear(Kind.SMS_DELIVERED, attempt=1, event="late")

        revisions = [a.attempt for a in tale.message.unfinished(Do.PUBLISH)]
        assert revisions == [1, 2]

    def test_doubt_about_a_lost_attempt_ends_nothing_while_another_is_under_way(self):
        """What becomes of the second is still to be heard."""
        tale = unanswered()
        tale.claim()

        tale.hear(Kind.SMS_DOUBTED, attempt=1, event="doubt")

        assert tale.sms is Sms.CLAIMED
        assert tale.outcome is Outcome.PENDING

    def test_the_leg_is_as_far_as_its_furthest_attempt(self):
        """The first was heard of after the second was claimed."""
        tale = unanswered()
        tale.claim()

        tale.hear(Kind.SMS_SENT, attempt=1, event="e")

        assert tale.sms is Sms.SENT

    def test_no_receipt_is_awaited_for_a_lost_answer(self):
        """Nobody knows that it was ever taken; one may come all the same."""
        tale = unanswered()

        assert {signal.kind for _at, signal in agenda(tale.message)} == {Kind.REPEAT}

    def test_a_lost_answer_is_handed_over_once(self):
        """Whatever is heard before the next claim asks for nothing more."""
        tale = unanswered()

        assert tale.hear(Kind.RCS_TEXT, event="reply") == ()

    def test_a_receipt_claims_the_lost_attempt(self):
        """A receipt with the tag of the lost attempt stops the second one."""
        tale = unreachable()
        tale.claim()
        tale.hear(Kind.SMS_UNANSWERED, attempt=1)
        tale.ring()
        while not tale.wants(Do.FALL_BACK):
            tale.ring()

        tale.hear(Kind.SMS_SENT, attempt=1, event="e")

        assert not tale.wants(Do.FALL_BACK)
        assert tale.sms is Sms.SENT

    def test_a_claim_given_back_late_is_no_failure(self):
        """Nobody refused it: the next claim may still send."""
        tale = unreachable()
        tale.now += tale.message.terms.receipt_wait + timedelta(minutes=1)
        tale.claim()
        tale.hear(Kind.SMS_RELEASED, attempt=1)

        assert tale.sms is None
        assert tale.claim()

    def test_a_released_attempt_is_not_on_the_leg(self):
        """DELIVERED heard before the request leaves the SMS leg empty."""
        tale = unreachable()
        tale.claim()
        tale.hear(Kind.RCS_DELIVERED, event="late")
        tale.hear(Kind.SMS_RELEASED, attempt=1)

        assert tale.sms is None
        assert not tale.wants(Do.FALL_BACK)
        assert tale.outcome is Outcome.DELIVERED_RCS


class TestRule3:
    """A carrier's 4xx is known not sent."""

    def test_an_answer_about_another_attempt_leaves_the_claim(self):
        """A worker that stood still may be answered long after it was relieved."""
        tale = unreachable()
        tale.claim()
        again_at = tale.now + timedelta(seconds=30)
        tale.hear(Kind.SMS_THROTTLED, attempt=1, again_at=again_at)
        tale.arm()
        tale.ring(again_at)
        tale.claim()
        before = tale.message

        tale.hear(Kind.SMS_THROTTLED, attempt=1, again_at=tale.now)

        assert tale.message == before

    @pytest.mark.parametrize("late", [Kind.SMS_RELEASED, Kind.SMS_THROTTLED])
    def test_a_late_release_plans_no_try_beside_another(self, late):
        """Two of them: the one that may go waits for ever for the one that may not."""
        tale = unanswered()
        tale.claim()
        again_at = tale.now + timedelta(seconds=30)
        tale.hear(Kind.SMS_THROTTLED, attempt=2, again_at=again_at)

        tale.hear(late, attempt=1)

        (planned,) = tale.message.unfinished(Do.FALL_BACK)
        assert planned.at == again_at

    @pytest.mark.parametrize("late", [Kind.SMS_RELEASED, Kind.SMS_THROTTLED])
    def test_a_late_release_plans_no_try_beside_one_under_way(self, late):
        """What has been claimed since may well arrive."""
        tale = unanswered()
        tale.claim()

        tale.hear(late, attempt=1)

        assert not tale.wants(Do.FALL_BACK)

    def test_a_full_queue_is_tried_again(self):
        """429 releases the attempt, and the watch takes it up later."""
        tale = unreachable(Policy.STRICT)
        tale.claim()
        again_at = tale.now + timedelta(seconds=30)
        actions = tale.hear(Kind.SMS_THROTTLED, attempt=1, again_at=again_at)
        assert Do.SEND_SMS not in {a.do for a in actions}
        assert tale.claim() == ()

        tale.arm()
        tale.ring(again_at)
        waits = tale.message.terms.lost_answer
        assert tale.action(Do.FALL_BACK).again_at == tale.now + waits

        tale.claim()

        assert [attempt.live for attempt in tale.message.sms] == [False, True]

    def test_what_is_known_of_an_attempt_is_not_forgotten(self):
        """A receipt need not say again what the provider's answer said."""
        tale = unreachable()
        tale.claim()
        tale.hear(Kind.SMS_QUEUED, attempt=1, provider_id="theirs", segments=3)
        queued_at = tale.message.sms[0].queued_at
        tale.later(seconds=5)
        tale.hear(Kind.SMS_SENT, attempt=1, event="e", provider_id="other", segments=1)

        (attempt,) = tale.message.sms
        assert (attempt.provider_id, attempt.segments) == ("theirs", 3)
        assert attempt.queued_at == queued_at

    def test_of_two_receipts_that_say_the_same_the_first_explains_it(self):
        """The second adds nothing but its line."""
        tale = unreachable()
        tale.claim()
        for event, code in (("one", 4720), ("two", 4721)):
            tale.hear(Kind.SMS_FAILED, attempt=1, event=event, code=code)

        assert tale.message.sms[0].code == 4720

    def test_an_attempt_keeps_the_carriers_time(self):
        """When the phone had the text, not when we came to hear of it."""
        tale = unreachable()
        tale.claim()
        at = tale.now + timedelta(seconds=3)
        tale.later(minutes=1)
        tale.hear(Kind.SMS_DELIVERED, attempt=1, event="e", at=at)

        assert tale.message.sms[0].at == at
        assert tale.message.history[-1].time == at

    @pytest.mark.parametrize("kind", [Kind.REPEAT, Kind.HANDED_OVER, Kind.RING])
    def test_until_then_nobody_is_asked_to(self, kind: Kind):
        """A handover before its time would come round and round."""
        tale = unreachable()
        tale.claim()
        again_at = tale.now + timedelta(seconds=30)
        tale.hear(Kind.SMS_THROTTLED, attempt=1, again_at=again_at)

        assert Do.FALL_BACK not in {action.do for action in tale.hear(kind)}
        tale.later(seconds=30)
        assert Do.FALL_BACK in {action.do for action in tale.hear(kind)}
        assert tale.claim()

    def test_a_refusal_ends_the_leg(self):
        """Any other 4xx would come again."""
        tale = unreachable()
        tale.claim()
        tale.hear(Kind.SMS_REFUSED, attempt=1)

        assert tale.outcome is Outcome.FAILED
        assert list(agenda(tale.message)) == []

    @pytest.mark.parametrize(("beyond", "tried"), [(0, True), (1, False)], ids=str)
    def test_it_is_tried_as_long_as_a_receipt_is_awaited(
        self, beyond: int, tried: bool
    ):
        """Counted from when the SMS was due."""
        tale = unreachable()
        again_at = tale.now + tale.message.terms.receipt_wait
        tale.later(seconds=5)
        tale.claim()
        tale.hear(
            Kind.SMS_THROTTLED,
            attempt=1,
            again_at=again_at + timedelta(seconds=beyond),
        )

        assert tale.wants(Do.FALL_BACK) is tried

    def test_it_is_not_tried_for_ever(self):
        """A queue that stays full ends the leg."""
        tale = unreachable()
        for _ in range(40):
            if tale.outcome is not Outcome.PENDING:
                break
            tale.claim()
            tale.hear(
                Kind.SMS_THROTTLED,
                attempt=len(tale.message.sms),
                again_at=tale.now + timedelta(minutes=5),
            )
            tale.arm()
            tale.later(minutes=5)
            tale.ring(tale.now)

        assert tale.outcome is Outcome.FAILED


class TestUnsent:
    """A provider that took the SMS and then says it never left."""

    def test_it_is_tried_once_more(self):
        """Known not sent, so a second request is no second SMS."""
        tale = unreachable()
        tale.claim()
        tale.hear(Kind.SMS_QUEUED, attempt=1)
        tale.hear(Kind.SMS_UNSENT, attempt=1, code=5101)
        assert tale.wants(Do.FALL_BACK)
        tale.claim()
        tale.hear(Kind.SMS_QUEUED, attempt=2)
        tale.hear(Kind.SMS_UNSENT, attempt=2, code=5101)

        assert not tale.wants(Do.FALL_BACK)
        assert tale.outcome is Outcome.FAILED

    @pytest.mark.parametrize(("beyond", "tried"), [(0, True), (1, False)], ids=str)
    def test_it_is_tried_as_long_as_a_receipt_is_awaited(
        self, beyond: int, tried: bool
    ):
        """What the user waited for so long is news no more."""
        tale = unreachable()
        due_at = tale.now
        tale.later(seconds=5)
        tale.claim()
        tale.hear(Kind.SMS_QUEUED, attempt=1)
        tale.now = due_at + tale.message.terms.receipt_wait
        tale.later(seconds=beyond)
        tale.hear(Kind.SMS_UNSENT, attempt=1, code=5101)

        assert tale.wants(Do.FALL_BACK) is tried

    def test_a_receipt_is_believed_before_that_word(self):
        """What arrived was sent, whatever was said of it; another is not."""
        tale = unreachable()
        tale.claim()
        tale.hear(Kind.SMS_QUEUED, attempt=1)
        tale.hear(Kind.SMS_UNSENT, attempt=1, code=5101)
        tale.hear(Kind.SMS_DELIVERED, attempt=1, event="e", by="carrier")

        assert tale.outcome is Outcome.DELIVERED_SMS
        assert not tale.wants(Do.FALL_BACK)

    def test_no_receipt_is_awaited_for_it(self):
        """Only the next attempt's."""
        tale = unreachable()
        tale.claim()
        tale.hear(Kind.SMS_QUEUED, attempt=1)
        tale.hear(Kind.SMS_UNSENT, attempt=1, code=5101)

        kinds = {signal.kind for _at, signal in agenda(tale.message)}
        assert kinds == {Kind.REPEAT}

    def test_strict_takes_no_word_for_it(self):
        """One request, whatever is said of it later."""
        tale = unreachable(Policy.STRICT)
        tale.claim()
        tale.hear(Kind.SMS_QUEUED, attempt=1)
        tale.hear(Kind.SMS_UNSENT, attempt=1, code=5101)

        assert not tale.wants(Do.FALL_BACK)
        assert tale.outcome is Outcome.FAILED

    def test_after_an_outcome_it_is_only_told(self):
        """An old code is not sent days later."""
        tale = unreachable()
        tale.claim()
        tale.hear(Kind.SMS_QUEUED, attempt=1)
        while tale.outcome is Outcome.PENDING:
            tale.ring()
        tale.hear(Kind.SMS_UNSENT, attempt=1, code=5101)

        assert not tale.wants(Do.FALL_BACK)
        assert tale.outcome is Outcome.FAILED


class TestRule4:
    """One kind of timer; a ring arms the next while there is no outcome."""

    @pytest.mark.parametrize("policy", list(Policy))
    @pytest.mark.parametrize("contract", list(Contract))
    def test_there_is_always_a_timer(self, policy: Policy, contract: Contract):
        """Whatever never answers, time alone leads to an outcome."""
        tale = Tale(policy, contract).accepted()
        for _ in range(2000):
            if tale.wants(Do.FALL_BACK):
                tale.claim()
            if tale.outcome is not Outcome.PENDING:
                break
            assert tale.message.wake_at
            tale.ring()

        assert tale.outcome is not Outcome.PENDING

    def test_the_app_is_told_what_comes_next(self):
        """Of all that is ahead, the first."""
        tale = Tale().accepted()
        tale.ring()

        assert next_up(tale.message) == (
            tale.now + timedelta(seconds=10),
            "revoke_again",
        )

    def test_a_ring_redoes_what_is_unfinished(self):
        """A revocation that a crash left behind is asked for again."""
        tale = Tale().accepted()
        tale.ring()

        assert Do.REVOKE in {action.do for action in tale.ring()}

    def test_an_sms_that_nobody_took_is_handed_over_again_and_again(self):
        """Each time after the wait for a lost answer, and not in one storm."""
        tale = unreachable()
        for _ in range(2):
            tale.ring(tale.action(Do.FALL_BACK).again_at)
            again_at = tale.action(Do.FALL_BACK).again_at
            assert again_at == tale.now + tale.message.terms.lost_answer

    def test_a_delete_that_is_due_is_put_off_by_its_ring(self):
        """It is asked for now: the next ring is not at this very instant."""
        tale = Tale().accepted()
        tale.ring()
        tale.ring(tale.action(Do.REVOKE).again_at)

        again_at = tale.action(Do.REVOKE).again_at
        assert again_at == tale.now + timedelta(seconds=10)

    def test_a_ring_that_put_its_timer_off_arms_the_one_that_took_its_place(self):
        """Whoever planned that one may have died before it was armed."""
        tale = Tale().accepted()
        tale.now = tale.next_at()
        step = advance_all(tale.message, due(tale.message, tale.now), tale.now)
        tale.message = step.message
        (timer,) = tale.message.unfinished(Do.ARM)
        again_at = tale.now + timedelta(seconds=4)
        answer = Signal(
            kind=Kind.RCS_REVOKE_UNANSWERED,
            number=tale.action(Do.REVOKE).number,
            again_at=again_at,
        )
        put_off = Signal(kind=Kind.DEFERRED, number=timer.number)
        tale.message = advance_all(tale.message, [put_off, answer], tale.now).message

        actions = tale.hear(Kind.DEFERRED, number=timer.number)

        assert [a.at for a in actions if a.do is Do.ARM] == [again_at]

    def test_a_ring_that_arms_nothing_tells_what_another_left(self):
        """Its own timer was the last, and whoever ended the message may be dead."""
        tale = Tale(Policy.NONE).accepted()
        asked = tale.ring()
        (timer,) = (action for action in asked if action.do is Do.ARM)
        tale.deleted(Kind.RCS_REVOKE_FAILED)
        assert tale.outcome is Outcome.UNCONFIRMED

        actions = tale.hear(Kind.DEFERRED, number=timer.number)

        assert Do.PUBLISH in {action.do for action in actions}

    def test_a_repeat_arms_the_timer_that_a_crash_left(self):
        """Whoever planned it may have died before it was armed."""
        tale = Tale().accepted()
        tale.later(seconds=1)
        tale.ring(tale.now)
        step = advance_all(tale.message, due(tale.message, tale.now), tale.now)
        tale.message = step.message
        (timer,) = tale.message.unfinished(Do.ARM)

        assert timer in tale.hear(Kind.REPEAT)

    def test_whoever_takes_the_last_timer_away_tells_all_that_is_untold(self):
        """The one that ended the message before may have died; none asks again."""
        tale = Tale(Policy.HEDGE).accepted()
        tale.claim()
        tale.hear(Kind.SMS_QUEUED, attempt=1)
        tale.hear(Kind.SMS_DELIVERED, attempt=1, event="e", by="carrier")

        actions = tale.hear(Kind.RCS_DELIVERED, event="r")

        assert Do.DISARM in {action.do for action in actions}
        assert {a.attempt for a in actions if a.do is Do.PUBLISH} == {1, 2}

    def test_what_was_told_leaves_its_timer(self):
        """Only an armed timer is what the message is woken by."""
        tale = Tale(Policy.HEDGE).accepted()
        tale.claim()
        tale.hear(Kind.SMS_QUEUED, attempt=1)
        tale.hear(Kind.SMS_DELIVERED, attempt=1, event="e", by="carrier")
        wake_at = tale.message.wake_at

        tale.hear(Kind.DONE, number=tale.action(Do.PUBLISH).number)

        assert wake_at
        assert tale.message.wake_at == wake_at

    def test_while_a_timer_will_ask_nothing_is_told_twice(self):
        """Whoever ended the message tells; should it have died, the ring will."""
        tale = Tale(Policy.HEDGE).accepted()
        tale.claim()
        tale.hear(Kind.SMS_QUEUED, attempt=1)
        tale.hear(Kind.SMS_DELIVERED, attempt=1, event="e", by="handset")
        assert tale.wants(Do.PUBLISH)

        actions = tale.hear(Kind.DEFERRED)

        assert {action.do for action in actions} == {Do.ARM}

    def test_a_receipt_is_awaited_from_when_the_provider_took_the_text(self):
        """However long its answer took: the claim is no beginning of that wait."""
        tale = unreachable()
        tale.claim()
        tale.later(seconds=8)
        tale.hear(Kind.SMS_QUEUED, attempt=1)

        waits = [at for at, _signal in agenda(tale.message)]
        assert waits == [tale.now + tale.message.terms.receipt_wait]

    def test_the_grace_period_begins_once(self):
        """RBM's own expiry, heard behind the deadline, is no second one."""
        tale = Tale().accepted()
        tale.ring()
        grace_over = tale.now + tale.message.terms.grace
        tale.later(seconds=30)
        tale.hear(Kind.RCS_EXPIRY_FAILED, event="late")

        ahead = {signal.kind: at for at, signal in agenda(tale.message)}
        assert ahead[Kind.GRACE_OVER] == grace_over

    @pytest.mark.parametrize(
        ("policy", "waits"), [(Policy.CONFIRMED, True), (Policy.PROMPT, False)]
    )
    def test_the_grace_period_is_watched_where_its_end_decides(
        self, policy: Policy, waits: bool
    ):
        """PROMPT has texted by then, and has nothing to wait for."""
        tale = Tale(policy).accepted()
        tale.ring()
        tale.deleted(Kind.RCS_REVOKE_FAILED)

        kinds = {signal.kind for _at, signal in agenda(tale.message)}

        assert (Kind.GRACE_OVER in kinds) is waits


class TestRule5:
    """A ring before the record's next due time arms that time."""

    def test_an_early_ring_arms_again(self):
        """Nothing else would: its own timer is spent."""
        tale = Tale().accepted()
        due_at = tale.message.wake_at
        tale.later(seconds=1)

        actions = tale.ring(tale.now)

        assert [a.at for a in actions if a.do is Do.ARM] == [due_at]

    @pytest.mark.parametrize(("late", "timers"), [(True, 1), (False, 0)])
    def test_a_repeat_does_not_count_on_a_late_ring(self, late: bool, timers: int):
        """It may have come before the record, and been answered."""
        tale = Tale().accepted()
        wake_at = tale.message.wake_at
        assert wake_at
        tale.now = wake_at if late else wake_at - timedelta(microseconds=1)

        actions = tale.hear(Kind.REPEAT)

        assert [a.at for a in actions if a.do is Do.ARM] == [wake_at] * timers

    def test_an_early_ring_puts_nothing_off(self):
        """What is asked for again has its own time, whenever else it is asked for."""
        tale = Tale().accepted()
        tale.ring()
        again_at = tale.now + timedelta(seconds=15)
        tale.hear(
            Kind.RCS_REVOKE_UNANSWERED,
            number=tale.action(Do.REVOKE).number,
            again_at=again_at,
        )
        tale.later(seconds=14)

        tale.ring(tale.now)

        assert tale.action(Do.REVOKE).again_at == again_at


class TestRule7:
    """A refusal holds only if every create was refused."""

    @pytest.mark.parametrize(
        ("policy", "contract"),
        [
            (Policy.CONFIRMED, Contract.CONFIRMING),
            (Policy.CONFIRMED, Contract.LEGACY),
            (Policy.STRICT, Contract.CONFIRMING),
        ],
    )
    def test_a_refusal_after_silence_is_doubt(self, policy: Policy, contract: Contract):
        """An earlier create was not answered: that copy must be revoked."""
        tale = Tale(policy, contract)
        tale.refused(clean=False)

        assert tale.rcs is Rcs.REVOKING
        assert tale.wants(Do.REVOKE)
        assert not tale.wants(Do.FALL_BACK)

    def test_a_refusal_of_the_second_create_is_doubt(self):
        """The first one, found unfinished, may have been accepted."""
        tale = Tale()
        tale.ring(tale.now)
        tale.refused()

        assert tale.rcs is Rcs.REVOKING

    def test_every_create_refused_is_proof(self):
        """Once the first one's refusal is heard too, nothing can arrive."""
        tale = Tale()
        first = tale.action(Do.CREATE)
        tale.ring(tale.now)
        tale.refused()
        tale.hear(Kind.RCS_REFUSED, number=first.number, attempt=1)

        assert tale.rcs is Rcs.UNREACHABLE
        assert not tale.wants(Do.REVOKE)
        assert tale.wants(Do.FALL_BACK)

    def test_a_refusal_after_an_acceptance_is_doubt(self):
        """Whichever of the two is true: a copy may be out there."""
        tale = Tale().accepted()
        tale.hear(Kind.RCS_REFUSED, attempt=1)

        assert tale.rcs is Rcs.REVOKING

    def test_throttled_to_the_end_is_proof(self):
        """A create that was only ever answered 429 was never accepted."""
        tale = Tale()
        create = tale.action(Do.CREATE)
        tale.hear(
            Kind.RCS_THROTTLED,
            number=create.number,
            attempt=1,
            again_at=tale.message.terms.deadline,
        )
        tale.ring()

        assert tale.rcs is Rcs.UNREACHABLE
        assert tale.wants(Do.FALL_BACK)


class TestRule8:
    """ACCEPTED after a revocation asks again; no create after the expiry."""

    def test_acceptance_after_the_revocation_asks_again(self):
        """The 404 that DELETE met was older than the copy."""
        tale = Tale()
        tale.ring()
        tale.deleted(Kind.RCS_REVOKE_FAILED)
        assert not tale.wants(Do.REVOKE)

        tale.hear(Kind.RCS_ACCEPTED, attempt=1)

        assert tale.wants(Do.REVOKE)

    def test_acceptance_on_a_closed_message_asks_again(self):
        """A cancelled message whose create was under way is called back."""
        tale = Tale()
        tale.hear(Kind.CANCEL)
        tale.deleted(Kind.RCS_REVOKE_FAILED)
        tale.hear(Kind.RCS_ACCEPTED, attempt=1)

        assert tale.wants(Do.REVOKE)

    def test_an_old_answer_ticks_off_only_its_own(self):
        """The answer to the first DELETE leaves the second one to be done."""
        tale = Tale()
        tale.ring()
        first = tale.action(Do.REVOKE).number
        tale.hear(Kind.RCS_ACCEPTED, attempt=1)
        second = tale.action(Do.REVOKE).number
        tale.hear(Kind.RCS_REVOKE_FAILED, number=first)

        assert first != second
        assert tale.action(Do.REVOKE).number == second

    def test_no_copy_is_begun_of_what_has_expired(self):
        """RBM knew the message, whatever became of its answer."""
        tale = Tale()
        tale.hear(Kind.RCS_EXPIRED, event="proof")

        assert not tale.wants(Do.CREATE)

    def test_proof_ends_the_asking(self):
        """What RBM withdrew by itself is neither sent nor called back."""
        tale = Tale()
        tale.ring()
        tale.ring(tale.now)
        assert tale.wants(Do.REVOKE)

        tale.hear(Kind.RCS_EXPIRED, event="proof")

        assert not tale.wants(Do.REVOKE)

    def test_an_unanswered_delete_is_repeated(self):
        """The watch takes it up again."""
        tale = Tale().accepted()
        tale.ring()
        again_at = tale.now + timedelta(seconds=15)
        tale.hear(
            Kind.RCS_REVOKE_UNANSWERED,
            number=tale.action(Do.REVOKE).number,
            again_at=again_at,
        )

        assert again_at in {at for at, _signal in agenda(tale.message)}

    @pytest.mark.parametrize("word", [Kind.CANCEL, Kind.ACKNOWLEDGE, Kind.OPT_OUT])
    def test_a_copy_that_was_called_back_is_asked_for_until_its_expiry(
        self, word: Kind
    ):
        """An outcome that is told already does not end the revocation."""
        tale = Tale(traffic=Traffic.PROMOTION).accepted()
        tale.hear(word)
        for _ in range(5):
            again_at = tale.now + timedelta(seconds=90)
            tale.hear(
                Kind.RCS_REVOKE_UNANSWERED,
                number=tale.action(Do.REVOKE).number,
                again_at=again_at,
            )
            tale.arm()
            actions: tuple[Action, ...] = ()
            while Do.REVOKE not in {action.do for action in actions}:
                actions = tale.ring()

        assert tale.now < tale.message.terms.deadline

    def test_at_its_expiry_rbm_withdraws_a_copy_by_itself(self):
        """A DELETE at that instant would do nothing more."""
        tale = Tale(traffic=Traffic.TRANSACTION).accepted()
        tale.hear(Kind.ACKNOWLEDGE)
        tale.hear(
            Kind.RCS_REVOKE_UNANSWERED,
            number=tale.action(Do.REVOKE).number,
            again_at=tale.message.terms.deadline,
        )

        assert tale.outcome is Outcome.ACKNOWLEDGED
        assert not list(agenda(tale.message))

    @pytest.mark.parametrize("word", [Kind.CANCEL, Kind.ACKNOWLEDGE, Kind.OPT_OUT])
    def test_a_word_said_again_finishes_what_a_crash_left(self, word: Kind):
        """The trigger that died is the one that comes back."""
        tale = Tale(traffic=Traffic.PROMOTION).accepted()
        tale.hear(word)

        assert Do.REVOKE in {action.do for action in tale.hear(word)}

    def test_a_create_that_may_be_under_way_is_left_to_the_watch(self):
        """A parallel repeat begins no second create, and none is forgotten."""
        tale = Tale()
        assert Do.CREATE not in {action.do for action in tale.hear(Kind.REPEAT)}
        tale.arm()

        assert Do.CREATE in {action.do for action in tale.ring()}

    def test_a_ring_at_the_expiry_begins_no_create(self):
        """The one that was not answered is given up at that very instant."""
        tale = Tale()
        tale.hear(
            Kind.RCS_UNANSWERED,
            number=tale.action(Do.CREATE).number,
            again_at=tale.message.terms.deadline - timedelta(seconds=1),
        )
        tale.arm()

        actions = tale.ring(tale.message.terms.deadline)

        assert Do.CREATE not in {action.do for action in actions}

    def test_what_is_done_arms_no_other_timer(self):
        """Only the timer that was really armed is what the message waits for."""
        tale = Tale(Policy.NONE).accepted()
        tale.now = tale.next_at()
        step = advance_all(tale.message, due(tale.message, tale.now), tale.now)
        tale.message = step.message
        before = tale.message.wake_at

        tale.hear(Kind.DONE, number=tale.action(Do.REVOKE).number + 100)

        assert tale.wants(Do.ARM)
        assert tale.message.wake_at == before

    def test_no_create_after_the_expiry(self):
        """What begins after its expiry would be born expired."""
        tale = Tale()
        tale.now = tale.message.terms.deadline
        actions = tale.hear(Kind.REPEAT)

        assert Do.CREATE not in {action.do for action in actions}


class TestRule10:
    """PROMPT waits for the first answer to DELETE, or for its time-out."""

    @pytest.mark.parametrize(
        "kind",
        [Kind.RCS_REVOKED, Kind.RCS_REVOKE_FAILED, Kind.RCS_REVOKE_UNANSWERED],
    )
    def test_any_answer_is_enough(self, kind: Kind):
        """200, 404 or silence: the SMS is due."""
        tale = Tale(Policy.PROMPT).accepted()
        tale.ring()
        assert not tale.wants(Do.FALL_BACK)
        tale.deleted(kind)

        assert tale.wants(Do.FALL_BACK)

    def test_before_the_deadline_an_unanswered_delete_is_no_doubt_yet(self):
        """A cancelled message waits for no SMS; its copy is asked for again."""
        tale = Tale(Policy.PROMPT).accepted()
        tale.hear(Kind.CANCEL)
        tale.deleted(Kind.RCS_REVOKE_UNANSWERED)

        assert tale.rcs is Rcs.REVOKING

    def test_an_unanswered_delete_goes_on_beside_the_sms(self):
        """Asking was enough for the SMS, not for the copy."""
        tale = Tale(Policy.PROMPT).accepted()
        tale.ring()
        tale.deleted(Kind.RCS_REVOKE_UNANSWERED)

        assert tale.wants(Do.REVOKE)

    def test_whoever_takes_the_sms_over_does_nothing_else(self):
        """The DELETE is the ring's, which comes again should it have died."""
        tale = Tale(Policy.PROMPT).accepted()
        tale.ring()
        tale.deleted(Kind.RCS_REVOKE_UNANSWERED)

        actions = tale.hear(Kind.HANDED_OVER)

        assert {action.do for action in actions if action.do is not Do.ARM} == {
            Do.FALL_BACK
        }

    def test_expiry_counts_as_asking(self):
        """RBM's own failed revocation makes the SMS due at once."""
        tale = Tale(Policy.PROMPT).accepted()
        tale.hear(Kind.RCS_EXPIRY_FAILED, event="e")

        assert tale.wants(Do.FALL_BACK)
        assert tale.wants(Do.REVOKE)

    @pytest.mark.parametrize("policy", [Policy.CONFIRMED, Policy.STRICT])
    def test_the_others_wait_for_an_answer(self, policy: Policy):
        """An unanswered DELETE is no reason for an SMS before the grace is over."""
        tale = Tale(policy).accepted()
        tale.ring()
        tale.deleted(Kind.RCS_REVOKE_UNANSWERED)

        assert tale.rcs is Rcs.REVOKING
        assert not tale.wants(Do.FALL_BACK)


class TestRule11:
    """STRICT under the older contract does not DELETE before the grace ends."""

    def test_the_expiry_event_is_left_to_speak(self):
        """A DELETE would prove nothing and may silence the only proof."""
        tale = Tale(Policy.STRICT, Contract.LEGACY).accepted()
        assert tale.message.rule == "waiting_for_receipt"

        tale.ring()
        assert tale.message.rule == "waiting_for_proof"
        assert not tale.wants(Do.REVOKE)

        tale.hear(Kind.RCS_EXPIRED, event="proof")
        assert tale.wants(Do.FALL_BACK)

    def test_without_it_the_message_is_called_back_in_the_end(self):
        """After the grace period nothing can be silenced any more."""
        tale = Tale(Policy.STRICT, Contract.LEGACY).accepted()
        tale.ring()
        tale.ring()

        assert tale.message.closed is Closed.GRACE_OVER
        assert tale.wants(Do.REVOKE)
        assert tale.outcome is Outcome.UNCONFIRMED

    def test_a_doubtful_refusal_waits_for_the_expiry_event(self):
        """Only the event could prove that no copy is out there."""
        tale = Tale(Policy.STRICT, Contract.LEGACY)
        tale.refused(clean=False)
        assert tale.message.overdue_at is None

        tale.hear(Kind.RCS_EXPIRED, event="proof")
        assert tale.wants(Do.FALL_BACK)

    def test_proof_after_the_grace_sends_nothing(self):
        """It only turns doubt into failure."""
        tale = Tale(Policy.STRICT).accepted()
        tale.ring()
        tale.deleted(Kind.RCS_REVOKE_FAILED)
        while not tale.message.late:
            tale.ring()
        tale.hear(Kind.RCS_EXPIRED, event="late proof")

        assert not tale.wants(Do.FALL_BACK)
        assert tale.outcome is Outcome.FAILED


class TestRule12:
    """HEDGE revokes on a handset's receipt, else at the deadline."""

    def test_many_handset_receipts_ask_once(self):
        """Repeats of a receipt are no reason to ask again."""
        tale = Tale(Policy.HEDGE).accepted()
        tale.claim()
        for event in "abc":
            tale.hear(Kind.SMS_DELIVERED, attempt=1, event=event, by="handset")

        assert len(tale.message.unfinished(Do.REVOKE)) == 1

    @pytest.mark.parametrize(("by", "revokes"), [("handset", True), ("carrier", False)])
    def test_only_a_handset_is_believed(self, by: str, revokes: bool):
        """A carrier's "delivered" means that the carrier took it."""
        tale = Tale(Policy.HEDGE).accepted()
        tale.claim()
        tale.hear(Kind.SMS_QUEUED, attempt=1)
        tale.hear(Kind.SMS_DELIVERED, attempt=1, event="e", by=by)

        assert tale.wants(Do.REVOKE) is revokes

    @pytest.mark.parametrize("kind", [Kind.SMS_SENT, Kind.SMS_FAILED])
    def test_only_a_delivery_is_reason_enough(self, kind: Kind):
        """Whatever else a handset may say of the SMS, the copy may still be needed."""
        tale = Tale(Policy.HEDGE).accepted()
        tale.claim()
        tale.hear(Kind.SMS_QUEUED, attempt=1)
        tale.hear(kind, attempt=1, event="e", by="handset")

        assert not tale.wants(Do.REVOKE)

    @pytest.mark.parametrize("by", ["handset", "carrier"])
    def test_no_copy_is_begun_beside_a_delivery(self, by: str):
        """A create that was not answered is not repeated for what has arrived."""
        tale = Tale(Policy.HEDGE)
        create = tale.action(Do.CREATE)
        again_at = tale.now + timedelta(seconds=10)
        tale.hear(Kind.RCS_UNANSWERED, number=create.number, again_at=again_at)
        tale.claim()
        tale.hear(Kind.SMS_DELIVERED, attempt=1, event="e", by=by)

        actions = tale.ring(again_at)

        assert not any(action.do is Do.CREATE for action in actions)
        assert tale.message.creates == 1

    def test_no_copy_is_begun_beside_its_revocation(self):
        """Whether or not the message has its outcome."""
        tale = Tale(Policy.HEDGE, traffic=Traffic.PROMOTION)
        create = tale.action(Do.CREATE)
        again_at = tale.now + timedelta(seconds=10)
        tale.hear(Kind.RCS_UNANSWERED, number=create.number, again_at=again_at)
        tale.claim()
        tale.hear(Kind.SMS_QUEUED, attempt=1)
        tale.hear(Kind.OPT_OUT)

        actions = tale.ring(again_at)

        assert tale.outcome is Outcome.PENDING
        assert not any(action.do is Do.CREATE for action in actions)

    def test_the_deadline_revokes_what_is_left(self):
        """Even though the message has its outcome."""
        tale = Tale(Policy.HEDGE).accepted()
        tale.claim()
        tale.hear(Kind.SMS_QUEUED, attempt=1)
        tale.hear(Kind.SMS_DELIVERED, attempt=1, event="e", by="carrier")
        tale.arm()
        tale.ring()

        assert tale.wants(Do.REVOKE)


class TestRule13:
    """Cancel and acknowledge are honoured up to the claim."""

    def test_a_cancel_before_the_claim_stops_the_sms(self):
        """A handover under way finds nothing to claim."""
        tale = unreachable()
        tale.hear(Kind.CANCEL)

        assert not tale.claim()
        assert tale.outcome is Outcome.CANCELLED

    @pytest.mark.parametrize("word", [Kind.CANCEL, Kind.ACKNOWLEDGE, Kind.OPT_OUT])
    def test_what_has_its_outcome_is_not_closed(self, word: Kind):
        """Nothing is left to be stopped, and what is told says why."""
        tale = Tale(traffic=Traffic.PROMOTION).accepted()
        tale.hear(Kind.RCS_DELIVERED, event="e")

        tale.hear(word)

        assert tale.message.closed is None
        assert tale.message.rule == "delivered"

    def test_a_cancelled_message_has_no_deadline(self):
        """Only its proof is waited for, and no longer than the grace period."""
        tale = Tale().accepted()
        tale.hear(Kind.CANCEL)

        ahead = {(at, signal.kind) for at, signal in agenda(tale.message)}
        grace_over = tale.now + tale.message.terms.grace
        assert (grace_over, Kind.GRACE_OVER) in ahead
        assert Kind.DEADLINE_PASSED not in {kind for _at, kind in ahead}

    def test_a_cancel_while_a_full_queue_is_waited_for_stops_the_sms(self):
        """The attempt that was refused is known not to have left."""
        tale = unreachable()
        tale.claim()
        again_at = tale.now + timedelta(seconds=30)
        tale.hear(Kind.SMS_THROTTLED, attempt=1, again_at=again_at)
        tale.hear(Kind.CANCEL)

        assert tale.outcome is Outcome.CANCELLED
        assert not tale.wants(Do.FALL_BACK)

    @pytest.mark.parametrize("word", [Kind.CANCEL, Kind.OPT_OUT])
    def test_a_word_after_the_claim_closes_nothing(self, word: Kind):
        """The SMS may be on its way: the answer must not promise otherwise."""
        tale = Tale(traffic=Traffic.PROMOTION)
        tale.refused()
        tale.claim()
        tale.hear(word)

        assert tale.message.closed is None
        assert tale.sms is Sms.CLAIMED

    @pytest.mark.parametrize(
        ("word", "closed"), [(Kind.CANCEL, None), (Kind.OPT_OUT, Closed.OPTED_OUT)]
    )
    def test_after_a_lost_answer_only_an_opt_out_closes(
        self, word: Kind, closed: Closed | None
    ):
        """What may have left is not cancelled; nobody is texted against their word."""
        tale = Tale(traffic=Traffic.PROMOTION)
        tale.refused()
        tale.claim()
        tale.hear(Kind.SMS_UNANSWERED, attempt=1)
        while not tale.wants(Do.FALL_BACK):
            tale.ring()

        tale.hear(word)

        assert tale.message.closed is closed

    def test_an_acknowledgement_after_the_claim_is_kept(self):
        """It is true whatever was sent."""
        tale = unreachable()
        tale.claim()
        tale.hear(Kind.ACKNOWLEDGE)

        assert tale.outcome is Outcome.ACKNOWLEDGED


class TestRule14:
    """An opt-out closes and revokes open promotions."""

    @pytest.mark.parametrize("traffic", [Traffic.PROMOTION, Traffic.UNSPECIFIED])
    def test_a_promotion_is_closed_and_called_back(self, traffic: Traffic):
        """Nothing more leaves, and RCS is withdrawn."""
        tale = Tale(traffic=traffic).accepted()
        tale.hear(Kind.OPT_OUT)
        tale.deleted()

        assert tale.outcome is Outcome.SUPPRESSED

    @pytest.mark.parametrize("kind", [Kind.SMS_QUEUED, Kind.SMS_FAILED])
    def test_a_hedged_promotion_is_called_back_beside_its_sms(self, kind: Kind):
        """The SMS cannot be helped any more, the RCS copy can."""
        tale = Tale(Policy.HEDGE, traffic=Traffic.PROMOTION).accepted()
        tale.claim()
        tale.hear(kind, attempt=1, event="e")
        tale.hear(Kind.OPT_OUT)

        assert tale.message.closed is None
        assert tale.wants(Do.REVOKE)

    def test_what_the_user_needs_goes_on(self):
        """A transaction is not closed."""
        tale = Tale().accepted()
        tale.hear(Kind.OPT_OUT)

        assert tale.message.closed is None
        assert not tale.wants(Do.REVOKE)


class TestLateAnswers:
    """Whoever stood still knows more than was told, and corrects it upward."""

    @pytest.mark.parametrize("kind", [Kind.SMS_RELEASED, Kind.SMS_THROTTLED])
    def test_what_was_given_up_had_not_left(self, kind: Kind):
        """The doubt is over; nobody tries again after an outcome that was told."""
        tale = unreachable(Policy.STRICT)
        tale.claim()
        tale.ring(START + timedelta(hours=3))
        assert tale.outcome is Outcome.UNCONFIRMED

        tale.hear(kind, attempt=1, again_at=tale.now)

        assert tale.outcome is Outcome.FAILED
        assert not tale.wants(Do.FALL_BACK)

    @pytest.mark.parametrize(
        ("number", "released", "second"),
        [(1, True, Sms.UNCONFIRMED), (2, False, Sms.FAILED)],
    )
    def test_of_two_each_speaks_for_itself(
        self, number: int, *, released: bool, second: Sms
    ):
        """The first was tried again, and the second was the last."""
        tale = unreachable()
        for hours in (1, 2):
            tale.claim()
            tale.ring(START + timedelta(hours=hours))
        tale.hear(Kind.SMS_RELEASED, attempt=number)

        attempts = tale.message.sms
        assert [attempt.released for attempt in attempts] == [released, False]
        assert attempts[1].state is second

    def test_what_was_taken_is_in_doubt_still(self):
        """A receipt that did not come is another doubt."""
        tale = unreachable(Policy.STRICT)
        tale.claim()
        tale.hear(Kind.SMS_QUEUED, attempt=1)
        tale.ring(START + timedelta(hours=3))
        tale.hear(Kind.SMS_RELEASED, attempt=1)

        assert tale.outcome is Outcome.UNCONFIRMED


class TestRule9:
    """A create that is throttled is tried again until it is given up."""

    @pytest.mark.parametrize(
        ("clean", "outcome"),
        [(True, Outcome.CANCELLED), (False, Outcome.PENDING)],
    )
    def test_an_answer_that_comes_too_late_still_counts(
        self, clean: bool, outcome: Outcome
    ):
        """Given up meanwhile, what was never begun cannot arrive."""
        tale = Tale()
        create = tale.action(Do.CREATE)
        tale.hear(Kind.CANCEL)
        tale.hear(
            Kind.RCS_THROTTLED,
            number=create.number,
            attempt=create.attempt,
            clean=clean,
            again_at=tale.now,
        )

        assert tale.outcome is outcome
        assert not tale.wants(Do.CREATE)


class TestHandover:
    """What `fallback` saved and did not tell, it tells when it is called again."""

    def test_an_outcome_that_was_saved_is_told(self):
        """It would else have to wait for the message's timer."""
        tale = unreachable()
        tale.claim()
        tale.hear(Kind.SMS_REFUSED, attempt=1)

        (told,) = tale.hear(Kind.HANDED_OVER)

        assert told.do is Do.PUBLISH
        assert told.outcome is Outcome.FAILED


class TestHistory:
    """What repeats itself is told once, and a talkative user not for ever."""

    def test_each_carriers_event_is_a_line_of_its_own(self):
        """Only tries are told once: two receipts of one kind are two."""
        tale = unreachable()
        tale.claim()
        tale.hear(Kind.SMS_SENT, attempt=1, event="one")
        tale.hear(Kind.SMS_SENT, attempt=1, event="two")

        ids = [entry.id for entry in tale.message.history]
        assert ids[-2:] == ["one", "two"]

    @pytest.mark.parametrize("policy", sorted(set(Policy) - {Policy.HEDGE}))
    def test_before_the_deadline_a_receipt_is_what_is_waited_for(self, policy: Policy):
        """The word for it is the same, whatever may follow."""
        assert Tale(policy).accepted().message.rule == "waiting_for_receipt"

    def test_a_line_names_the_leg_that_it_is_about(self):
        """The app's own words are about both."""
        tale = unreachable()
        tale.claim()
        tale.hear(Kind.ACKNOWLEDGE)

        legs = [(entry.type, entry.leg) for entry in tale.message.history]
        assert legs == [
            ("begin", ""),
            ("rcs.refused", "rcs"),
            ("sms.claim", "sms"),
            ("acknowledge", ""),
        ]

    @pytest.mark.parametrize(
        ("texted", "rule"), [(True, "called_back"), (False, "delivered")]
    )
    def test_the_rule_says_why_it_was_texted(self, texted: bool, rule: str):
        """A delivery that comes after the SMS does not explain it."""
        tale = Tale().accepted()
        tale.ring()
        tale.deleted()
        if texted:
            tale.claim()
        tale.hear(Kind.RCS_DELIVERED, event="late")

        assert tale.message.rule == rule

    def test_tries_are_told_once(self):
        """However often nobody answers; other tries are other news."""
        tale = Tale()
        number = tale.action(Do.CREATE).number
        for _ in range(2):
            tale.later(seconds=10)
            tale.hear(Kind.RCS_UNANSWERED, number=number, again_at=tale.now)
        tale.hear(Kind.RCS_THROTTLED, number=number, again_at=tale.now)

        types = [entry.type for entry in tale.message.history]
        assert types == ["begin", "rcs.unanswered", "rcs.throttled"]

    def test_a_hundred_replies_are_kept_and_every_receipt(self):
        """Whoever goes on talking cannot drive out what became of the message."""
        tale = Tale().accepted()
        for number in range(101):
            tale.hear(Kind.RCS_TEXT, event=f"reply-{number}")
        tale.hear(Kind.RCS_DELIVERED, event="delivered")

        ids = [entry.id for entry in tale.message.history if entry.id]
        assert ids == [*(f"reply-{number}" for number in range(100)), "delivered"]
