"""The rules that close the races, where records, timers and carriers meet."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backstop.adapters.embedded.stores import SqliteRecipients
from backstop.adapters.records import micros
from backstop.domain import event as events
from backstop.domain.consent import Choice
from backstop.domain.message import (
    Closed,
    Do,
    Outcome,
    Policy,
    Rcs,
    Traffic,
    message_key,
)
from backstop.domain.signal import Kind, Signal
from backstop.errors import Conflict, Refusal, Refused, Throttled, Unanswered
from backstop.usecases.accept import Differs, OptedOut, accept, draft
from backstop.usecases.actions import SEND_TIMEOUT
from backstop.usecases.consent import consent
from backstop.usecases.follow import NotYet, cancel, ring
from backstop.usecases.handle import handle
from usecases.desk import AGENT, PHONE, START, Death, Desk

Open = Callable[..., Desk]


@pytest.fixture
def open_desk(tmp_path: Path) -> Iterator[Open]:
    desks: list[Desk] = []

    def build(**how: Any) -> Desk:
        desks.append(Desk(tmp_path / "desk.db", **how))
        return desks[-1]

    yield build
    for desk in desks:
        desk.close()


def _hear(desk: Desk, kind: Kind) -> None:
    signal = Signal(kind=kind, event=kind.value)
    handle(desk.ports(), desk.key, lambda _m, _now: [signal])


def _die() -> None:
    raise Death


def _silent(**_what: Any) -> None:
    raise Unanswered("reset")


def _hear_sent(desk: Desk) -> None:
    signal = Signal(kind=Kind.SMS_SENT, attempt=1, event="sent")
    handle(desk.ports(), desk.key, lambda _m, _now: [signal])


def _claim_slowly(desk: Desk, seconds: int) -> None:
    """Let time pass between the claim and what is read again before the request."""

    def slow() -> None:
        desk.fate.meanwhile["messages.load"] = late

    def late() -> None:
        desk.clock.at += timedelta(seconds=seconds)

    desk.fate.meanwhile["messages.save"] = slow


class TestRule2:
    """Immediately before the request everything is read again."""

    @pytest.mark.parametrize("kind", [Kind.RCS_DELIVERED, Kind.ACKNOWLEDGE])
    def test_news_after_the_claim_stops_the_request(self, open_desk: Open, kind: Kind):
        """What was recorded between claim and request releases the attempt."""
        desk = open_desk(rcs="unreachable")
        desk.send()

        def claimed() -> None:
            # The save that comes next is the claim; the news follows it.
            desk.fate.meanwhile["messages.load"] = lambda: _hear(desk, kind)

        desk.fate.meanwhile["messages.save"] = claimed
        desk.run()

        assert desk.carriers.texts == []
        assert not any(attempt.live for attempt in desk.message().sms)

    def test_an_opt_out_after_the_claim_stops_the_request(self, open_desk: Open):
        """The recipient is read again, too."""
        desk = open_desk(rcs="unreachable", traffic=Traffic.PROMOTION)
        desk.send()
        desk.fate.meanwhile["recipients.load"] = desk.opt_out
        desk.run()

        assert desk.carriers.texts == []
        assert desk.message().outcome is Outcome.SUPPRESSED

    def test_a_receipt_for_the_lost_attempt_stops_the_second(self, open_desk: Open):
        """Between the second claim and its request, the first may be heard of."""
        desk = open_desk(rcs="unreachable", sms="lost")
        desk.send()

        def second_claim() -> None:
            desk.fate.meanwhile["messages.load"] = lambda: _hear_sent(desk)

        def lost() -> None:
            # The saves that follow: the lost answer, then the second claim.
            desk.fate.meanwhile["events.publish"] = claim_next

        def claim_next() -> None:
            desk.fate.meanwhile["messages.save"] = second_claim

        desk.fate.meanwhile["sms.send"] = lost
        desk.run(until=timedelta(minutes=20))

        assert [a.live for a in desk.message().sms] == [True, False]
        assert desk.fate.names.count("sms.send") == 1

    @pytest.mark.parametrize(("seconds", "sent"), [(10, 1), (11, 2)], ids=str)
    def test_a_claim_lives_for_ten_seconds(
        self, open_desk: Open, seconds: int, sent: int
    ):
        """The attempt that is sent is the first, or the one that took its place."""
        desk = open_desk(rcs="unreachable")
        desk.send()
        _claim_slowly(desk, seconds)
        desk.run()

        assert [tag for _at, tag in desk.carriers.texts] == [f"{AGENT}/one/{sent}"]

    def test_a_claim_that_waited_too_long_is_given_back(self, open_desk: Open):
        """No request starts later than ten seconds after its claim."""
        desk = open_desk(rcs="unreachable")
        desk.send()
        _claim_slowly(desk, 11)
        desk.run()

        first, second = desk.message().sms
        assert first.released
        assert desk.message().outcome is Outcome.DELIVERED_SMS
        assert [tag for _at, tag in desk.carriers.texts] == [f"{AGENT}/one/2"]
        assert second.claimed_at > first.claimed_at + timedelta(seconds=10)


class TestRule5:
    """A ring and a record may miss each other."""

    def test_a_ring_without_a_record_comes_again(self, open_desk: Open):
        """As long as `send` may still be about to store it."""
        desk = open_desk()
        due_at = desk.clock.now()

        with pytest.raises(NotYet):
            ring(desk.ports(rcs=True), desk.key, due_at=due_at)
        desk.clock.at += SEND_TIMEOUT
        assert ring(desk.ports(rcs=True), desk.key, due_at=due_at) is None

    @pytest.mark.parametrize(("early", "beside"), [(0, 1), (1, 0)])
    def test_an_early_ring_arms_no_instant_that_is_ringing(
        self, open_desk: Open, early: int, beside: int
    ):
        """It would be taken for the ring under way, and end with it."""
        desk = open_desk(rcs="silent")
        due_at = desk.send().wake_at
        assert due_at
        rung = due_at - timedelta(seconds=early)
        desk.database.write(lambda c: c.execute("DELETE FROM timers"))

        ring(desk.ports(rcs=True), desk.key, due_at=rung)

        (row,) = desk.rows("SELECT due_at FROM timers")
        assert row[0] == micros(due_at) + beside

    @pytest.mark.parametrize("late", [timedelta(0), timedelta(minutes=2)], ids=str)
    def test_a_record_later_than_its_deadline_arms_again(
        self, open_desk: Open, late: timedelta
    ):
        """Its ring may be spent by then."""
        desk = open_desk(rcs="silent")

        def slow() -> None:
            # The ring comes and goes while the commit is under way.
            desk.clock.at += timedelta(minutes=10, seconds=5) + late
            desk.database.write(lambda c: c.execute("DELETE FROM timers"))

        desk.fate.meanwhile["messages.create"] = slow
        desk.send()
        desk.run()

        assert desk.message().outcome is not Outcome.PENDING


class TestRule7:
    """A refusal after silence may hide a copy."""

    def test_a_refusal_after_silence_is_called_back(self, open_desk: Open):
        """The client's word for an earlier try without an answer is heeded."""
        desk = open_desk(rcs="unreachable")

        def doubtful(**_what: Any) -> None:
            raise Refused("404", refusal=Refusal.UNREACHABLE, after_silence=True)

        desk.carriers.create = doubtful  # type: ignore[method-assign]
        desk.send()

        assert desk.carriers.deletes
        assert desk.message().rcs_state is Rcs.REVOKE_FAILED

    @pytest.mark.parametrize(
        ("refusal", "state"),
        [
            (Refusal.UNREACHABLE, Rcs.UNREACHABLE),
            (Refusal.REJECTED, Rcs.REJECTED),
            (Refusal.WITHDRAWAL_FAILED, Rcs.UNREACHABLE),
        ],
    )
    def test_the_leg_says_who_is_to_blame(
        self, open_desk: Open, refusal: Refusal, state: Rcs
    ):
        """The phone that has no RCS, or the message that RBM will not have."""
        desk = open_desk()

        def refused(**_what: Any) -> None:
            raise Refused("no", refusal=refusal)

        desk.carriers.create = refused  # type: ignore[method-assign]
        desk.send()

        assert desk.message().rcs_state is state


