"""Repeats, cancellations and acknowledgements, at any moment and any number."""

from datetime import timedelta

from backstop.domain.times import format_time, parse_time
from stories.world import World

PHONE = "+15551230001"


def test_a_repeat_sends_nothing_and_answers_the_same(world: World):
    """The same id and body are the same message."""
    first = world.send(PHONE, name="order-1")
    world.settle()
    again = world.send(PHONE, name="order-1")

    for field in ("name", "sendTime", "expireTime", "contentMessage"):
        assert again[field] == first[field]
    world.settle()
    assert len(world.inbox(PHONE, "RCS")) == 1


def test_another_body_is_refused(world: World):
    """An id is taken by the body that it came with, and by its phone."""
    world.send(PHONE, name="order-1")
    for phone, text in (
        (PHONE, "Other words"),
        ("+15551230009", "Your table is ready"),
    ):
        answer = world.call(
            "POST",
            f"/v1/phones/{phone}/agentMessages?messageId=order-1",
            {"contentMessage": {"text": text}, "ttl": f"{world.pace.ttl}s"},
        )

        assert answer.status_code == 409
        assert answer.json()["error"]["status"] == "ALREADY_EXISTS"


def test_a_refused_repeat_leaves_the_message_its_timer(world: World):
    """The same `expireTime` is the very instant that the message waits for."""
    now = parse_time(world.ok("GET", "/simulator/clock")["now"])
    body = {
        "contentMessage": {"text": "Your table is ready"},
        "expireTime": format_time(now + timedelta(seconds=world.pace.ttl)),
    }
    path = "/v1/phones/{}/agentMessages?messageId=order-1"
    world.phone(PHONE, online=False)
    world.carrier("rbm", status=503)
    sent = world.ok("POST", path.format(PHONE), body)
    # By then RBM was asked again, and only the deadline's timer is left.
    world.elapse(world.pace.ttl * 0.96)

    assert world.call("POST", path.format("+15551230009"), body).status_code == 409

    world.carrier("rbm")
    world.pass_grace()
    assert world.outcome(sent) == "DELIVERED_SMS"


def test_cancelling_in_time_prevents_both(world: World):
    """DELETE before the deadline: no RCS, no SMS."""
    world.phone(PHONE, online=False)
    sent = world.send(PHONE)

    assert world.ok("DELETE", f"/v1/{sent['name']}") == {}
    assert world.ok("DELETE", f"/v1/{sent['name']}") == {}
    world.pass_grace()
    world.phone(PHONE, online=True)
    world.settle()

    assert world.phone(PHONE)["inbox"] == []
    confirming = world.contract == "confirming"
    assert world.outcome(sent) == ("CANCELLED" if confirming else "UNCONFIRMED")


def test_cancelling_too_late_is_said(world: World):
    """After a delivery, and after the claim of an SMS, DELETE answers 404."""
    arrived = world.send(PHONE)
    world.phone("+15551230002", rcs=False)
    texted = world.send("+15551230002")
    world.settle()

    for sent in (arrived, texted):
        answer = world.call("DELETE", f"/v1/{sent['name']}")
        assert answer.status_code == 404
    assert world.outcome(arrived) == "DELIVERED_RCS"
    assert world.outcome(texted) == "DELIVERED_SMS"


def test_an_acknowledged_message_falls_back_no_more(world: World):
    """The user has acted: nothing more is sent, however often it is said."""
    world.phone(PHONE, online=False)
    sent = world.send(PHONE, messageTrafficType="AUTHENTICATION")

    for _ in range(2):
        answer = world.ok("POST", f"/v1/{sent['name']}:acknowledge")
        assert answer["delivery"]["outcome"] == "ACKNOWLEDGED"
    world.pass_grace()

    assert world.phone(PHONE)["inbox"] == []
    assert world.outcome(sent) == "ACKNOWLEDGED"


def test_receipts_correct_an_acknowledgement_upward(world: World):
    """What was delivered after all is told as delivered."""
    late = "+15550199042"
    sent = world.send(late, ttl=60)
    world.ok("POST", f"/v1/{sent['name']}:acknowledge")
    again = world.send("+15551230002")
    world.settle()
    world.ok("POST", f"/v1/{again['name']}:acknowledge")

    assert world.outcome(again) == "DELIVERED_RCS"
