"""Which message a user's word is about, who answers it, and what it changes."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backstop.domain.agent import Agent
from backstop.domain.consent import Wish
from backstop.domain.inbound import Inbound
from backstop.domain.menu import Option
from backstop.domain.message import (
    Attempt,
    Message,
    Policy,
    Rcs,
    Sms,
    Terms,
    Traffic,
)
from backstop.domain.signal import Kind
from backstop.providers.rbm.wire import suggestion_response
from backstop.usecases.accept import draft
from backstop.usecases.listen import House, be_told, listen
from usecases.desk import PHONE, START, Desk

SHARED, SECOND, THIRD, NOBODYS = (f"+1555010000{n}" for n in range(1, 5))
AGENTS = (
    Agent(
        name="shop",
        senders=(SHARED,),
        opt_out_reply="No more",
        help_reply="Shop's",
    ),
    Agent(
        name="desk", senders=(SECOND, SHARED), opt_out_reply="Bye", help_reply="Desk's"
    ),
    Agent(name="other", senders=(THIRD,)),
)
MENU = (Option(number=1, label="Yes", postback="y"),)
LIFE = timedelta(hours=1)

CHIP = {"reply": {"text": "Yes", "postbackData": "y"}}
CHIPS = {"text": "Well?", "suggestions": [{"reply": {"postbackData": "n"}}, CHIP]}
CARDS = {
    "richCard": {
        "carouselCard": {
            "cardContents": [{"title": "T"}, {"title": "U", "suggestions": [CHIP]}]
        }
    }
}


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Room:
    """A desk at which some messages were sent, and users' words are heard."""

    def __init__(self, path: Path) -> None:
        self.desk = Desk(path)
        self.ports = self.desk.ports()
        self.settled: list[Mapping[str, Any]] = []
        self.house = House(
            agents={agent.name: agent for agent in AGENTS},
            terms=self._terms,
            tap=suggestion_response,
            menu_life=LIFE,
            resubscribes=False,
            one_consent=False,
        )

    def _terms(self, **asked: Any) -> Terms:
        self.settled.append(asked)
        return self.desk.order().terms

    def sent(
        self,
        name: str,
        *attempts: Attempt,
        agent: str = "shop",
        when: float = 0,
        arrived: float | None = None,
        **request: Any,
    ) -> None:
        """Have a message in the record, with what is known of its legs."""
        order = self.desk.order()
        request = {"sender": SHARED, **request}
        order = replace(
            order,
            at=at(when),
            agent=agent,
            message_id=name,
            request=replace(order.request, **request),
        )
        rcs = {Rcs.PENDING: at(when), Rcs.ACCEPTED: at(when)}
        if arrived is not None:
            rcs[Rcs.DELIVERED] = at(arrived)
        self.desk.messages.create(replace(draft(order), rcs=rcs, sms=attempts))

    def hear(self, reply: Inbound) -> None:
        self.desk.clock.at = max(self.desk.clock.at, reply.at)
        listen(self.ports, self.house, reply)

    def known(self) -> tuple[Message, ...]:
        return self.ports.messages.of_phone(PHONE, limit=20).messages

    def answered(self) -> list[str]:
        """Return the messages in whose history the word is."""
        return [
            message.message_id
            for message in self.known()
            if any(entry.id == "word" for entry in message.history)
        ]

    def answers(self) -> list[Message]:
        """Return what users were answered, in any order."""
        kind = Traffic.ACKNOWLEDGEMENT
        return [m for m in self.known() if m.request.traffic is kind]

    def wishes(self) -> dict[str, Wish]:
        return {
            agent.name: self.ports.recipients.load(PHONE, agent.name).value.wish
            for agent in AGENTS
        }

    def choices(self, agent: str = "shop") -> int:
        return len(self.ports.recipients.load(PHONE, agent).value.choices)

    def tell(self, *, opted_in: bool, when: float, agent: str = "shop") -> None:
        """Record a choice on the app's word."""
        be_told(
            self.ports,
            self.house,
            phone=PHONE,
            agent=agent,
            opted_in=opted_in,
            at=at(when),
        )

    def published(self, kind: str) -> list[tuple[Any, Any]]:
        """Return attributes and data of the events of that type."""
        rows = self.desk.rows(
            "SELECT CAST(attributes AS TEXT), CAST(data AS TEXT) FROM events"
        )
        events = [(json.loads(one), json.loads(other)) for one, other in rows]
        return [event for event in events if event[0]["ce-type"] == f"backstop.{kind}"]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path / "room.db")
    yield room
    room.desk.close()


