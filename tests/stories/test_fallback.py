"""The main job: the SMS arrives when, and only when, RCS did not."""

import pytest

from stories.world import World

PHONE = "+15551230001"


def test_an_online_phone_gets_rcs_and_no_sms(world: World):
    """A receipt before the deadline stops the SMS."""
    sent = world.send(PHONE)
    world.settle()

    delivery = world.delivery(sent)
    assert delivery["outcome"] == "DELIVERED_RCS"
    assert delivery["rcs"]["state"] == "READ"
    world.pass_grace()
    assert world.inbox(PHONE, "RCS") == ["Your table is ready"]
    assert world.inbox(PHONE, "SMS") == []


@pytest.mark.parametrize("policy", ["PROMPT", "CONFIRMED", "STRICT", "HEDGE"])
def test_an_offline_phone_gets_the_sms(world: World, policy: str):
    """What RBM withdraws at its expiry leaves as an SMS, under every policy."""
    world.phone(PHONE, online=False)
    sent = world.send(PHONE, policy=policy)
    assert sent["delivery"]["rcs"]["state"] == "ACCEPTED"

    world.pass_grace()

    assert world.outcome(sent) == "DELIVERED_SMS"
    assert world.inbox(PHONE, "SMS") == ["Your table is ready"]
    world.phone(PHONE, online=True)
    world.settle()
    assert world.inbox(PHONE, "RCS") == []


def test_nothing_leaves_before_the_deadline(world: World):
    """Until the deadline the message is RCS alone."""
    world.phone(PHONE, online=False)
    sent = world.send(PHONE)

    world.elapse(world.pace.ttl / 2)

    assert world.inbox(PHONE, "SMS") == []
    assert world.delivery(sent)["next"]["what"] == "deadline_passed"


def test_a_phone_without_rcs_gets_the_sms_at_once(world: World):
    """Nobody waits for a deadline that RCS cannot meet."""
    world.phone(PHONE, rcs=False)
    sent = world.send(PHONE)
    assert sent["delivery"]["rcs"]["state"] == "UNREACHABLE"

    world.settle()

    assert world.outcome(sent) == "DELIVERED_SMS"
    assert world.inbox(PHONE, "SMS") == ["Your table is ready"]


def test_the_sms_says_what_the_app_chose(world: World):
    """`fallback.text` replaces the derived text."""
    world.phone(PHONE, rcs=False)
    world.send(PHONE, fallback={"text": "Short and plain"})

    world.settle()

    assert world.inbox(PHONE, "SMS") == ["Short and plain"]


def test_without_a_fallback_the_message_fails_honestly(world: World):
    """`fallback: false` revokes at the deadline and sends nothing."""
    world.phone(PHONE, online=False)
    sent = world.send(PHONE, fallback=False)

    world.pass_grace()

    assert world.outcome(sent) == "FAILED"
    assert world.inbox(PHONE, "SMS") == []


def test_two_days_pass_in_a_moment(world: World):
    """A long deadline is a jump of the clock away."""
    if not world.pace.virtual:
        pytest.skip("two days of real time")
    world.phone(PHONE, online=False)
    sent = world.send(PHONE, ttl=172800)

    world.elapse(172810)

    assert world.outcome(sent) == "DELIVERED_SMS"


def test_words_that_are_too_long_are_seen_to_be_cut(world: World):
    """What was derived ends in dots, and GET shows what the SMS says."""
    world.phone(PHONE, rcs=False)
    sent = world.send(PHONE, "long " * 600)
    world.settle()

    (text,) = world.inbox(PHONE, "SMS")
    assert 2000 < len(text) <= 2048
    assert text.endswith("...")
    assert sent["fallback"]["text"] == text
    assert sent["fallback"]["cut"] is True


def test_carriers_events_have_their_published_names(world: World):
    """An entry with an id is an event that subscribers know by it."""
    sent = world.send(PHONE)
    world.settle()

    told = {(e["id"], e["type"]) for e in world.delivery(sent)["events"] if e["id"]}
    published = {(e["id"], e["type"]) for e in world.events("backstop.rcs.")}
    assert told == published