class TestRule8:
    """No create starts after `expireTime`."""

    def test_a_create_that_comes_too_late_is_not_begun(self, open_desk: Open):
        """However long the record took: RBM is not asked."""
        desk = open_desk()

        def slow() -> None:
            desk.clock.at += timedelta(minutes=10)

        desk.fate.meanwhile["messages.create"] = slow
        desk.send()
        desk.run()

        assert "rcs.create" not in desk.fate.names
        assert desk.message().outcome is Outcome.DELIVERED_SMS

    def test_a_cancel_that_overtakes_the_create_is_asked_again(self, open_desk: Open):
        """RBM did not know the message yet; the copy that came after must go."""
        desk = open_desk(rcs="offline")
        desk.fate.meanwhile["rcs.create"] = desk.cancel
        desk.send()
        assert desk.carriers.queued

        desk.run()

        assert not desk.carriers.queued
        assert not desk.carriers.expired
        assert desk.message().outcome is Outcome.CANCELLED

    @pytest.mark.parametrize(("seconds", "again"), [(59, True), (60, False)], ids=str)
    def test_a_delete_is_repeated_while_a_create_may_be_under_way(
        self, open_desk: Open, seconds: int, again: bool
    ):
        """`send` is stopped after a minute: whatever it began has begun by then."""
        desk = open_desk()
        desk.carriers.create = _silent  # type: ignore[method-assign]
        desk.send()
        desk.clock.at += timedelta(seconds=seconds)

        desk.cancel()

        left = [action.again_at for action in desk.message().unfinished(Do.REVOKE)]
        assert left == ([START + timedelta(minutes=1)] if again else [])

    def test_a_delete_after_the_acceptance_is_answered_once(self, open_desk: Open):
        """No other create can be under way: what RBM says of this copy holds."""
        desk = open_desk(rcs="silent")
        desk.send()
        accepted = Signal(kind=Kind.RCS_ACCEPTED, attempt=1)
        handle(desk.ports(), desk.key, lambda _m, _now: [accepted])
        desk.carriers.queued = False

        desk.cancel()

        assert desk.message().rcs_state is Rcs.REVOKE_FAILED
        assert not desk.message().unfinished(Do.REVOKE)

    def test_a_copy_beside_a_received_sms_is_asked_for_as_long(self, open_desk: Open):
        """HEDGE calls it back before the deadline; its create may be under way."""
        desk = open_desk(policy=Policy.HEDGE)
        desk.carriers.create = _silent  # type: ignore[method-assign]
        desk.send()
        desk.clock.at += timedelta(seconds=20)
        due = Signal(kind=Kind.HANDED_OVER)
        handle(desk.ports(sms=True), desk.key, lambda _m, _now: [due])
        received = Signal(kind=Kind.SMS_DELIVERED, attempt=1, event="e", by="handset")

        handle(desk.ports(rcs=True), desk.key, lambda _m, _now: [received])

        (again,) = desk.message().unfinished(Do.REVOKE)
        assert again.again_at == desk.clock.now() + timedelta(seconds=10)

    def test_a_cancelled_copy_is_asked_for_even_after_a_refusal(self, open_desk: Open):
        """It came after silence: another create may be under way for a minute."""
        desk = open_desk()

        def doubtful(**_what: Any) -> None:
            raise Refused("404", refusal=Refusal.UNREACHABLE, after_silence=True)

        desk.carriers.create = doubtful  # type: ignore[method-assign]
        revoke = desk.carriers.revoke
        desk.carriers.revoke = _silent  # type: ignore[method-assign]
        desk.send()
        desk.cancel()
        desk.carriers.revoke = revoke  # type: ignore[method-assign]
        desk.clock.at += timedelta(seconds=30)

        ring(desk.ports(rcs=True), desk.key, due_at=desk.clock.now())

        (again,) = desk.message().unfinished(Do.REVOKE)
        assert again.again_at == START + timedelta(minutes=1)

    def test_that_it_was_accepted_is_not_worth_a_write(self, open_desk: Open):
        """The create has its key; the next change says what is known by then."""
        desk = open_desk(rcs="offline")
        desk.send()

        assert desk.fate.names.count("messages.create") == 1
        assert desk.fate.names.count("timers.arm") == 1
        assert not {"messages.load", "messages.save"} & set(desk.fate.names)