def text(said: str, *, when: float = 60, number: str = SHARED) -> Inbound:
    """By SMS."""
    return Inbound(
        kind=Kind.SMS_RECEIVED,
        event="word",
        phone=PHONE,
        at=at(when),
        channel="SMS",
        number=number,
        text=said,
    )


def chat(said: str = "", *, when: float = 60, agent: str = "shop", **more: Any) -> Any:
    """By RCS."""
    return Inbound(
        kind=Kind.RCS_TEXT,
        event="word",
        phone=PHONE,
        at=at(when),
        channel="RCS",
        agent=agent,
        text=said,
        **more,
    )


def attempt(when: float, *, released: bool = False, number: int = 1) -> Attempt:
    return Attempt(
        number=number,
        state=Sms.QUEUED,
        claimed_at=at(when),
        at=at(when),
        released=released,
    )


class TestWhichMessage:
    """A reply is recorded with the message that it answers, or with none."""

    def test_it_is_the_agents_own(self, room: Room):
        """Another agent's is another conversation."""
        room.sent("one")
        room.sent("two", agent="desk", when=10)
        room.hear(chat("Hello"))
        assert room.answered() == ["one"]

    @pytest.mark.parametrize(("when", "answered"), [(60, ["one"]), (61, [])])
    def test_it_was_there(self, room: Room, when: float, answered: list[str]):
        """At the latest when the reply was written."""
        room.sent("one", when=when)
        room.hear(chat("Hello"))
        assert room.answered() == answered

    @pytest.mark.parametrize(("arrived", "answered"), [(60, "one"), (61, "two")])
    def test_it_had_arrived(self, room: Room, arrived: float, answered: str):
        """Before one that had not; else it is the newest."""
        room.sent("one", arrived=arrived)
        room.sent("two", when=10)
        room.hear(chat("Hello"))
        assert room.answered() == [answered]

    @pytest.mark.parametrize("content", [CHIPS, CARDS])
    def test_it_offered_what_was_tapped(self, room: Room, content: Any):
        """However deep within its content, and whatever came since."""
        other = {"text": "Well?", "suggestions": [{"reply": {"postbackData": "n"}}]}
        room.sent("one", content=content)
        room.sent("two", when=10, content=other)
        room.hear(chat(postback="y"))
        assert room.answered() == ["one"]

    def test_what_nobody_offered_answers_the_newest(self, room: Room):
        """It was offered too long ago, or from elsewhere."""
        room.sent("one")
        room.sent("two", when=10)
        room.hear(chat(postback="y"))
        assert room.answered() == ["two"]

    @pytest.mark.parametrize(("claimed", "answered"), [(60, "one"), (61, "two")])
    def test_it_was_texted_last(self, room: Room, claimed: float, answered: str):
        """At the latest when the reply was written, and not accepted last."""
        room.sent("one", attempt(claimed))
        room.sent("two", attempt(20), when=10)
        room.hear(text("Hello"))
        assert room.answered() == [answered]

    def test_it_was_texted_at_all(self, room: Room):
        """An attempt that is known to have failed reached nobody."""
        room.sent("one", attempt(10))
        room.sent("two", attempt(20, released=True))
        room.hear(text("Hello"))
        assert room.answered() == ["one"]

    def test_it_was_texted_from_that_number(self, room: Room):
        """Each number is a conversation of its own on the phone."""
        room.sent("one", attempt(10), agent="desk")
        room.sent("two", attempt(20), agent="desk", sender=SECOND)
        room.hear(text("Hello"))
        assert room.answered() == ["one"]


