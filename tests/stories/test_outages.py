"""Carriers that fail, repeat themselves, and lose things."""

import time

import pytest

from stories.world import World

PHONE = "+15551230001"


def test_an_outage_at_rbm_is_ridden_out(world: World):
    """A create that RBM cannot take is repeated until it can."""
    if not world.pace.virtual:
        pytest.skip("waits for a backoff longer than real stories are")
    world.carrier("rbm", status=503)
    sent = world.send(PHONE)
    assert sent["delivery"]["rcs"]["state"] == "PENDING"
    world.carrier("rbm")

    world.elapse(60)

    assert world.outcome(sent) == "DELIVERED_RCS"


def test_a_full_queue_at_bandwidth_is_waited_for(world: World):
    """429 is known not sent: the watch tries again."""
    if not world.pace.virtual:
        pytest.skip("waits for a backoff longer than real stories are")
    world.phone(PHONE, rcs=False)
    world.carrier("bandwidth", status=429)
    sent = world.send(PHONE)
    world.settle()
    assert world.outcome(sent) == "PENDING"
    world.carrier("bandwidth")

    world.elapse(300)

    assert world.outcome(sent) == "DELIVERED_SMS"
    assert len(world.inbox(PHONE, "SMS")) == 1


def test_everything_twice_changes_nothing(world: World):
    """Repeated callbacks are recognised."""
    world.carrier("rbm", duplicate=True, reorder=True)
    world.carrier("bandwidth", duplicate=True)
    read = world.send(PHONE)
    world.phone("+15551230002", rcs=False)
    texted = world.send("+15551230002")

    world.elapse(60)

    assert world.outcome(read) == "DELIVERED_RCS"
    assert world.delivery(read)["rcs"]["state"] == "READ"
    assert world.outcome(texted) == "DELIVERED_SMS"
    assert world.delivery(texted)["revision"] == 1
    delivered = world.events("backstop.rcs.delivered")
    assert len(delivered) > 1
    assert len({event["id"] for event in delivered}) == 1


def test_a_lost_rcs_receipt_is_a_late_truth(world: World):
    """Without its receipt a delivered message is withdrawn in vain, then texted."""
    world.carrier("rbm", drop="events")
    sent = world.send(PHONE, policy="PROMPT")

    world.pass_deadline()

    assert world.inbox(PHONE, "RCS") == ["Your table is ready"]
    assert world.outcome(sent) == "DELIVERED_SMS"


def test_a_lost_answer_to_the_create_is_repeated(world: World):
    """The same id again: RBM ignores it, the phone shows one message."""
    world.carrier("rbm", drop="answers", **{"for": 1})
    sent = world.send(PHONE)
    world.settle()

    assert world.outcome(sent) == "DELIVERED_RCS"
    assert len(world.inbox(PHONE, "RCS")) == 1


@pytest.mark.parametrize("contract", ["confirming"], indirect=True)
def test_a_message_is_accepted_while_rbm_is_silent(world: World):
    """`send` answers within its budget, durable, with the RCS leg pending."""
    world.carrier("rbm", delay="30s")
    began = time.monotonic()
    sent = world.send(PHONE)
    took = time.monotonic() - began
    world.carrier("rbm")

    assert sent["delivery"]["outcome"] == "PENDING"
    assert sent["delivery"]["rcs"]["state"] == "PENDING"
    assert took < 25
