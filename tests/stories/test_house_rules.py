"""What a deployment decides about answers and consent, by its settings."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from machine import Machine
from stories.world import Pace, World

PHONE = "+15551230001"
GOODBYE = "You will get no more offers. Preferences: https://example.com/p"
HELP = "Shop: call +1 555 0100"
AGENTS = {
    "shop": {
        "senders": ["+15550100001"],
        "optOutReply": GOODBYE,
        "helpReply": HELP,
        "optOutWording": "STOP to end",
    },
    "desk": {"senders": ["+15550100001", "+15550100002"]},
    "other": {"senders": ["+15550100003"]},
}
SALE = {"contentMessage": {"text": "Sale"}, "messageTrafficType": "PROMOTION"}


@pytest.fixture
def settings() -> dict[str, str]:
    return {}


@pytest.fixture
def house(state: Path, pace: Pace, settings: dict[str, str]) -> Iterator[World]:
    environ = pace.environ() | {"AGENTS": json.dumps(AGENTS)} | settings
    machine = Machine(state, environ)
    machine.start()
    world = World(machine, pace, "confirming", state / "log.jsonl")
    yield world
    world.close()
    machine.stop()


def promote(world: World, agent: str) -> int:
    path = f"/v1/phones/{PHONE}/agentMessages?agentId={agent}"
    return world.call("POST", path, SALE).status_code


def test_an_opt_out_is_confirmed_once_on_its_channel(house: World):
    """UNSUBSCRIBE and its twin: one answer, by RCS, although promotions are over."""
    house.carrier("rbm", duplicate=True)
    house.says(PHONE, event="UNSUBSCRIBE", agentId="shop")
    house.settle()

    assert house.inbox(PHONE, "RCS") == [GOODBYE]
    assert house.inbox(PHONE, "SMS") == []


def test_stop_is_answered_by_sms(house: World):
    """From the number that was texted, and RBM is not asked."""
    house.carrier("bandwidth", duplicate=True)
    house.says(PHONE, text="STOP", to="+15550100001", channel="SMS")
    house.settle()

    assert house.inbox(PHONE, "SMS") == [GOODBYE]
    assert house.inbox(PHONE, "RCS") == []


def test_stopping_twice_is_answered_once_and_again_after_a_start(house: World):
    """An answer belongs to an opt-out, not to a word."""
    for word in ("STOP", "stop!", "START", "STOP"):
        house.says(PHONE, text=word, to="+15550100001", channel="SMS")
        house.elapse(60)

    assert house.inbox(PHONE, "SMS") == [GOODBYE, GOODBYE]


def test_help_is_answered(house: World):
    """With the configured text; it changes no consent."""
    house.says(PHONE, text="Help", to="+15550100001", channel="SMS")
    house.settle()

    assert house.inbox(PHONE, "SMS") == [HELP]
    assert promote(house, "shop") == 200


def test_stop_to_a_number_counts_for_every_agent_that_uses_it(house: World):
    """The user does not know our agents, only the number."""
    house.says(PHONE, text="STOP", to="+15550100001", channel="SMS")
    house.settle()

    assert [promote(house, agent) for agent in AGENTS] == [400, 400, 200]


@pytest.mark.parametrize("settings", [{"ONE_CONSENT": "true"}])
def test_one_consent_binds_all_agents(house: World):
    """By a setting a word to one is a word to all."""
    house.says(PHONE, event="UNSUBSCRIBE", agentId="desk")
    house.settle()

    assert [promote(house, agent) for agent in AGENTS] == [400, 400, 400]


@pytest.mark.parametrize(
    ("settings", "status"),
    [({}, 400), ({"TEXT_RESUBSCRIBES": "true"}, 200)],
    ids=["by default not", "when configured"],
)
def test_writing_again_is_an_opt_in_only_when_configured(house: World, status: int):
    """After an opt-out a free text may count as one."""
    house.says(PHONE, event="UNSUBSCRIBE", agentId="shop")
    house.elapse(60)
    house.says(PHONE, text="When do you open?", agentId="shop")
    house.settle()

    assert promote(house, "shop") == status


def test_a_carriers_own_opt_out_is_heard(house: World):
    """4775 says what we were never told: it is recorded, and honoured."""
    phone = "+15550199030"
    path = f"/v1/phones/{phone}/agentMessages?agentId=shop"
    transaction = SALE | {"messageTrafficType": "TRANSACTION"}
    house.ok("POST", path, transaction)
    house.settle()

    told = house.ok("GET", f"/v1/phones/{phone}/consent?agentId=shop")
    assert told["state"] == "OPTED_OUT"
    assert house.call("POST", path, SALE).status_code == 400


def test_the_opt_out_wording_is_the_agents_own(house: World):
    """As the SMS of a promotion ends."""
    path = f"/v1/phones/{PHONE}/agentMessages?agentId=shop&validateOnly=true"

    assert house.ok("POST", path, SALE)["fallback"]["text"] == "Sale\n\nSTOP to end"
