PHONE = "+15550100002"


def test_everything_is_as_it_was(worlds):
    world = worlds()
    world.send(PHONE)
    world.text(PHONE)
    world.advance(10)
    world.phone("+15550100003", online=False, readDelay="5s")
    world.fault("rbm", duplicate=True)
    first = world.send("+15550100003", "m2", ttl="60s").json()
    before = world.phone(PHONE)
    world = worlds()

    assert world.phone(PHONE) == before
    assert world.phone("+15550100003")["readDelay"] == "5s"
    assert world.call("GET", "/carriers/rbm").json()["duplicate"] is True
    assert world.send("+15550100003", "m2").json() == first


def test_what_was_due_meanwhile_happens(worlds, clock):
    world = worlds()
    world.phone(PHONE, online=False)
    world.send(PHONE, ttl="60s")
    world.simulator.stop()
    world = worlds()
    world.advance(60)

    assert world.receiver.kinds() == ["TTL_EXPIRATION_REVOKED"]


def test_an_unacknowledged_event_is_brought_again(worlds):
    world = worlds()
    world.receiver.webhook_answers = [500] * 3
    world.send("+15550199001")
    world.advance(1)
    world = worlds()
    world.advance(60)

    assert world.receiver.kinds() == ["DELIVERED"]


def test_the_sms_queue_goes_on(worlds):
    world = worlds()
    world.fault("bandwidth", segmentsPerSecond=1)
    for _ in range(3):
        world.text(PHONE)
    world = worlds()
    world.advance(10)

    assert world.inbox(PHONE) == ["SMS"] * 3
    assert world.receiver.kinds() == ["message-delivered"] * 3


def test_tokens_are_still_known(worlds):
    world = worlds()
    token = world.rbm_token()
    world = worlds()
    world._rbm = {"Authorization": f"Bearer {token}"}

    assert world.send(PHONE).status_code == 200


def test_32_receivers_are_called_at_once(world):
    """All are answered only when the last has arrived, and one loop serves them."""
    world.receiver.together = 32
    for index in range(32):
        assert world.say(PHONE, text=str(index)).status_code == 200
    world.settle()

    assert len(world.receiver.events) == 32
