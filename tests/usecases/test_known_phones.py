"""What is remembered of a phone's RCS, what is made of it, and what ends it."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backstop.adapters.embedded.reaches import SqliteReaches
from backstop.domain.event import RCS_DELIVERED, RCS_READ, SMS_DELIVERED, Event, Type
from backstop.domain.inbound import Inbound
from backstop.domain.message import Policy, Rcs
from backstop.domain.reach import Lives, Reach
from backstop.domain.signal import Kind
from backstop.errors import Refusal, Refused, Unavailable
from backstop.ports import Ports
from backstop.usecases.accept import draft
from backstop.usecases.reach import (
    LATE,
    accept_knowing,
    ask,
    heard_from,
    heard_of,
    warm,
)
from usecases.desk import AGENT, PHONE, START, Desk

OTHER = "+15551230002"
LIVES = Lives(positive=timedelta(hours=1), negative=timedelta(days=1))
NO_RCS = Reach(reachable=False, until=START + LIVES.negative)


class Rbm:
    """Answers about capabilities, and counts messages."""

    def __init__(self, answer: Any = None, refusal: Refusal | None = None) -> None:
        self._answer = answer
        self._refusal = refusal
        self.asked = 0

    def create(self, **_what: Any) -> None:
        self.asked += 1
        if self._refusal:
            raise Refused("no", refusal=self._refusal)

    def capabilities(self, **_what: Any) -> Any:
        self.create()
        return self._answer


class Forgetful:
    """Keeps nothing."""

    def save(self, _agent: str, _reaches: Mapping[str, Reach]) -> None:
        raise Unavailable


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "reach.db")
    yield desk
    desk.close()


@pytest.fixture
def ports(desk: Desk) -> Ports:
    """A world in which nobody knows that the phone has no RCS."""
    return replace(
        desk.ports(),
        rcs=Rbm(refusal=Refusal.UNREACHABLE),
        reaches=SqliteReaches(desk.database),
    )


@pytest.fixture
def knowing(ports: Ports) -> Ports:
    """A world in which that is known."""
    assert ports.reaches
    ports.reaches.save(AGENT, {PHONE: NO_RCS})
    return ports


def known(ports: Ports, phone: str = PHONE) -> Reach | None:
    assert ports.reaches
    return ports.reaches.load(phone, AGENT)


class TestAccept:
    """A message goes straight to SMS where RCS is known to be impossible."""

    def test_what_is_known_is_not_asked(self, desk: Desk, knowing: Ports):
        """And it is known no longer for that."""
        desk.clock.at += timedelta(hours=1)
        message = accept_knowing(knowing, desk.order(), LIVES)
        assert message.rcs_state is Rcs.UNREACHABLE
        assert knowing.rcs.asked == 0
        assert known(knowing) == NO_RCS

    @pytest.mark.parametrize(
        "reach",
        [
            Reach(reachable=True, until=START + LIVES.positive),
            Reach(reachable=False, until=START),
        ],
        ids=["reachable", "lapsed"],
    )
    def test_what_rules_nothing_out_is_no_reason(
        self, desk: Desk, ports: Ports, reach: Reach
    ):
        """RBM is asked, and may refuse."""
        assert ports.reaches
        ports.reaches.save(AGENT, {PHONE: reach})
        accept_knowing(ports, desk.order(), LIVES)
        assert ports.rcs.asked == 1

    def test_a_refusal_is_remembered(self, desk: Desk, ports: Ports):
        """The next message is spared it."""
        accept_knowing(ports, desk.order(), LIVES)
        assert known(ports) == NO_RCS

    def test_an_acceptance_says_nothing(self, desk: Desk, ports: Ports):
        """RBM takes messages for phones that are switched off."""
        ports = replace(ports, rcs=Rbm())
        accept_knowing(ports, desk.order(), LIVES)
        assert known(ports) is None

    def test_a_repeat_says_nothing_of_the_phone_as_it_is(
        self, desk: Desk, ports: Ports
    ):
        """It tells what was refused then."""
        order = desk.order()
        accept_knowing(ports, order, LIVES)
        heard_from(ports, _event(), _reply())
        later = replace(order, at=order.at + timedelta(minutes=1))
        accept_knowing(ports, later, LIVES)
        assert known(ports) is None

    def test_without_an_sms_rbm_is_asked_all_the_same(self, desk: Desk, knowing: Ports):
        """Nothing would be left of the message."""
        order = desk.order()
        order = replace(order, terms=replace(order.terms, policy=Policy.NONE))
        accept_knowing(knowing, order, LIVES)
        assert knowing.rcs.asked == 1

    def test_without_a_memory_rbm_is_asked(self, desk: Desk, ports: Ports):
        """It refuses by itself."""
        ports = replace(ports, reaches=None)
        message = accept_knowing(ports, desk.order(), LIVES)
        assert message.rcs_state is Rcs.UNREACHABLE
        assert ports.rcs.asked == 1


class TestAsk:
    """An answer about capabilities is handed on, and remembered."""

    @pytest.mark.parametrize(
        ("answer", "features"),
        [({"features": ["A", "B"]}, ("A", "B")), ({}, None), ({"features": "A"}, None)],
        ids=["a list", "nothing", "a word"],
    )
    def test_what_was_said_counts_for_its_life(
        self, ports: Ports, answer: Any, features: tuple[str, ...] | None
    ):
        """Only what is a list says anything of features."""
        until = START + LIVES.positive
        assert _ask(replace(ports, rcs=Rbm(answer))) == answer
        assert known(ports) == Reach(reachable=True, features=features, until=until)

    @pytest.mark.parametrize(
        ("refusal", "remembered"),
        [(Refusal.UNREACHABLE, NO_RCS), (Refusal.REJECTED, None)],
    )
    def test_only_a_phone_without_rcs_is_remembered(
        self, ports: Ports, refusal: Refusal, remembered: Reach | None
    ):
        """A question that was wrong says nothing of the phone."""
        with pytest.raises(Refused):
            _ask(replace(ports, rcs=Rbm(refusal=refusal)))
        assert known(ports) == remembered

    def test_without_rbm_there_is_no_answer(self, ports: Ports):
        """Whoever asks comes again."""
        with pytest.raises(Unavailable):
            _ask(replace(ports, rcs=None))

    def test_an_answer_is_not_held_back_for_its_memory(self, desk: Desk, ports: Ports):
        """That it was not kept is told, without the phone."""
        ports = replace(ports, rcs=Rbm({}), reaches=Forgetful())
        assert _ask(ports) == {}
        (line,) = desk.said("reach_not_kept")
        assert line == {"severity": "WARNING", "count": 1}


def test_many_are_remembered_at_once(ports: Ports):
    """Who was asked about and is not named has no RCS; nobody else is known."""
    warm(ports, agent=AGENT, asked=[PHONE, OTHER], reachable=[OTHER, "x"], lives=LIVES)
    assert known(ports) == NO_RCS
    assert known(ports, OTHER) == Reach(reachable=True, until=START + LIVES.positive)
    assert known(ports, "x") is None


@pytest.mark.parametrize(
    ("reaches", "asked"),
    [(Forgetful(), []), (None, [PHONE])],
    ids=["nobody", "nowhere"],
)
def test_what_cannot_be_kept_is_not_tried(
    desk: Desk, ports: Ports, reaches: Any, asked: list[str]
):
    """No commit about nobody, and none where there is no memory."""
    ports = replace(ports, reaches=reaches)
    warm(ports, agent=AGENT, asked=asked, reachable=[], lives=LIVES)
    assert desk.said("reach_not_kept") == []


class TestSigns:
    """Whoever shows RCS life can be written to by RCS."""

    @pytest.mark.parametrize(
        ("channel", "cause", "forgotten"),
        [("RCS", "", True), ("SMS", "", False), ("RCS", "texted", False)],
        ids=["a chat", "an SMS", "a tap that was texted"],
    )
    def test_a_word(self, knowing: Ports, channel: str, cause: str, forgotten: bool):
        """By RCS, and of the user's own."""
        heard_from(knowing, _event(cause=cause), _reply(channel))
        assert (known(knowing) is None) == forgotten

    @pytest.mark.parametrize(
        ("kind", "after", "forgotten"),
        [
            (RCS_DELIVERED, LATE, False),
            (RCS_DELIVERED, LATE + timedelta(seconds=1), True),
            (RCS_READ, LATE + timedelta(seconds=1), True),
            (SMS_DELIVERED, LATE + timedelta(seconds=1), False),
        ],
        ids=["at once", "late", "late and read", "of an SMS"],
    )
    def test_a_receipt(
        self,
        desk: Desk,
        knowing: Ports,
        kind: Type,
        after: timedelta,
        forgotten: bool,
    ):
        """One that follows its message at once is no news."""
        heard_of(knowing, _event(kind, after=after), draft(desk.order()))
        assert (known(knowing) is None) == forgotten

    def test_without_a_memory_nothing_is_forgotten(self, ports: Ports):
        """A sign of life is no error then."""
        heard_from(replace(ports, reaches=None), _event(), _reply())


def _ask(ports: Ports) -> Any:
    return ask(ports, agent=AGENT, phone=PHONE, request_id="r", lives=LIVES)


def _event(
    kind: Type = RCS_DELIVERED, *, after: timedelta = LATE, cause: str = ""
) -> Event:
    return Event(id="e", type=kind, time=START + after, data=b"{}", cause=cause)


def _reply(channel: str = "RCS") -> Inbound:
    return Inbound(
        kind=Kind.RCS_TEXT,
        event="e",
        phone=PHONE,
        at=START,
        channel=channel,
        agent=AGENT,
    )
