"""RBM is not asked for what is known to be impossible, as long as that is known."""

from typing import Any

import pytest

from stories.conftest import Environ
from stories.world import Json, World

PHONE = "+15551230001"
OTHER = "+15551230002"
CAPABILITIES = f"/v1/phones/{PHONE}/capabilities"
HOUR = 3600
DAY = 24 * HOUR

CARDS = {
    "richCard": {
        "carouselCard": {
            "cardWidth": "SMALL",
            "cardContents": [{"title": "One"}, {"title": "Two"}],
        }
    }
}


@pytest.fixture(params=["confirming"])
def contract(request: pytest.FixtureRequest) -> str:
    """Nothing is ever withdrawn here."""
    return str(request.param)


@pytest.fixture
def environ(environ: Environ) -> Environ:
    return environ | {"REACH_FIRST": "true"}


def asked(world: World) -> int:
    """Return how often RBM was called so far."""
    return int(world.machine.traffic.calls["rbm"])


def send(world: World, **more: Any) -> tuple[Json, int]:
    """Send, let it end, and return the answer and how often RBM was called for it."""
    before = asked(world)
    sent = world.send(PHONE, **more)
    world.settle()
    return world.look(sent), asked(world) - before


def went_by_sms(told: Json) -> bool:
    delivery = told["delivery"]
    return delivery["rcs"]["state"] == "UNREACHABLE" and "sms" in delivery


@pytest.fixture
def sms_only(world: World) -> World:
    """A world in which RBM has said that the phone has no RCS."""
    world.phone(PHONE, rcs=False)
    answer = world.call("GET", CAPABILITIES)
    assert answer.status_code == 404
    assert answer.json()["error"]["status"] == "NOT_FOUND"
    return world


def test_what_is_known_to_be_impossible_goes_straight_to_sms(sms_only: World):
    """RBM is not asked, and the history says so."""
    told, calls = send(sms_only)

    assert calls == 0
    assert went_by_sms(told)
    assert told["delivery"]["outcome"] == "DELIVERED_SMS"
    assert "rcs.bypassed" in {event["type"] for event in told["delivery"]["events"]}
    assert len(sms_only.inbox(PHONE, "SMS")) == 1


def test_the_answer_to_an_unreachable_message_is_remembered(world: World):
    """Nobody has to ask for capabilities."""
    world.phone(PHONE, rcs=False)

    first, calls = send(world)
    assert (went_by_sms(first), calls) == (True, 1)
    second, calls = send(world)
    assert (went_by_sms(second), calls) == (True, 0)


def test_a_memory_lapses(sms_only: World):
    """A phone may be another a day later."""
    sms_only.phone(PHONE, rcs=True)
    sms_only.elapse(DAY - HOUR)
    told, _calls = send(sms_only)
    assert went_by_sms(told)

    sms_only.elapse(HOUR)
    told, _calls = send(sms_only)

    assert told["delivery"]["outcome"] == "DELIVERED_RCS"


def test_a_capability_that_lacks_is_known_for_an_hour(world: World):
    """A carousel goes by SMS, a text by RCS, and later RBM judges again."""
    world.phone(PHONE, features=["RICHCARD_STANDALONE"])
    assert world.ok("GET", CAPABILITIES) == {"features": ["RICHCARD_STANDALONE"]}

    told, calls = send(world, contentMessage=CARDS)
    assert (went_by_sms(told), calls) == (True, 0)
    told, _calls = send(world)
    assert told["delivery"]["outcome"] == "DELIVERED_RCS"

    world.phone(PHONE, features=["RICHCARD_CAROUSEL"])
    world.elapse(HOUR)
    told, _calls = send(world, contentMessage=CARDS)
    assert told["delivery"]["outcome"] == "DELIVERED_RCS"


