"""When proof and promptness exclude each other, the policy decides."""

import pytest

from stories.world import World

SILENT = "+15550199006"
DOUBTFUL = "+15550199013"
LATE_AFTER_DOUBT = "+15550199004"
LATE_AFTER_DELETE = "+15550199005"


def test_prompt_sends_with_the_revocation(world: World):
    """PROMPT asks for the copy back and waits for no proof."""
    sent = world.send(DOUBTFUL, policy="PROMPT")

    world.pass_deadline()

    assert world.outcome(sent) == "DELIVERED_SMS"


def test_confirmed_waits_for_the_grace_period_when_in_doubt(world: World):
    """CONFIRMED gives a late receipt its chance before it sends."""
    sent = world.send(DOUBTFUL, policy="CONFIRMED")

    world.elapse(world.pace.ttl + world.pace.margin / 2)
    assert world.inbox(DOUBTFUL, "SMS") == []

    world.elapse(world.pace.grace + world.pace.margin + 1)
    assert world.outcome(sent) == "DELIVERED_SMS"
    assert world.delivery(sent)["rule"] == "grace_over"


def test_strict_sends_nothing_without_proof(world: World):
    """STRICT would rather not know than send twice."""
    sent = world.send(DOUBTFUL, policy="STRICT")

    world.pass_grace()

    assert world.outcome(sent) == "UNCONFIRMED"
    assert world.inbox(DOUBTFUL, "SMS") == []


def test_a_silent_platform_is_asked(world: World):
    """Where the expiry event never comes, the watch revokes explicitly."""
    sent = world.send(SILENT, policy="CONFIRMED")

    world.pass_grace()

    assert world.outcome(sent) == "DELIVERED_SMS"
    confirming = world.contract == "confirming"
    expected = "called_back" if confirming else "grace_over"
    assert world.delivery(sent)["rule"] == expected


def test_strict_accepts_only_the_proof_its_contract_offers(world: World):
    """A 200 to DELETE is proof under one contract and nothing under the other."""
    sent = world.send(SILENT, policy="STRICT")

    world.pass_grace()

    confirming = world.contract == "confirming"
    assert world.outcome(sent) == ("DELIVERED_SMS" if confirming else "UNCONFIRMED")
    assert len(world.inbox(SILENT, "SMS")) == int(confirming)


def test_a_late_delivery_is_told_as_what_it_is(world: World):
    """DELIVERED after the SMS ends as both, in a second revision."""
    sent = world.send(LATE_AFTER_DOUBT, policy="PROMPT")
    world.pass_deadline()
    assert world.outcome(sent) == "DELIVERED_SMS"

    world.elapse(100)

    assert world.outcome(sent) == "DELIVERED_BOTH"
    # At least once: what comes again has the same id.
    outcomes = {event["id"]: event for event in world.events("backstop.message.")}
    told = [
        (e["type"].split(".")[-1], e["data"]["revision"]) for e in outcomes.values()
    ]
    assert told == [("fell_back", 1), ("delivered_twice", 2)]


def test_even_a_confirmed_withdrawal_may_be_wrong(world: World):
    """DELIVERED may follow a 200 to DELETE: then it is counted, not hidden."""
    sent = world.send(LATE_AFTER_DELETE, policy="PROMPT")

    world.pass_deadline()
    world.elapse(5)

    assert world.outcome(sent) == "DELIVERED_BOTH"


def test_hedge_sends_both_at_once(world: World):
    """HEDGE expects duplicates and waits for nothing."""
    phone = "+15551230002"
    sent = world.send(phone, policy="HEDGE")

    world.settle()

    assert world.outcome(sent) == "DELIVERED_BOTH"
    assert world.inbox(phone, "SMS") == ["Your table is ready"]


def test_hedge_revokes_what_is_left_at_the_deadline(world: World):
    """After the SMS, the RCS copy is still called back."""
    sent = world.send(SILENT, policy="HEDGE")
    world.settle()
    assert world.outcome(sent) == "DELIVERED_SMS"

    world.pass_grace()

    confirming = world.contract == "confirming"
    state = world.delivery(sent)["rcs"]["state"]
    assert state == ("REVOKED" if confirming else "REVOKE_FAILED")


@pytest.mark.parametrize(
    ("traffic", "policy"),
    [
        ("AUTHENTICATION", "PROMPT"),
        ("TRANSACTION", "CONFIRMED"),
        ("SERVICEREQUEST", "CONFIRMED"),
        ("ACKNOWLEDGEMENT", "CONFIRMED"),
        ("PROMOTION", "STRICT"),
        (None, "CONFIRMED"),
    ],
)
def test_the_traffic_type_chooses_the_policy(
    world: World, traffic: str | None, policy: str
):
    """Without a word from the app, the kind of message decides."""
    sent = world.send("+15551230003", messageTrafficType=traffic)

    assert sent["delivery"]["policy"] == policy
