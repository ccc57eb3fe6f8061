import base64
import json
from itertools import pairwise

import pytest

from simulator.rbm_events import sign

PHONE = "+15550100002"
REVOKED = "TTL_EXPIRATION_REVOKED"
DAY = 86_400


def test_delivered_at_once_and_read_later(world):
    world.send(PHONE)
    world.advance(0.2)
    delivered = world.receiver.kinds()
    world.advance(2)

    assert delivered == ["DELIVERED"]
    assert world.receiver.kinds() == ["DELIVERED", "READ"]
    assert world.phone(PHONE)["inbox"][0]["readAt"]


def test_a_phone_that_does_not_read(world):
    world.phone(PHONE, reads=False)
    world.send(PHONE)
    world.advance(60)

    assert world.receiver.kinds() == ["DELIVERED"]


def test_an_offline_phone_gets_it_when_it_comes_online(world):
    world.phone(PHONE, online=False)
    world.send(PHONE)
    world.advance(60)
    before = world.inbox(PHONE)
    world.phone(PHONE, online=True)
    world.advance(1)

    assert (before, world.inbox(PHONE)) == ([], ["RCS"])
    assert world.receiver.kinds() == ["DELIVERED"]


@pytest.mark.parametrize("expiry", ["ttl", "expireTime"])
def test_expiry_of_a_waiting_message(world, expiry):
    world.phone(PHONE, online=False)
    answer = world.send(PHONE, ttl="60s")
    if expiry == "expireTime":
        world.revoke(PHONE)
        answer = world.send(PHONE, "m2", expireTime=answer.json()["expireTime"])
    world.advance(60)
    world.phone(PHONE, online=True)
    world.advance(60)

    (event,) = world.receiver.events
    assert (event["eventType"], event["phoneNumber"]) == (REVOKED, PHONE)
    assert event["sendTime"] == answer.json()["expireTime"]
    assert world.inbox(PHONE) == []


def test_dropped_silently_after_thirty_days(world):
    world.phone(PHONE, online=False)
    world.send(PHONE)
    world.advance(30 * DAY)
    world.phone(PHONE, online=True)
    world.advance(60)

    assert (world.receiver.events, world.inbox(PHONE)) == ([], [])


@pytest.mark.parametrize(
    ("contract", "statuses"),
    [
        ("confirming", {"queued": 200, "again": 404, "delivered": 404, "unknown": 404}),
        ("legacy", {"queued": 200, "again": 200, "delivered": 200, "unknown": 200}),
    ],
)
def test_both_delete_contracts(worlds, contract, statuses):
    world = worlds(delete_contract=contract)
    world.send("+15550100003", "delivered")
    world.phone(PHONE, online=False)
    world.send(PHONE, "queued", ttl="60s")
    world.advance(10)
    answers = {
        "queued": world.revoke(PHONE, "queued"),
        "again": world.revoke(PHONE, "queued"),
        "delivered": world.revoke("+15550100003", "delivered"),
        "unknown": world.revoke(PHONE, "unknown"),
    }
    world.phone(PHONE, online=True)
    world.advance(120)

    assert {name: got.status_code for name, got in answers.items()} == statuses
    assert answers["queued"].json() == {}
    assert world.inbox(PHONE) == []
    assert REVOKED not in world.receiver.kinds()


def test_delete_needs_the_right_phone(world):
    world.phone(PHONE, online=False)
    world.send(PHONE)

    assert world.revoke("+15550100003").status_code == 404
    assert world.revoke(PHONE).status_code == 200


class TestWebhook:
    def test_envelope_and_signature(self, world):
        world.send(PHONE)
        world.advance(1)
        headers, body = world.receiver.requests[0]
        envelope = json.loads(body)
        message = envelope["message"]
        data = base64.b64decode(message["data"])

        assert headers["x-goog-signature"] == sign("local-client-token", data)
        assert message["messageId"] == message["message_id"]
        assert message["publishTime"] == message["publish_time"]
        assert message["attributes"]["business_id"] == "demo_agent@rbm.goog"
        assert message["attributes"]["product"] == "RBM"
        assert json.loads(data)["agentId"] == "demo_agent@rbm.goog"

    @pytest.mark.parametrize("status", [201, 204, 302, 400, 500])
    def test_only_200_will_do(self, world, status):
        world.phone(PHONE, reads=False)
        world.receiver.webhook_answers = [status]
        world.send(PHONE)
        world.advance(1)
        before = len(world.receiver.requests)
        world.advance(10)

        assert (before, len(world.receiver.requests)) == (1, 2)
        assert world.receiver.requests[0][1] == world.receiver.requests[1][1]

    def test_backs_off_to_ten_minutes_for_seven_days(self, world):
        world.phone(PHONE, reads=False)
        world.receiver.webhook_answers = [500] * 5000
        started = world.clock.now()
        world.send(PHONE)
        tries = []
        while (due := world.simulator.next_due()) is not None:
            tries.append((due - started).total_seconds())
            world.clock.jump_to(due)
            world.settle()
        gaps = [round(b - a) for a, b in pairwise(tries)]

        assert gaps[:8] == [10, 20, 40, 80, 160, 320, 600, 600]
        assert set(gaps[6:]) == {600}
        assert 6.99 * DAY < tries[-1] <= 7 * DAY + 1

    def test_a_new_token_signs_what_still_waits(self, world):
        world.receiver.webhook_answers = [500]
        world.send("+15550199001")
        world.advance(1)
        world.fault("rbm", clientToken="rotated")
        world.advance(30)
        headers, body = world.receiver.requests[-1]
        data = base64.b64decode(json.loads(body)["message"]["data"])

        assert headers["x-goog-signature"] == sign("rotated", data)


class TestHandshake:
    @pytest.mark.parametrize(
        ("answer", "ok"),
        [
            ("{secret}", True),
            ("secret: {secret}", True),
            ('{{"secret": "{secret}"}}', True),
            ("nonsense", False),
        ],
    )
    def test_tolerant_of_the_answers_in_googles_samples(self, world, answer, ok):
        world.receiver.handshake = answer
        got = world.call("POST", "/carriers/rbm:handshake").json()

        assert got == {"ok": ok, "status": 200}

    def test_no_receiver(self, world):
        world.fault("rbm", webhookUrl="http://127.0.0.1:1/nobody")

        assert world.call("POST", "/carriers/rbm:handshake").json()["ok"] is False


def test_a_launch_event(world):
    answer = world.call("POST", "/carriers/rbm:launch", json={})
    world.advance(1)
    attributes = json.loads(world.receiver.requests[0][1])["message"]["attributes"]

    assert answer.status_code == 200
    assert attributes["type"] == "agent_launch_event"
    assert world.receiver.events[0]["newLaunchState"] == "LAUNCHED"