@pytest.mark.parametrize(
    "said",
    [
        {"text": "Hello?"},
        {"file": {"mimeType": "image/png", "fileUri": "https://example.com/a.png"}},
        {"location": {"latitude": 52.5, "longitude": 13.4}},
        {"event": "IS_TYPING"},
        {"event": "SUBSCRIBE"},
        {"event": "UNSUBSCRIBE"},
    ],
    ids=lambda said: next(iter(said.values())) if "event" in said else next(iter(said)),
)
def test_a_sign_of_life_is_believed(sms_only: World, said: Json):
    """Whoever writes by RCS can be written to by RCS."""
    sms_only.phone(PHONE, rcs=True)
    sms_only.says(PHONE, **said, channel="RCS")
    sms_only.settle()

    told, _calls = send(sms_only, messageTrafficType="TRANSACTION")

    assert told["delivery"]["outcome"] == "DELIVERED_RCS"


def test_a_word_by_sms_is_no_sign_of_rcs_life(sms_only: World):
    """It says nothing about it."""
    sms_only.says(PHONE, text="Hello?", channel="SMS")
    sms_only.settle()

    told, calls = send(sms_only)

    assert (went_by_sms(told), calls) == (True, 0)


def test_a_tap_that_was_texted_is_none_either(sms_only: World):
    """It is published as RCS's own, but the phone sent an SMS."""
    reply = {"text": "Confirm", "postbackData": "confirm"}
    send(sms_only, contentMessage={"text": "Well?", "suggestions": [{"reply": reply}]})
    sms_only.says(PHONE, text="1", channel="SMS")
    sms_only.settle()
    assert sms_only.events("backstop.rcs.suggestion")

    told, calls = send(sms_only)

    assert (went_by_sms(told), calls) == (True, 0)


def test_a_late_receipt_is_a_sign_of_life(world: World):
    """What waited has arrived by RCS, whatever RBM said meanwhile."""
    world.phone(PHONE, online=False)
    waiting = world.send(PHONE)
    world.phone(PHONE, rcs=False)
    assert world.call("GET", CAPABILITIES).status_code == 404
    world.elapse(120)
    world.phone(PHONE, rcs=True, online=True)
    world.settle()
    assert world.outcome(waiting) == "DELIVERED_RCS"

    told, _calls = send(world)

    assert told["delivery"]["outcome"] == "DELIVERED_RCS"


def test_many_are_learnt_at_once(world: World):
    """Who is not among the reachable is not reachable."""
    world.phone(PHONE, rcs=False)
    answer = world.ok("POST", "/v1/users:batchGet", {"users": [PHONE, OTHER]})
    assert answer["reachableUsers"] == [OTHER]

    told, calls = send(world)

    assert (went_by_sms(told), calls) == (True, 0)
    sent = world.send(OTHER)
    world.settle()
    assert world.outcome(sent) == "DELIVERED_RCS"


def test_without_an_sms_rbm_is_asked_all_the_same(sms_only: World):
    """Nothing would be left of the message."""
    sms_only.phone(PHONE, rcs=True)
    told, _calls = send(sms_only, fallback=False)

    assert told["delivery"]["outcome"] == "DELIVERED_RCS"


def test_the_same_request_is_the_same_message(sms_only: World):
    """Also when what is known has changed in between (promise 2)."""
    body = {"contentMessage": {"text": "Hello"}}
    path = f"/v1/phones/{PHONE}/agentMessages?messageId=twice"
    first = sms_only.ok("POST", path, body)
    sms_only.phone(PHONE, rcs=True)
    sms_only.says(PHONE, text="Hello?", channel="RCS")
    sms_only.settle()
    again = sms_only.ok("POST", path, body)
    sms_only.settle()

    assert again["name"] == first["name"]
    assert len(sms_only.phone(PHONE)["inbox"]) == 1
    told, _calls = send(sms_only)
    assert told["delivery"]["outcome"] == "DELIVERED_RCS"


class TestUnasked:
    """Without the setting nothing is read, and nothing kept."""

    @pytest.fixture
    def environ(self, contract: str) -> Environ:
        return {"RBM_DELETE_CONTRACT": contract}

    def test_rbm_is_asked_every_time(self, sms_only: World):
        """It refuses by itself."""
        told, calls = send(sms_only)
        assert (went_by_sms(told), calls) == (True, 1)