class TestCorrection:
    """A settled message has no timer, and the trigger may have been answered."""

    def test_a_late_answer_that_corrects_the_outcome_has_a_timer_first(
        self, open_desk: Open
    ):
        """Should this worker die before it tells, the ring does."""
        desk = open_desk(rcs="unreachable", sms="lost", policy=Policy.PROMPT)
        desk.send()
        desk.run()
        assert desk.message().outcome is Outcome.UNCONFIRMED
        done = len(desk.fate.names)
        late = [Signal(kind=Kind.SMS_REFUSED, attempt=number) for number in (1, 2)]

        handle(desk.ports(sms=True), desk.key, lambda _message, _now: late)

        names = desk.fate.names[done:]
        assert desk.message().outcome is Outcome.FAILED
        assert names.index("timers.arm") < names.index("messages.save")

    def test_what_corrects_nothing_needs_none(self, open_desk: Open):
        """A settled message is not woken for a line of its history."""
        desk = open_desk(rcs="unreachable", sms="lost", policy=Policy.PROMPT)
        desk.send()
        desk.run()
        done = len(desk.fate.names)
        late = [Signal(kind=Kind.SMS_REFUSED, attempt=1)]

        handle(desk.ports(sms=True), desk.key, lambda _message, _now: late)

        assert desk.message().outcome is Outcome.UNCONFIRMED
        assert "messages.save" in desk.fate.names[done:]
        assert "timers.arm" not in desk.fate.names[done:]

    def test_what_a_carrier_says_needs_none(self, open_desk: Open):
        """Its event comes again until it is acknowledged."""
        desk = open_desk(rcs="unreachable", sms="lost", policy=Policy.PROMPT)
        desk.send()
        desk.run()
        done = len(desk.fate.names)
        late = [
            Signal(kind=Kind.SMS_FAILED, attempt=number, event=f"e{number}")
            for number in (1, 2)
        ]

        handle(desk.ports(), desk.key, lambda _message, _now: late)

        assert desk.message().outcome is Outcome.FAILED
        assert "timers.arm" not in desk.fate.names[done:]


