from datetime import timedelta
from itertools import pairwise

import pytest

from simulator.segments import segment_count

PHONE = "+15550100002"
DAY = 86_400


def written(moment):
    return moment.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("a" * 152 + "€" + "a" * 152, 3),
        ("ш" * 70, 1),
        ("ш" * 71, 2),
        ("ш" * 134, 2),
        ("ш" * 135, 3),
        ("😀" * 35, 1),
        ("😀" * 66, 2),
        ("😀" * 67, 3),
        ("a" * 2048, 14),
        ("ш" * 2048, 31),
    ],
)
def test_segments(text, segments):
    assert segment_count(text) == segments


def test_the_202(world):
    expiration = written(world.clock.now() + timedelta(minutes=5))
    answer = world.text(PHONE, expiration=expiration, text="a" * 161)

    got = answer.json()
    assert answer.status_code == 202
    assert got.pop("id")
    assert got.pop("time").endswith("Z")
    assert got == {
        "owner": "+15550100001",
        "applicationId": world.carriers.application_id,
        "segmentCount": 2,
        "direction": "out",
        "to": [PHONE],
        "from": "+15550100001",
        "text": "a" * 161,
        "tag": "t1",
        "priority": "default",
        "expiration": expiration,
    }


def test_delivered_with_its_tag_and_without_its_text(world):
    ident = world.text(PHONE).json()["id"]
    world.advance(1)

    (event,) = world.receiver.events
    assert (event["type"], event["to"]) == ("message-delivered", PHONE)
    message = event["message"]
    assert (message["id"], message["tag"], message["text"]) == (ident, "t1", "")
    assert world.phone(PHONE)["inbox"][0]["text"] == "hello"


def test_a_bare_string_for_to(world):
    assert world.text(PHONE, to=PHONE).json()["to"] == [PHONE]


def test_a_group_is_an_mms_with_a_receipt_for_each(world):
    group = [PHONE, "+15550100003"]
    world.text(PHONE, to=group)
    world.advance(1)

    kinds = sorted(world.receiver.kinds())
    assert kinds == ["message-delivered"] * 2 + ["message-sending"] * 2
    assert sorted({event["to"] for event in world.receiver.events}) == group


def test_message_sent_is_switchable(world):
    world.fault("bandwidth", messageSent=True)
    world.text(PHONE)
    world.advance(1)

    assert world.receiver.kinds() == ["message-sent", "message-delivered"]


def test_the_carrier_keeps_it_for_a_phone_that_is_off(world):
    world.phone(PHONE, off=True)
    world.text(PHONE)
    world.advance(60)
    before = (world.receiver.kinds(), world.inbox(PHONE))
    world.phone(PHONE, off=False)

    assert before == (["message-delivered"], [])
    assert world.inbox(PHONE) == ["SMS"]


def test_an_offline_phone_gets_sms(world):
    world.phone(PHONE, online=False)
    world.text(PHONE)
    world.advance(1)

    assert world.inbox(PHONE) == ["SMS"]