class TestConsent:
    """Whom a choice binds, and what is none."""

    def test_a_number_stands_for_all_who_use_it(self, room: Room):
        """And for nobody else, also before anything was sent."""
        room.hear(text("STOP"))
        out = Wish.OPTED_OUT
        assert room.wishes() == {"shop": out, "desk": out, "other": Wish.UNKNOWN}

    def test_a_retired_number_stands_for_who_texted_from_it(self, room: Room):
        """And not for whoever else wrote to that phone."""
        room.sent("one", attempt(10), sender=NOBODYS)
        room.sent("two", attempt(20), agent="other", sender=THIRD)
        room.hear(text("STOP", number=NOBODYS))
        unknown = Wish.UNKNOWN
        expected = {"shop": Wish.OPTED_OUT, "desk": unknown, "other": unknown}
        assert room.wishes() == expected

    @pytest.mark.parametrize("said", ["STOP", "HELP", "1"])
    def test_a_number_that_nobody_used_is_no_error(self, room: Room, said: str):
        """The carrier would repeat it for days."""
        room.hear(text(said, number=NOBODYS))
        assert set(room.wishes().values()) == {Wish.UNKNOWN}
        assert room.answers() == []

    @pytest.mark.parametrize("one_consent", [False, True])
    def test_a_word_to_one_is_a_word_to_all_when_configured(
        self, room: Room, one_consent: bool
    ):
        """Else to the one that was written to."""
        room.house = replace(room.house, one_consent=one_consent)
        room.hear(chat("STOP", agent="other"))
        others = Wish.OPTED_OUT if one_consent else Wish.UNKNOWN
        expected = {"shop": others, "desk": others, "other": Wish.OPTED_OUT}
        assert room.wishes() == expected

    @pytest.mark.parametrize(
        ("wish", "state"), [(False, Wish.OPTED_OUT), (True, Wish.OPTED_IN)]
    )
    def test_a_wish_needs_no_words(self, room: Room, wish: bool, state: Wish):
        """UNSUBSCRIBE and SUBSCRIBE."""
        room.hear(chat(wish=wish))
        assert room.wishes()["shop"] is state

    @pytest.mark.parametrize(
        ("said", "reviewed"), [("please stop texting me", True), ("Thank you", False)]
    )
    def test_only_a_near_miss_is_for_a_person(
        self, room: Room, said: str, reviewed: bool
    ):
        """Who reads what was said, and on which channel."""
        room.hear(text(said))
        told = {"phone": PHONE, "channel": "SMS", "text": said}
        events = [data for _attributes, data in room.published("consent.review")]
        assert events == [told] * reviewed


class TestComingBack:
    """By a setting any text after an opt-out is an opt-in."""

    @pytest.fixture
    def room(self, room: Room) -> Room:
        room.house = replace(room.house, resubscribes=True)
        return room

    @pytest.mark.parametrize(
        ("resubscribes", "reply", "state"),
        [
            (True, chat("Hello"), Wish.OPTED_IN),
            (False, chat("Hello"), Wish.OPTED_OUT),
            (True, chat(), Wish.OPTED_OUT),
            (True, text("Hello"), Wish.OPTED_IN),
        ],
        ids=["a text", "without the setting", "a file", "an SMS to one of two agents"],
    )
    def test_what_counts_as_an_opt_in(
        self, room: Room, resubscribes: bool, reply: Inbound, state: Wish
    ):
        """Words do, towards any of the agents that may be meant."""
        room.house = replace(room.house, resubscribes=resubscribes)
        room.tell(opted_in=False, when=10)
        room.hear(reply)
        assert room.wishes()["shop"] is state

    @pytest.mark.parametrize("when", [60, 61])
    def test_what_was_written_before_the_opt_out_is_none(self, room: Room, when: float):
        """Or in the same instant: it may be the opt-out's own twin."""
        room.tell(opted_in=False, when=when)
        room.hear(chat("Hello"))
        assert room.choices() == 1

    def test_who_never_left_does_not_come_back(self, room: Room):
        """Nobody opts in by writing."""
        room.hear(chat("Hello", agent="other"))
        room.tell(opted_in=True, when=10)
        room.hear(chat("Hello"))
        assert room.wishes()["other"] is Wish.UNKNOWN
        assert room.choices() == 1