class TestRule10:
    """PROMPT waits two seconds for its DELETE, the others longer."""

    @pytest.mark.parametrize(("policy", "seconds"), [("PROMPT", 2), ("CONFIRMED", 10)])
    def test_the_budget_of_a_delete(self, open_desk: Open, policy: str, seconds: int):
        """A code is worth more than an answer."""
        desk = open_desk(rcs="silent", policy=Policy(policy))
        budgets = []
        revoke = desk.carriers.revoke

        def timed(**what: Any) -> None:
            budgets.append(what["budget"])
            revoke(**what)

        desk.carriers.revoke = timed  # type: ignore[method-assign]
        desk.send()
        desk.run()

        assert budgets[0] == timedelta(seconds=seconds)


class TestPatience:
    """Whoever is not answered asks again after a share of the time already lost."""

    @pytest.mark.parametrize(
        ("lost", "waits"),
        [
            (timedelta(0), timedelta(seconds=10)),
            (timedelta(seconds=45), timedelta(seconds=45)),
            (timedelta(hours=1), timedelta(minutes=10)),
        ],
        ids=str,
    )
    def test_a_delete_is_repeated_ever_less_often(
        self, open_desk: Open, lost: timedelta, waits: timedelta
    ):
        """Ten seconds at least, ten minutes at most."""
        desk = open_desk(rcs="silent")
        desk.carriers.revoke = _silent  # type: ignore[method-assign]
        desk.send()
        desk.clock.at = START + timedelta(minutes=10, seconds=5)
        ring(desk.ports(rcs=True), desk.key, due_at=desk.clock.now())

        desk.clock.at += lost
        ring(desk.ports(rcs=True), desk.key, due_at=desk.clock.now())

        (revoke,) = desk.message().unfinished(Do.REVOKE)
        assert revoke.again_at == desk.clock.now() + waits

    @pytest.mark.parametrize(
        ("wish", "waits"),
        [
            (None, timedelta(seconds=10)),
            (timedelta(seconds=1), timedelta(seconds=10)),
            (timedelta(minutes=2), timedelta(minutes=2)),
        ],
        ids=str,
    )
    def test_a_carriers_wish_is_heeded(
        self, open_desk: Open, wish: timedelta | None, waits: timedelta
    ):
        """Never sooner than it says, nor than we would have asked by ourselves."""
        desk = open_desk()

        def busy(**_what: Any) -> None:
            raise Throttled("429", after=wish)

        desk.carriers.create = busy  # type: ignore[method-assign]
        desk.send()

        (create,) = desk.message().unfinished(Do.CREATE)
        assert create.again_at == desk.clock.now() + waits

    def test_a_full_queue_is_asked_ever_less_often(self, open_desk: Open):
        """Counted from when the SMS was due."""
        desk = open_desk(rcs="unreachable")

        def busy(**_what: Any) -> None:
            raise Throttled("429")

        desk.carriers.send = busy  # type: ignore[method-assign]
        desk.send()
        desk.clock.at += timedelta(seconds=45)
        due = Signal(kind=Kind.HANDED_OVER)
        handle(desk.ports(sms=True), desk.key, lambda _m, _now: [due])

        (fallback,) = desk.message().unfinished(Do.FALL_BACK)
        assert fallback.at == desk.clock.now() + timedelta(seconds=45)


