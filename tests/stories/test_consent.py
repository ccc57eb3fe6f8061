"""Nobody is texted against their word (promise 8)."""

import pytest

from stories.world import World

PHONE = "+15551230001"


def test_an_opt_out_stops_what_was_accepted_before(world: World):
    """A promotion that waits when the user opts out ends suppressed."""
    world.phone(PHONE, online=False)
    sent = world.send(PHONE, messageTrafficType="PROMOTION")

    world.says(PHONE, text="STOP", channel="SMS")
    world.pass_grace()

    assert world.phone(PHONE)["inbox"] == []
    confirming = world.contract == "confirming"
    assert world.outcome(sent) == ("SUPPRESSED" if confirming else "UNCONFIRMED")


def test_an_opt_out_refuses_promotions_at_the_door(world: World):
    """After UNSUBSCRIBE a promotion is refused, with the reason."""
    world.says(PHONE, event="UNSUBSCRIBE")
    world.settle()

    answer = world.call(
        "POST",
        f"/v1/phones/{PHONE}/agentMessages",
        {"contentMessage": {"text": "Sale"}, "messageTrafficType": "PROMOTION"},
    )

    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["status"] == "FAILED_PRECONDITION"
    assert error["details"][0]["reason"] == "RECIPIENT_OPTED_OUT"


@pytest.mark.parametrize("traffic", ["AUTHENTICATION", "TRANSACTION"])
def test_what_the_user_needs_still_passes(world: World, traffic: str):
    """An opt-out does not keep anyone from their own code."""
    world.says(PHONE, event="UNSUBSCRIBE")
    world.settle()

    sent = world.send(PHONE, messageTrafficType=traffic)
    world.settle()

    assert world.outcome(sent) == "DELIVERED_RCS"


def test_opting_in_again_opens_the_door(world: World):
    """The newest word counts."""
    world.says(PHONE, event="UNSUBSCRIBE")
    world.elapse(5)
    world.says(PHONE, event="SUBSCRIBE")
    world.settle()

    sent = world.send(PHONE, messageTrafficType="PROMOTION")
    world.settle()

    assert world.outcome(sent) == "DELIVERED_RCS"
