"""What a user says has its effect once, wherever the process dies and repeats it."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from backstop.domain.agent import Agent
from backstop.domain.event import SMS_FAILED, Event
from backstop.domain.inbound import Inbound
from backstop.domain.menu import Option
from backstop.domain.message import Policy, message_key
from backstop.domain.signal import Kind, Signal
from backstop.providers.rbm.wire import suggestion_response
from backstop.usecases.accept import accept
from backstop.usecases.handle import handle
from backstop.usecases.listen import House, listen, overhear
from usecases.desk import AGENT, PHONE, START, Desk, Fate

NUMBER = "+15550100001"
MENU = (Option(number=1, label="Yes", postback="y"),)


def said(text: str, *, channel: str = "SMS", **more) -> Inbound:
    return Inbound(
        kind=Kind.SMS_RECEIVED if channel == "SMS" else Kind.RCS_TEXT,
        event="5a1d",
        phone=PHONE,
        at=START + timedelta(minutes=1),
        channel=channel,
        agent=AGENT if channel == "RCS" else "",
        number=NUMBER if channel == "SMS" else "",
        text=text,
        **more,
    )


SAID = {
    "an opt-out by SMS": said("STOP"),
    "an opt-out by RCS": said("STOP", channel="RCS"),
    "an unsubscription": said("", channel="RCS", wish=False),
    "help": said("help"),
    "a choice": said("1"),
    "a near miss": said("stopp"),
    "coming back": said("hello again"),
    "an ordinary text": said("thanks", channel="RCS"),
}


@pytest.fixture(scope="module")
def texted(tmp_path_factory) -> Path:
    """Return a state in which a text with a menu was sent."""
    path = tmp_path_factory.mktemp("texted") / "texted.db"
    desk = Desk(path, rcs="unreachable", policy=Policy.PROMPT)
    order = desk.order()
    order = replace(order, request=replace(order.request, options=MENU))
    accept(desk.ports(rcs=True), order)
    desk.run(timedelta(minutes=2))
    desk.close()
    return path


@pytest.fixture
def open_desk(tmp_path: Path, texted: Path):
    def open_desk(name: str, fate: Fate | None = None) -> Desk:
        path = tmp_path / f"{name}.db"
        shutil.copy(texted, path)
        desk = Desk(path, rcs="unreachable", policy=Policy.PROMPT, fate=fate)
        desk.clock.at = START + timedelta(minutes=2)
        return desk

    return open_desk


def house(desk: Desk) -> House:
    agent = Agent(
        name=AGENT, senders=(NUMBER,), opt_out_reply="Goodbye", help_reply="Call us"
    )
    return House(
        agents={AGENT: agent},
        terms=lambda **_what: desk.order().terms,
        tap=suggestion_response,
        menu_life=timedelta(days=1),
        resubscribes=True,
        one_consent=False,
    )


def hear(desk: Desk, reply: Inbound) -> None:
    desk.survive(lambda: listen(desk.ports(), house(desk), reply))


def left_behind(desk: Desk) -> dict[str, object]:
    """Return what remains of it, however often it was said."""
    published = desk.rows("SELECT DISTINCT CAST(attributes AS TEXT) FROM events")
    message = desk.messages.load(message_key(AGENT, "one")).value
    answers = desk.rows("SELECT CAST(state AS TEXT) FROM messages")
    return {
        "events": {row[0].partition('"ce-time"')[0] for row in published},
        "history": [entry.type for entry in message.history],
        "consent": desk.ports().recipients.load(PHONE, AGENT).value,
        "answers": len(answers),
    }


@pytest.mark.parametrize("name", SAID)
def test_a_crash_at_any_call_changes_nothing_in_the_end(open_desk, name: str):
    """Once, however it dies, and however often the carrier repeats it."""
    whole = Fate()
    desk = open_desk("whole", whole)
    hear(desk, SAID[name])
    calls = whole.calls
    expected = left_behind(desk)
    hear(desk, SAID[name])
    assert left_behind(desk) == expected
    desk.close()
    assert calls > 2

    for last in range(1, calls + 1):
        for after in (False, True):
            fate = Fate(last=last, after=after)
            desk = open_desk(f"{last}-{after}", fate)
            hear(desk, SAID[name])
            assert left_behind(desk) == expected, f"{whole.names[last - 1]}, {after}"
            desk.close()


def test_a_choice_is_from_the_menu_that_was_there(open_desk):
    """An SMS that left after the user's answer is not what it answers."""
    desk = open_desk("late")
    order = desk.order()
    later = tuple(replace(option, postback="later") for option in MENU)
    order = replace(
        order, message_id="two", request=replace(order.request, options=later)
    )
    accept(desk.ports(rcs=True), replace(order, at=START + timedelta(seconds=30)))
    desk.run(timedelta(minutes=3))

    hear(desk, SAID["a choice"])

    (tap,) = desk.rows(
        "SELECT CAST(data AS TEXT) FROM events"
        " WHERE CAST(attributes AS TEXT) LIKE '%suggestion%'"
    )
    assert json.loads(tap[0])["suggestionResponse"]["postbackData"] == "y"
    desk.close()


@pytest.mark.parametrize(("delivered", "answered"), [(20, "one"), (90, "two")])
def test_a_reply_answers_what_had_arrived(open_desk, delivered: int, answered: str):
    """By RCS it is the newest that was on the phone, else the newest that was sent."""
    desk = open_desk("arrived")
    for name, at in (("one", delivered), ("two", 200)):
        if name == "two":
            order = replace(desk.order(), message_id=name, at=START)
            accept(desk.ports(), replace(order, at=START + timedelta(seconds=30)))
        arrived = Signal(
            kind=Kind.RCS_DELIVERED, event=name, at=START + timedelta(seconds=at)
        )
        key = message_key(AGENT, name)
        handle(desk.ports(), key, lambda _m, _now, arrived=arrived: [arrived])

    hear(desk, SAID["an ordinary text"])

    message = desk.messages.load(message_key(AGENT, answered)).value
    assert "rcs.text" in [entry.type for entry in message.history]
    desk.close()


@pytest.mark.parametrize("said_by", ["the user", "the carrier"])
def test_an_opt_out_finds_who_texted_from_a_retired_number(open_desk, said_by: str):
    """The SMS is on the phone still, whoever the number belongs to by now."""
    desk = open_desk("retired")
    moved = Agent(name=AGENT, senders=("+15550109999",))
    elsewhere = replace(house(desk), agents={AGENT: moved})
    if said_by == "the user":
        listen(desk.ports(), elsewhere, SAID["an opt-out by SMS"])
    else:
        event = Event(id="e", type=SMS_FAILED, time=desk.clock.now(), data=b"{}")
        overhear(desk.ports(), elsewhere, event, desk.message())

    assert desk.ports().recipients.load(PHONE, AGENT).value.refuses
    desk.close()


def test_an_app_that_took_the_id_is_not_written_over(open_desk):
    """An answer whose id is taken is not sent: the app has the word."""
    desk = open_desk("taken")
    taken = replace(desk.order(), message_id="help-5a1d")
    accept(desk.ports(rcs=True), taken)

    hear(desk, SAID["help"])

    message = desk.messages.load(message_key(AGENT, "help-5a1d")).value
    assert message.request.text == "Hello"
    desk.close()