class TestRule12:
    """Whose "delivered" it is depends on the sender."""

    @pytest.mark.parametrize(("handset", "by"), [(True, "handset"), (False, "carrier")])
    def test_the_sender_says_who_reports(self, open_desk: Open, handset: bool, by: str):
        """Toll-free numbers and short codes hear from the handset."""
        desk = open_desk(rcs="unreachable")
        order = desk.order()
        request = replace(order.request, handset_receipts=handset)
        accept(desk.ports(rcs=True), replace(order, request=request))
        desk.run()

        assert desk.message().sms[0].by == by


class TestRule9:
    """Accepting is durable first."""

    def test_without_an_answer_the_message_is_accepted_and_retried(
        self, open_desk: Open
    ):
        """The app gets its answer; the watch repeats the create."""
        desk = open_desk()
        answers = iter([Unanswered("reset")])
        create = desk.carriers.create

        def sometimes(**what: Any) -> None:
            for error in answers:
                raise error
            create(**what)

        desk.carriers.create = sometimes  # type: ignore[method-assign]
        sent = desk.send()
        assert sent.rcs_state is Rcs.PENDING
        assert sent.unfinished(Do.CREATE)

        desk.run()
        assert desk.message().outcome is Outcome.DELIVERED_RCS

    @pytest.mark.parametrize(("left", "seconds"), [(600, 10), (4, 4)], ids=str)
    def test_rbm_has_ten_seconds_and_no_longer_than_the_deadline(
        self, open_desk: Open, left: int, seconds: int
    ):
        """A create that is answered behind it would have been given up."""
        desk = open_desk()
        budgets = []
        desk.carriers.create = lambda **what: budgets.append(what["budget"])  # type: ignore[method-assign]

        def slow() -> None:
            desk.clock.at = START + timedelta(seconds=600 - left)

        desk.fate.meanwhile["messages.create"] = slow
        desk.send()

        assert budgets == [timedelta(seconds=seconds)]


class TestRule14:
    """An opt-out reaches what is on its way."""

    def test_an_opt_out_while_the_message_is_stored_stops_the_create(
        self, open_desk: Open
    ):
        """It is asked again between the record and RBM."""
        desk = open_desk(traffic=Traffic.PROMOTION)
        desk.fate.meanwhile["messages.create"] = desk.opt_out
        desk.send()
        desk.run()

        assert not desk.carriers.delivered
        assert desk.message().outcome is Outcome.SUPPRESSED

    def test_a_promotion_is_refused_at_the_door(self, open_desk: Open):
        """And nothing is stored or armed for it."""
        desk = open_desk(traffic=Traffic.PROMOTION)
        desk.opt_out()

        with pytest.raises(OptedOut):
            accept(desk.ports(rcs=True), desk.order())
        assert not desk.rows("SELECT * FROM timers")
        assert not desk.rows("SELECT * FROM messages")

    @pytest.mark.parametrize(
        ("opted_in", "closed"), [(False, Closed.OPTED_OUT), (True, None)]
    )
    def test_only_an_opt_out_closes_what_is_under_way(
        self, open_desk: Open, opted_in: bool, closed: Closed | None
    ):
        """At once, and not when the SMS would be due."""
        desk = open_desk(rcs="silent", traffic=Traffic.PROMOTION)
        desk.send()
        choice = Choice(
            phone=PHONE,
            agent=AGENT,
            opted_in=opted_in,
            at=START,
            evidence="e",
            channel="RCS",
        )

        consent(desk.ports(), choice, [AGENT])

        assert desk.message().closed is closed

    def test_what_was_accepted_before_is_answered_as_before(self, open_desk: Open):
        """The repeat of a promotion is no new one, though it goes no further."""
        desk = open_desk(rcs="silent", traffic=Traffic.PROMOTION)
        desk.send()
        desk.opt_out()

        assert accept(desk.ports(rcs=True), desk.order()) == desk.message()

    def test_an_opt_out_that_died_half_way_comes_back(self, open_desk: Open):
        """The consent was saved; the messages are closed by the repeat."""
        desk = open_desk(rcs="silent", traffic=Traffic.PROMOTION)
        desk.send()

        def die() -> None:
            raise Death

        desk.fate.meanwhile["messages.open_of_phone"] = die
        desk.opt_out()
        desk.run()

        assert desk.message().outcome is Outcome.SUPPRESSED


