"""Every reserved number's first-order behaviour, by table."""

import pytest
import requests

from simulator import RESERVED

ANY = "+155501990"
DELIVERED, READ = "DELIVERED", "READ"
REVOKED, FAILED = "TTL_EXPIRATION_REVOKED", "TTL_EXPIRATION_REVOKE_FAILED"
SENT, NOT_SENT = "message-delivered", "message-failed"


@pytest.mark.parametrize(
    ("number", "events"),
    [
        ("00", [DELIVERED, READ]),
        ("01", [DELIVERED]),
        ("02", [REVOKED]),
        ("04", [FAILED, DELIVERED]),
        ("05", []),
        ("06", []),
        ("07", [DELIVERED, REVOKED]),
        ("12", [DELIVERED, READ]),
        ("13", [FAILED]),
        ("14", [REVOKED, DELIVERED]),
        ("15", []),
        ("40", [DELIVERED, DELIVERED, READ, READ]),
        ("41", [READ, DELIVERED]),
        ("42", [DELIVERED, READ]),
        ("60", [DELIVERED, READ]),
    ],
)
def test_events_of_an_rcs_message(world, number, events):
    try:
        world.send(ANY + number, ttl="60s")
    except requests.ConnectionError:
        assert number == "12"
    world.advance(600)

    got = world.receiver.kinds()
    assert (sorted(got) if number == "07" else got) == events
    assert world.inbox(ANY + number) == ["RCS"] * (DELIVERED in events)


@pytest.mark.parametrize(
    ("number", "status"),
    [("03", 404), ("08", 400), ("09", 403), ("10", 429), ("11", 503), ("20", 404)],
)
def test_refused_creates(world, number, status):
    answers = [world.send(ANY + number).status_code for _ in range(2)]
    world.advance(60)

    assert answers == [status, status]
    assert world.receiver.events == []


@pytest.mark.parametrize(
    ("number", "before", "after_expiry"),
    [
        ("02", 200, 404),
        ("04", 404, 404),
        ("05", 200, 200),
        ("06", 200, 200),
        ("13", 404, 404),
        ("15", 503, 503),
    ],
)
def test_delete(world, number, before, after_expiry):
    world.send(ANY + number, "early", ttl="60s")
    world.send(ANY + number, "late", ttl="60s")
    early = world.revoke(ANY + number, "early")
    world.advance(61)
    late = world.revoke(ANY + number, "late")

    assert (early.status_code, late.status_code) == (before, after_expiry)


def test_delivered_after_a_delete_that_said_withdrawn(world):
    world.send(ANY + "05", ttl="60s")
    world.advance(61)
    world.revoke(ANY + "05")
    world.advance(1)

    assert world.receiver.kinds() == [DELIVERED]
    assert world.inbox(ANY + "05") == ["RCS"]


def test_delivered_ninety_seconds_after_the_expiry(world):
    world.send(ANY + "04", ttl="60s")
    world.advance(149)
    before = world.receiver.kinds()
    world.advance(1)

    assert before == [FAILED]
    assert world.receiver.kinds() == [FAILED, DELIVERED]


def test_slow_delivery_takes_thirty_seconds(world):
    world.send(ANY + "42")
    world.advance(29)
    before = world.inbox(ANY + "42")
    world.advance(1)

    assert before == []
    assert world.inbox(ANY + "42") == ["RCS"]


def test_a_lost_answer_is_given_to_a_repeat(world):
    with pytest.raises(requests.ConnectionError):
        world.send(ANY + "12")

    assert world.send(ANY + "12").status_code == 200


@pytest.mark.parametrize(
    ("number", "statuses", "events", "arrived"),
    [
        ("00", [202, 202], [SENT, SENT], 2),
        ("20", [202, 202], [4720, 4720], 0),
        ("21", [202, 202], [], 2),
        ("22", [0, 0], [], 0),
        ("23", [0, 0], [SENT, SENT], 2),
        ("24", [202, 202], [9902, 9902], 2),
        ("25", [429, 202], [SENT], 1),
        ("26", [500, 500], [SENT, SENT], 2),
        ("27", [202, 202], [5101, SENT], 1),
        ("28", [400, 400], [], 0),
        ("29", [202, 202], [9902, 9902, SENT, SENT], 2),
        ("30", [202, 202], [4775, 4775], 0),
        ("31", [202, 202], [], 0),
    ],
)
def test_two_equal_sms(world, number, statuses, events, arrived):
    got = []
    for tag in ("t1", "t2"):
        try:
            got.append(world.text(ANY + number, tag=tag).status_code)
        except requests.ConnectionError:
            got.append(0)
    world.advance(120)

    told = [event.get("errorCode", event["type"]) for event in world.receiver.events]
    assert got == statuses
    assert sorted(told, key=str) == sorted(events, key=str)
    assert world.inbox(ANY + number) == ["SMS"] * arrived


def test_the_table_is_served_whole(world):
    rows = world.call("GET", "/reserved").json()["reserved"]

    assert [row["number"] for row in rows] == list(RESERVED)
    assert all(row["name"] and row["description"] for row in rows)