def test_a_foreign_application_fails_later(world):
    other = "22222222-2222-4333-8444-555555555555"
    answer = world.text(PHONE, applicationId=other)
    world.advance(1)

    assert answer.status_code == 202
    assert world.receiver.events[0]["errorCode"] == 4452


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"to": []}, "to"),
        ({"to": ["5550100002"]}, "to"),
        ({"to": [PHONE, PHONE]}, "to"),
        ({"to": [f"+1555010000{n}" for n in range(10)] + [PHONE + "9"]}, "to"),
        ({"to": 5}, "to"),
        ({"to": None}, "to"),
        ({"from": None}, "from"),
        ({"from": "much too long a name"}, "from"),
        ({"from": "12345"}, "from"),
        ({"applicationId": "x"}, "applicationId"),
        ({"applicationId": None}, "applicationId"),
        ({"text": "x" * 2049}, "text"),
        ({"text": ""}, "text"),
        ({"text": 7}, "text"),
        ({"tag": "x" * 1025}, "tag"),
        ({"media": "https://example.com/a.png"}, "media"),
        ({"media": ["https://example.com/" + "a" * 4096]}, "media"),
        ({"media": ["https://example.com/a.png"] * 11}, "media"),
        ({"priority": "urgent"}, "priority"),
        ({"expiration": "2020-01-01T00:00:00Z"}, "expiration"),
        ({"expiration": "2030-01-01"}, "expiration"),
    ],
)
def test_bad_fields(world, fields, name):
    answer = world.text(PHONE, **fields)

    assert answer.status_code == 400
    assert answer.json()["type"] == "request-validation"
    assert name in [error["fieldName"] for error in answer.json()["fieldErrors"]]


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b'"\\ud800"'])
def test_bad_bodies(world, raw):
    path = f"/bandwidth/api/v2/users/{world.carriers.account_id}/messages"
    headers = {
        "Authorization": f"Bearer {world.sms_token()}",
        "Content-Type": "application/json; charset=utf-8",
    }
    answer = world.call("POST", path, data=raw, headers=headers)

    assert (answer.status_code, answer.json()["type"]) == (400, "request-validation")


def test_other_content_types(world):
    answer = world.sms(data={"text": "x"})

    assert answer.status_code == 415
    assert answer.json()["type"] == "unsupported-content-type"


def test_wrong_methods(world):
    answer = world.sms("PUT")

    assert (answer.status_code, answer.json()["type"]) == (405, "method-not-allowed")


def test_unknown_paths(world):
    answer = world.call("GET", "/bandwidth/api/v3/nothing").json()

    assert answer.keys() == {"timestamp", "status", "error", "message", "path"}
    assert answer["status"] == 404


class TestCredentials:
    PATH = "/bandwidth/api/v1/oauth2/token"

    def test_a_token_lives_a_whole_number_of_seconds(self, world):
        pair = ("local-client", "local-client-secret")
        form = {"grant_type": "client_credentials"}
        answer = world.call("POST", self.PATH, data=form, auth=pair).json()

        assert answer["token_type"] == "Bearer"
        assert isinstance(answer["expires_in"], int)

    @pytest.mark.parametrize("pair", [None, ("local-client", "wrong"), ("é", "x")])
    def test_wrong_client(self, world, pair):
        form = {"grant_type": "client_credentials"}
        answer = world.call("POST", self.PATH, data=form, auth=pair)

        assert answer.status_code == 401

    def test_wrong_grant(self, world):
        pair = ("local-client", "local-client-secret")
        answer = world.call("POST", self.PATH, data={}, auth=pair)

        assert answer.status_code == 400

    def test_another_account(self, world):
        headers = {"Authorization": f"Bearer {world.sms_token()}"}
        path = "/bandwidth/api/v2/users/1234567/messages"

        assert world.call("POST", path, json={}, headers=headers).status_code == 401

    def test_basic_only_when_switched_on(self, world):
        pair = ("local-client", "local-client-secret")
        path = f"/bandwidth/api/v2/users/{world.carriers.account_id}/messages"
        before = world.call("POST", path, json={}, auth=pair).status_code
        world.fault("bandwidth", basicAuth=True)

        assert before == 401
        assert world.call("POST", path, json={}, auth=pair).status_code == 400