class TestRule15:
    """Ids are one namespace per agent, across phones."""

    def test_the_id_is_taken_by_its_phone_and_body(self, open_desk: Open):
        """The same id to another phone is another body."""
        desk = open_desk()
        desk.send()
        order = desk.order()
        others = (
            replace(order, phone="+15551230002"),
            replace(order, request=replace(order.request, digest="other")),
        )
        for other in others:
            with pytest.raises(Differs):
                accept(desk.ports(rcs=True), other)

    def test_another_agent_has_ids_of_its_own(self):
        """Two agents may use the same id."""
        assert message_key("one", "id") != message_key("two", "id")


@pytest.mark.parametrize(
    ("traffic", "told"), [(Traffic.PROMOTION, "PROMOTION"), (Traffic.UNSPECIFIED, None)]
)
def test_rbm_is_told_the_kind_of_message_as_the_app_told_it(
    open_desk: Open, traffic: Traffic, told: str | None
):
    """What the app left open is left open."""
    desk = open_desk(traffic=traffic)
    bodies = []
    desk.carriers.create = lambda **what: bodies.append(what["body"])  # type: ignore[method-assign]
    desk.send()

    assert [body.get("messageTrafficType") for body in bodies] == [told]


def test_one_sms_is_handed_over_once(open_desk: Open):
    """What is claimed in the same breath is not announced once more."""
    desk = open_desk(rcs="unreachable")
    desk.send()
    desk.run()

    due = desk.rows(
        "SELECT count(*) FROM events WHERE CAST(attributes AS TEXT) LIKE '%sms.due%'"
    )
    assert due[0][0] == 1


def test_a_message_erased_under_its_repeat_is_asked_for_again(open_desk: Open):
    """It is neither another's nor lost: the next repeat is a new message."""
    desk = open_desk()
    desk.send()
    desk.run()

    def erase() -> None:
        desk.database.write(lambda file: file.execute("DELETE FROM messages"))

    desk.fate.meanwhile["messages.load"] = erase
    with pytest.raises(Conflict):
        desk.send()

    assert desk.send().outcome is Outcome.PENDING


def test_a_refused_repeat_leaves_no_timer(open_desk: Open):
    """A 409 changes nothing, not even the queue."""
    desk = open_desk()
    desk.send()
    desk.run()
    desk.clock.at += timedelta(seconds=1)
    order = desk.order()
    terms = replace(order.terms, deadline=order.terms.deadline + timedelta(days=1))
    other = replace(order, terms=terms, phone="+15551230002")

    with pytest.raises(Differs):
        accept(desk.ports(rcs=True), other)

    assert not desk.rows("SELECT * FROM timers")


@pytest.mark.parametrize("refused", [True, False])
def test_a_repeat_takes_no_timer_away(open_desk: Open, refused: bool):
    """One that asks for the same `expireTime` arms what the message waits for."""
    desk = open_desk(rcs="silent")
    carrier, desk.carriers.create = desk.carriers.create, _silent  # type: ignore[method-assign]
    desk.send()
    desk.run(until=timedelta(minutes=9))
    desk.carriers.create = carrier  # type: ignore[method-assign]
    armed = desk.rows("SELECT due_at FROM timers")
    meanwhile = desk.fate.meanwhile
    meanwhile["messages.load"] = lambda: meanwhile.update({"messages.load": _die})
    order = replace(desk.order(), phone="+15551230002" if refused else PHONE)

    with pytest.raises(Differs if refused else Death):
        accept(desk.ports(rcs=True), order)

    assert armed
    assert set(armed) <= set(desk.rows("SELECT due_at FROM timers"))


