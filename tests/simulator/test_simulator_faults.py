import asyncio
import threading

import pytest
import requests

from simulator.web import Lost, Resource

PHONE = "+15550100002"


@pytest.mark.parametrize("carrier", ["rbm", "bandwidth"])
@pytest.mark.parametrize("status", [401, 429, 503])
def test_status_answers_and_does_nothing(world, carrier, status):
    world.fault(carrier, status=status)
    call = world.send if carrier == "rbm" else world.text
    answer = call(PHONE)
    world.advance(60)

    assert answer.status_code == status
    assert answer.json()
    assert world.inbox(PHONE) == []


@pytest.mark.parametrize("carrier", ["rbm", "bandwidth"])
@pytest.mark.parametrize(("drop", "arrived"), [("answers", 1), ("requests", 0)])
def test_dropped_connections(world, carrier, drop, arrived):
    world.fault(carrier, drop=drop)
    call = world.send if carrier == "rbm" else world.text
    with pytest.raises(requests.ConnectionError):
        call(PHONE)
    world.advance(60)

    assert len(world.inbox(PHONE)) == arrived


@pytest.mark.parametrize("drop", ["events", True])
def test_dropped_events(world, drop):
    for carrier in ("rbm", "bandwidth"):
        world.fault(carrier, drop=drop)
    world.send(PHONE)
    world.text(PHONE)
    world.advance(60)

    assert sorted(world.inbox(PHONE)) == ["RCS", "SMS"]
    assert world.receiver.events == []


def test_duplicates_are_the_same_bytes(world):
    world.fault("rbm", duplicate=True)
    world.phone(PHONE, reads=False)
    world.send(PHONE)
    world.advance(60)
    bodies = [body for _, body in world.receiver.requests]

    assert len(bodies) == 2
    assert bodies[0] == bodies[1]


def test_reorder(world):
    world.fault("rbm", reorder=True)
    world.fault("bandwidth", reorder=True, messageSent=True)
    world.send(PHONE)
    world.text("+15550100003")
    world.advance(60)
    kinds = world.receiver.kinds()

    assert kinds.index("READ") < kinds.index("DELIVERED")
    assert kinds.index("message-delivered") < kinds.index("message-sent")


def test_delay_holds_events_back(world):
    world.fault("rbm", delay="0.05s")
    world.phone(PHONE, reads=False)
    world.send(PHONE)
    world.advance(0.2)
    before = world.receiver.kinds()
    world.advance(0.05)

    assert (before, world.receiver.kinds()) == ([], ["DELIVERED"])


def test_delayed_answers_block_nobody(world):
    world.send(PHONE)
    world.fault("rbm", delay="1s")
    slow = threading.Thread(target=world.send, args=("+15550100003", "m2"))
    slow.start()
    for _ in range(5):
        world.phone(PHONE)
    meanwhile = slow.is_alive()
    slow.join()

    assert meanwhile


def test_a_fault_for_some_requests(world):
    world.fault("rbm", status=503, **{"for": 2})
    answers = [world.send(PHONE).status_code for _ in range(3)]

    assert answers == [503, 503, 200]
    assert world.call("GET", "/carriers/rbm").json()["status"] is None


def test_a_fault_for_some_time(world):
    world.fault("rbm", status=503, **{"for": "60s"})
    world.advance(59)
    before = world.send(PHONE).status_code
    world.advance(1)

    assert (before, world.send(PHONE).status_code) == (503, 200)


def test_events_of_the_last_counted_request_are_still_faulty(world):
    world.fault("rbm", duplicate=True, **{"for": 1})
    world.phone(PHONE, reads=False)
    world.send(PHONE, "m1")
    world.advance(1)
    world.send(PHONE, "m2")
    world.advance(1)

    assert [event["messageId"] for event in world.receiver.events] == ["m1", "m1", "m2"]


def test_a_put_is_partial_and_null_clears(world):
    world.fault("rbm", status=503, duplicate=True)
    shown = world.fault("rbm", status=None, deleteContract="legacy").json()

    assert (shown["status"], shown["duplicate"]) == (None, True)
    assert shown["deleteContract"] == "legacy"
    assert world.revoke(PHONE, "unknown").status_code == 200


def test_delete_clears_the_faults_and_keeps_the_settings(world):
    url = f"{world.base}/elsewhere"
    world.fault("rbm", status=503, deleteContract="legacy", webhookUrl=url)
    shown = world.call("DELETE", "/carriers/rbm").json()

    assert (shown["status"], shown["deleteContract"]) == (None, "confirming")
    assert shown["webhookUrl"] == url


def test_secrets_are_not_shown(world):
    world.fault("rbm", clientToken="very-secret-token")
    world.fault("bandwidth", callbackPassword="very-secret-word")
    shown = [
        world.call("GET", f"/carriers/{name}").text for name in ("rbm", "bandwidth")
    ]

    assert "very-secret" not in "".join(shown)
    assert "local-client" not in "".join(shown)


def test_a_wrong_field_changes_nothing(world):
    world.fault("rbm", status=503, delay="nonsense")

    assert world.send(PHONE).status_code == 200


def test_a_server_that_shows_no_connection_gets_a_broken_answer():
    """Only uvicorn lets an application close a connection unanswered."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b""}

    async def send(event):
        sent.append(event)

    resource = Resource(None, {"GET": lambda _: Lost()})
    scope = {"method": "GET", "path": "/", "headers": []}
    asyncio.run(resource(scope, receive, send))

    assert [event["type"] for event in sent] == ["http.response.start"]
    assert (b"content-length", b"1") in sent[0]["headers"]
