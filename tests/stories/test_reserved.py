"""What the README says of each reserved number is what happens."""

from dataclasses import dataclass

import pytest

from simulator import RESERVED
from stories.world import World


@dataclass(frozen=True)
class Ending:
    """The end of a CONFIRMED message: its outcome, and the texts that arrived."""

    outcome: str
    sms: int
    legacy: str = ""
    legacy_sms: int | None = None


ENDINGS = {
    0: Ending("DELIVERED_RCS", 0),
    1: Ending("DELIVERED_RCS", 0),
    2: Ending("DELIVERED_SMS", 1),
    3: Ending("DELIVERED_SMS", 1),
    4: Ending("DELIVERED_BOTH", 1),
    5: Ending("DELIVERED_BOTH", 1, "DELIVERED_RCS", 0),
    6: Ending("DELIVERED_SMS", 1),
    8: Ending("DELIVERED_SMS", 1),
    9: Ending("DELIVERED_SMS", 1),
    10: Ending("DELIVERED_SMS", 1),
    11: Ending("DELIVERED_SMS", 1),
    12: Ending("DELIVERED_RCS", 0),
    13: Ending("DELIVERED_SMS", 1),
    14: Ending("DELIVERED_BOTH", 1),
    15: Ending("DELIVERED_SMS", 1),
    20: Ending("FAILED", 0),
    21: Ending("UNCONFIRMED", 1),
    22: Ending("UNCONFIRMED", 0),
    23: Ending("DELIVERED_SMS", 1),
    24: Ending("UNCONFIRMED", 1),
    25: Ending("DELIVERED_SMS", 1),
    26: Ending("DELIVERED_SMS", 1),
    27: Ending("DELIVERED_SMS", 1),
    28: Ending("FAILED", 0),
    29: Ending("DELIVERED_SMS", 1),
    30: Ending("FAILED", 0),
    31: Ending("UNCONFIRMED", 0),
    40: Ending("DELIVERED_RCS", 0),
    41: Ending("DELIVERED_RCS", 0),
    42: Ending("DELIVERED_RCS", 0),
    50: Ending("DELIVERED_SMS", 1),
    51: Ending("DELIVERED_RCS", 0),
    52: Ending("DELIVERED_RCS", 0),
    53: Ending("DELIVERED_SMS", 1),
    54: Ending("DELIVERED_RCS", 0),
    55: Ending("DELIVERED_SMS", 1),
}


def _number(index: int) -> str:
    return f"+155501990{index:02d}"


@pytest.mark.parametrize("index", ENDINGS)
def test_a_reserved_number_ends_as_announced(world: World, index: int):
    """Every reserved number leads where its row says, and every queue runs dry."""
    number, ending = _number(index), ENDINGS[index]
    sent = world.send(number, policy="CONFIRMED", ttl=max(world.pace.ttl, 40))

    world.elapse(max(world.pace.ttl, 40) + world.pace.margin)
    world.elapse(100 + 2 * world.pace.lost_answer + world.pace.grace)
    world.elapse(world.pace.receipt_wait + 1)

    outcome, sms = ending.outcome, ending.sms
    if world.contract == "legacy":
        outcome = ending.legacy or outcome
        sms = ending.sms if ending.legacy_sms is None else ending.legacy_sms
    assert world.outcome(sent) == outcome
    assert len(world.inbox(number, "SMS")) == sms
    assert world.ok("GET", "/simulator/timers")["timers"] == []
    assert world.ok("GET", "/simulator/dead-letters")["deadLetters"] == []


def test_both_at_expiry_is_told_truly(world: World):
    """Delivery and expiry at one instant: never an SMS after a known delivery."""
    number = _number(7)
    sent = world.send(number)

    world.pass_grace()

    texts = len(world.inbox(number, "SMS"))
    assert world.outcome(sent) == ("DELIVERED_BOTH" if texts else "DELIVERED_RCS")


def test_every_reserved_number_has_its_story():
    """No row of the table goes untold."""
    assert {_number(index) for index in (*ENDINGS, 7)} == set(RESERVED)


@pytest.mark.parametrize("index", [22, 23, 26, 31, 21])
def test_strict_never_asks_twice(world: World, index: int):
    """Whatever happens to the answer, STRICT makes one request."""
    number = _number(index)
    sent = world.send(number, policy="STRICT")

    world.elapse(2 * world.pace.lost_answer + world.pace.receipt_wait + 1)

    delivery = world.delivery(sent)
    assert delivery["sms"]["attempts"] == 1
    assert len(world.inbox(number, "SMS")) <= 1
    assert delivery["outcome"] in {"DELIVERED_SMS", "UNCONFIRMED"}


MENU = {
    "text": "When?",
    "suggestions": [
        {"reply": {"text": "Today", "postbackData": "d:0"}},
        {"reply": {"text": "Tomorrow", "postbackData": "d:1"}},
    ],
}


@pytest.mark.parametrize(("index", "postback"), [(52, "d:0"), (53, "d:1")])
def test_a_number_that_chooses(world: World, index: int, postback: str):
    """By a tap in RCS or a digit by SMS: one suggestion event, the same shape."""
    world.send(_number(index), contentMessage=MENU, messageTrafficType="TRANSACTION")
    world.elapse(10)

    (tap,) = world.events("backstop.rcs.suggestion")
    assert tap["data"]["suggestionResponse"]["postbackData"] == postback


@pytest.mark.parametrize(
    ("index", "wish"),
    [(50, "OPTED_OUT"), (51, "OPTED_OUT"), (54, "UNKNOWN"), (55, "UNKNOWN")],
)
def test_a_number_whose_owner_answers(world: World, index: int, wish: str):
    """What is an opt-out counts as one, what only sounds like it does not."""
    world.send(_number(index), messageTrafficType="TRANSACTION")
    world.elapse(10)

    consent = world.ok("GET", f"/v1/phones/{_number(index)}/consent")
    assert consent["state"] == wish
    reviews = world.events("backstop.consent.review")
    assert len(reviews) == (1 if index == 55 else 0)