def test_a_ring_meanwhile_keeps_its_timer(open_desk: Open):
    """It plans for the deadline after the repeat has read that it does not."""
    desk = open_desk(rcs="silent")
    desk.carriers.create = _silent  # type: ignore[method-assign]
    desk.send()
    deadline = START + timedelta(minutes=10, seconds=5)

    def rings() -> None:
        desk.clock.at = START + timedelta(minutes=9, seconds=59)
        ring(desk.ports(rcs=True), desk.key, due_at=desk.clock.at)
        known = desk.message()
        assert known.wake_at is None
        assert deadline in known.armed

    desk.fate.meanwhile["timers.disarm"] = rings
    with pytest.raises(Differs):
        accept(desk.ports(rcs=True), replace(desk.order(), phone="+15551230002"))
    rings()

    assert (micros(deadline),) in desk.rows("SELECT due_at FROM timers")


def test_an_answer_that_another_function_begins_ends_as_any(open_desk: Open):
    """`record` creates nothing itself: what RBM refuses then has failed, for sure."""
    desk = open_desk(rcs="unreachable", policy=Policy.NONE)

    accept(desk.ports(), desk.order())
    desk.run()

    message = desk.message()
    assert message.outcome is Outcome.FAILED
    assert not desk.carriers.deletes
    assert [e.type for e in message.history if e.leg == "rcs"] == ["rcs.refused"]


@pytest.mark.parametrize("used_again", [True, False])
def test_a_claim_is_not_taken_for_one_of_another_life(
    open_desk: Open, *, used_again: bool
):
    """An id that was erased has no claim, and if it is used again, other ones."""
    desk = open_desk(rcs="unreachable")
    desk.send()

    def erased() -> None:
        desk.fate.meanwhile["messages.load"] = anew

    def anew() -> None:
        desk.database.write(lambda c: c.execute("DELETE FROM messages"))
        desk.clock.at += timedelta(seconds=1)
        if used_again:
            desk.messages.create(draft(desk.order()))

    desk.fate.meanwhile["messages.save"] = erased
    desk.run(until=timedelta(minutes=1))

    assert not desk.carriers.texts


def test_the_timer_is_armed_before_the_record_exists(open_desk: Open):
    """A crash between the two leaves a ring without a message, never the reverse."""
    desk = open_desk()
    desk.send()
    names = desk.fate.names

    assert names.index("timers.arm") < names.index("messages.create")
    assert names.index("messages.create") < names.index("rcs.create")


def test_whoever_may_send_hands_over_to_nobody(open_desk: Open):
    """`fallback` claims in the commit that says the SMS is due, whatever else is."""
    desk = open_desk(rcs="silent", policy=Policy.PROMPT)
    desk.send()
    expired = Signal(kind=Kind.RCS_EXPIRY_FAILED, event="expired")

    handle(desk.ports(sms=True), desk.key, lambda _m, _now: [expired])

    assert len(desk.carriers.texts) == 1
    assert not desk.rows("SELECT * FROM events")


def test_what_is_handed_over_is_left_to_whoever_it_was_handed_to(open_desk: Open):
    """Another event that `fallback` hears meanwhile is no second errand."""
    desk = open_desk(rcs="silent")
    desk.send()
    expired = Signal(kind=Kind.RCS_EXPIRED, event="expired")
    handle(desk.ports(rcs=True), desk.key, lambda _m, _now: [expired])
    doubt = Signal(kind=Kind.RCS_EXPIRY_FAILED, event="doubt")

    handle(desk.ports(sms=True), desk.key, lambda _m, _now: [doubt])

    assert desk.carriers.texts == []
    desk.run()
    assert len(desk.carriers.texts) == 1


def test_what_neither_leg_can_carry_has_failed_when_it_is_answered(open_desk: Open):
    """No RCS and no SMS: nothing is left that a timer could do."""
    desk = open_desk(policy=Policy.NONE)

    message = accept(desk.ports(rcs=True), desk.order(), bypass=True)

    assert message.outcome is Outcome.FAILED
    assert not desk.rows("SELECT * FROM timers")


def test_what_goes_by_sms_alone_has_one_timer(open_desk: Open):
    """It was armed before the record, and need not be once more."""
    desk = open_desk()

    accept(desk.ports(rcs=True), desk.order(), bypass=True)

    assert desk.fate.names.count("timers.arm") == 1