class TestAnswers:
    """A STOP and a HELP are answered by whoever was written to."""

    def test_an_sms_is_answered_from_the_number_that_was_texted(self, room: Room):
        """Also where the agent prefers another; and RBM is not asked."""
        room.sent("one", attempt(10), agent="desk")
        room.hear(text("HELP"))
        (answer,) = room.answers()
        assert answer.request.text == "Desk's"
        assert answer.request.sender == SHARED
        assert answer.rcs_state is Rcs.UNREACHABLE
        assert room.settled[0]["policy"] is Policy.CONFIRMED

    def test_a_chat_is_answered_by_rcs_alone(self, room: Room):
        """Whoever wrote by RCS has it."""
        room.hear(chat("HELP", agent="desk"))
        (answer,) = room.answers()
        assert answer.request.content == {"text": "Desk's"}
        assert answer.request.sender == SECOND
        assert answer.rcs_state is not Rcs.UNREACHABLE
        assert room.settled[0]["policy"] is Policy.NONE

    def test_of_two_agents_the_one_answers_that_spoke_last(self, room: Room):
        """Else the first that uses the number."""
        room.sent("one", attempt(10), agent="desk")
        room.hear(text("STOP"))
        assert [answer.request.text for answer in room.answers()] == ["Bye"]

    @pytest.mark.parametrize("said", ["HELP", "STOP"])
    def test_who_has_no_words_for_it_says_nothing(self, room: Room, said: str):
        """An empty message is none."""
        room.hear(chat(said, agent="other"))
        assert room.answers() == []

    @pytest.mark.parametrize(
        ("said", "opted_in", "when"),
        [("STOP", True, 90), ("START", False, 90), ("START", False, 10)],
        ids=["an old STOP", "an old START", "a START"],
    )
    def test_only_an_opt_out_in_force_is_confirmed(
        self, room: Room, said: str, opted_in: bool, when: float
    ):
        """Whatever is heard too late has changed nothing."""
        room.tell(opted_in=opted_in, when=when)
        room.hear(chat(said))
        assert room.answers() == []


class TestMenu:
    """A texted choice is the tap that it stands for."""

    @pytest.mark.parametrize(
        ("when", "chosen"), [(10 + LIFE.total_seconds(), 1), (3611, 0)]
    )
    def test_it_counts_for_its_life(self, room: Room, when: float, chosen: int):
        """From the last SMS that had left: no other is what it answers."""
        attempts = (
            attempt(0, released=True),
            attempt(5, number=2),
            attempt(10, number=3),
            attempt(1800, number=4, released=True),
            attempt(4000, number=5),
        )
        room.sent("one", *attempts, options=MENU)
        room.hear(text("1", when=when))
        assert len(room.published("rcs.suggestion")) == chosen

    def test_the_tap_is_of_the_agent_that_asked(self, room: Room):
        """Which need not be the first of those that use the number."""
        room.sent("one", attempt(10), agent="desk", options=MENU)
        room.hear(text("Yes"))
        ((attributes, data),) = room.published("rcs.suggestion")
        assert attributes["agentId"] == "desk"
        assert attributes["messageId"] == "one"
        assert attributes["channel"] == "SMS"
        assert data["agentId"] == "desk@rbm.goog"


def test_what_answers_nothing_is_of_the_first_agent(room: Room):
    """The event has an agent, and no message."""
    room.hear(text("please stop texting me"))
    ((attributes, _data),) = room.published("consent.review")
    assert attributes["agentId"] == "shop"
    assert "messageId" not in attributes