class TestQueue:
    def test_drains_at_its_rate(self, world):
        world.fault("bandwidth", segmentsPerSecond=1)
        for _ in range(4):
            world.text(PHONE)
        world.advance(1.5)

        assert len(world.inbox(PHONE)) == 2

    def test_counts_segments_and_refuses_when_full(self, world):
        world.fault("bandwidth", segmentsPerSecond=1, queueSeconds=5)
        statuses = []
        for _ in range(5):
            answer = world.text(PHONE, text="a" * 300)
            statuses.append(answer.status_code)
            world.settle()

        assert statuses == [202, 202, 202, 429, 429]
        refused = answer.json()
        assert refused["type"] == "max-message-queue-size-exceeded"
        assert "60 messages a minute" in refused["description"]

    def test_high_priority_goes_first(self, world):
        world.fault("bandwidth", segmentsPerSecond=1)
        world.text("+15550100009")
        world.advance(0.1)
        for tag, priority in (("a", "default"), ("b", "default"), ("c", "high")):
            world.text(PHONE, tag=tag, text=tag, priority=priority)
        world.advance(10)

        texts = [entry["text"] for entry in world.phone(PHONE)["inbox"]]
        assert texts == ["c", "a", "b"]

    def test_expires_while_queued(self, world):
        world.fault("bandwidth", segmentsPerSecond=1)
        expiration = written(world.clock.now() + timedelta(seconds=2))
        world.text(PHONE, text="a" * 1000)
        world.text(PHONE, tag="late", expiration=expiration)
        world.advance(60)

        failed = [event for event in world.receiver.events if "errorCode" in event]
        assert [event["errorCode"] for event in failed] == [4360]
        assert failed[0]["message"]["tag"] == "late"
        assert len(world.inbox(PHONE)) == 1


class TestCallbacks:
    def test_the_first_request_is_challenged(self, world):
        world.text(PHONE)
        world.advance(1)
        first, second = world.receiver.requests

        assert "authorization" not in first[0]
        assert second[0]["authorization"].startswith("Basic ")
        assert second[0]["user-agent"] == "BandwidthAPI/v2"
        assert first[1] == second[1]

    def test_lost_for_good_without_a_challenge(self, world):
        world.receiver.challenge = {}
        world.text(PHONE)
        world.advance(2 * DAY)

        assert len(world.receiver.requests) == 1

    @pytest.mark.parametrize("status", [302, 400, 401, 500])
    def test_retried_with_growing_gaps_for_a_day(self, world, status):
        world.receiver.callback_answers = [status] * 500
        world.text(PHONE)
        world.settle()
        tries = []
        while (due := world.simulator.next_due()) is not None:
            tries.append(due)
            world.clock.jump_to(due)
            world.settle()
        gaps = [(b - a).total_seconds() for a, b in pairwise(tries)]

        assert gaps[:3] == [10, 20, 40]
        assert gaps == sorted(gaps)
        assert tries[-1] - tries[0] <= timedelta(days=1)

    def test_ends_with_any_2xx(self, world):
        world.receiver.callback_answers = [204]
        world.text(PHONE)
        world.advance(2 * DAY)

        assert len(world.receiver.events) == 1


class TestList:
    def test_a_filter_is_required(self, world):
        answer = world.sms("GET")

        assert (answer.status_code, answer.json()["type"]) == (
            400,
            "request-validation",
        )

    def test_finds_by_number_and_status(self, world):
        world.text(PHONE)
        world.text("+15550199020")
        world.advance(1)
        query = "?destinationTn=%2B15550199020&messageStatus=FAILED"
        answer = world.sms("GET", query).json()

        assert answer["totalCount"] == 1
        (found,) = answer["messages"]
        assert (found["errorCode"], found["messageType"]) == (4720, "sms")
        assert "text" not in found
        assert "tag" not in found

    def test_pages(self, world):
        for _ in range(3):
            world.text(PHONE)
        first = world.sms("GET", "?sourceTn=%2B15550100001&limit=2").json()
        token = first["pageInfo"]["nextPageToken"]
        rest = world.sms("GET", f"?sourceTn=%2B15550100001&limit=2&pageToken={token}")

        assert (first["totalCount"], len(first["messages"])) == (3, 2)
        assert len(rest.json()["messages"]) == 1

    def test_finds_by_time(self, world):
        world.text(PHONE)
        later = written(world.clock.now() + timedelta(hours=1))
        answer = world.sms("GET", f"?fromDateTime={later}").json()

        assert answer["messages"] == []

    @pytest.mark.parametrize(
        "query", ["limit=x", "limit=0", "limit=99999", "fromDateTime=x", "pageToken=-1"]
    )
    def test_bad_parameters(self, world, query):
        assert world.sms("GET", f"?{query}").status_code == 400