def test_what_is_settled_leaves_no_timer(open_desk: Open):
    """Delivered before its deadline, a message is not woken for nothing."""
    desk = open_desk()
    desk.send()
    desk.run(until=timedelta(minutes=1))

    assert desk.message().outcome is Outcome.DELIVERED_RCS
    assert not desk.rows("SELECT * FROM timers")


def test_a_message_that_never_rests_is_not_answered_for(open_desk: Open):
    """Whoever loses every race says so, and its trigger comes again."""
    desk = open_desk(rcs="silent")
    desk.send()

    def overtaken() -> None:
        desk.fate.meanwhile["messages.save"] = overtaken
        found = desk.messages.load(desk.key)
        assert found
        desk.messages.save(found.value, version=found.version)

    desk.fate.meanwhile["messages.save"] = overtaken

    with pytest.raises(Conflict):
        _hear(desk, Kind.RCS_DELIVERED)


def test_a_choice_that_loses_every_race_is_not_taken_for_recorded(open_desk: Open):
    """The carrier's event comes again, and with it the opt-out."""
    desk = open_desk()
    recipients = SqliteRecipients(desk.database)

    def overtaken() -> None:
        desk.fate.meanwhile["recipients.save"] = overtaken
        found = recipients.load(PHONE, AGENT)
        recipients.save(PHONE, AGENT, found.value, version=found.version)

    desk.fate.meanwhile["recipients.save"] = overtaken

    with pytest.raises(Conflict):
        desk.opt_out()


def test_a_ring_that_is_answered_arms_one_timer(open_desk: Open):
    """What the answer makes of the message decides which."""
    desk = open_desk(rcs="silent")
    desk.send()
    desk.clock.at = START + timedelta(minutes=10, seconds=5)
    done = len(desk.fate.names)

    ring(desk.ports(rcs=True), desk.key, due_at=desk.clock.now())

    names = desk.fate.names[done:]
    assert "rcs.revoke" in names
    assert names.count("timers.arm") == 1
    timers = {at for (at,) in desk.rows("SELECT due_at FROM timers")}
    assert micros(desk.clock.now() + timedelta(minutes=15)) in timers


def test_a_repeat_whose_message_is_erased_meanwhile_is_answered(open_desk: Open):
    """As it was when the repeat came."""
    desk = open_desk(rcs="silent")
    desk.send()

    def found() -> None:
        desk.fate.meanwhile["messages.load"] = lambda: desk.database.write(
            lambda c: c.execute("DELETE FROM messages")
        )

    desk.fate.meanwhile["messages.load"] = found

    assert accept(desk.ports(rcs=True), desk.order()).message_id == "one"


def test_what_is_known_is_not_read_again(open_desk: Open):
    """Neither to be changed, nor to save what came of it."""
    desk = open_desk(rcs="silent")
    desk.send()
    found = desk.messages.load(desk.key)
    assert found
    done = len(desk.fate.names)

    cancel(desk.ports(rcs=True), found)

    names = desk.fate.names[done:]
    assert names.count("messages.save") == 2
    assert "messages.load" not in names


def test_a_message_erased_meanwhile_is_answered_as_it_was_found(open_desk: Open):
    """There is nothing left to cancel, and what was there is known."""
    desk = open_desk(rcs="silent")
    desk.send()
    found = desk.messages.load(desk.key)
    assert found
    desk.fate.meanwhile["messages.save"] = lambda: desk.database.write(
        lambda c: c.execute("DELETE FROM messages")
    )

    assert cancel(desk.ports(rcs=True), found) == found.value


def test_a_stale_worker_overwrites_nothing(open_desk: Open):
    """Of two that read the same version, the loser reads again."""
    desk = open_desk(rcs="silent", policy=Policy.PROMPT)
    desk.send()
    desk.fate.meanwhile["messages.save"] = lambda: _hear(desk, Kind.RCS_DELIVERED)
    _hear(desk, Kind.RCS_READ)

    assert {Rcs.DELIVERED, Rcs.READ} <= desk.message().rcs.keys()


def test_events_about_strangers_are_old_news(open_desk: Open):
    """A receipt for a message that is not ours is acknowledged and forgotten."""
    desk = open_desk()
    desk.carriers.report(events.RCS_DELIVERED, "stranger")
    desk.run()

    assert not desk.rows("SELECT * FROM deliveries")
