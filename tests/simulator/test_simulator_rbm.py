import json

import pytest

from simulator import RESERVED
from simulator.rbm_events import sign

PHONE = "+15550100002"
VECTOR = (
    '{"senderPhoneNumber":"+15550100001","eventType":"DELIVERED",'
    '"eventId":"evt-0001","messageId":"7c1f0c0e-6a52-4a55-9a0e-0d5a4d6a1b11",'
    '"sendTime":"2026-04-05T12:00:00.123456Z","agentId":"demo_agent@rbm.goog"}'
)
SIGNATURE = (
    "skkY21x4kuLu1tfvA/PGCN9l+R5GNf7+pzwcs5hiq+hKZZzpCQ72t4Dt+ZpNn+Rin1X7dlajKui7v7m"
    "pkk1pBQ=="
)
MESSAGES = f"/v1/phones/{PHONE}/agentMessages"
OK = {"contentMessage": {"text": "hello"}}
REPLY = {"reply": {"text": "Yes", "postbackData": "y"}}


def card(**content):
    return {"richCard": {"standaloneCard": {"cardContent": content}}}


def carousel(count, width="MEDIUM", **content):
    cards = [{"title": "A", **content}] * count
    return {"richCard": {"carouselCard": {"cardWidth": width, "cardContents": cards}}}


def action(**fields):
    return {"text": "x", "suggestions": [{"action": {"text": "Go", **fields}}]}


def media(height="TALL"):
    return {"height": height, "contentInfo": {"fileUrl": "https://example.com/a.png"}}


def violation(answer):
    error = answer.json()["error"]
    assert error["status"] == "INVALID_ARGUMENT"
    return error["details"][0]["fieldViolations"][0]["field"]


def test_signature_vector():
    assert sign("tok-3F9A-example", VECTOR.encode()) == SIGNATURE


def test_an_answer_echoes_the_message(world):
    answer = world.send(PHONE, messageTrafficType="AUTHENTICATION", ttl="120s").json()

    assert answer["name"] == f"phones/{PHONE}/agentMessages/m1"
    assert answer["contentMessage"] == {"text": "hello"}
    assert answer["messageTrafficType"] == "AUTHENTICATION"
    assert answer.keys() == {*answer} & {
        "name",
        "sendTime",
        "contentMessage",
        "messageTrafficType",
        "expireTime",
    }


def test_a_repeat_gets_the_first_answer_and_sends_nothing(world):
    first = world.send(PHONE)
    world.advance(60)
    other = {"contentMessage": {"text": "other"}}
    repeat = world.send("+15550100003", body=other)
    world.advance(60)

    assert (repeat.status_code, repeat.json()) == (200, first.json())
    assert world.receiver.kinds() == ["DELIVERED", "READ"]


@pytest.mark.parametrize(
    "body",
    [
        {"content_message": {"text": "hello"}, "message_traffic_type": "PROMOTION"},
        {"contentMessage": {"text": "hello", "suggestions": []}, "ttl": None},
        {"contentMessage": {"text": "hello", "richCard": None, "suggestions": None}},
        {"contentMessage": {"text": "hello"}, "messageTrafficType": 3},
    ],
    ids=["snake case", "empty list", "nulls", "enum number"],
)
def test_tolerant_in_form(world, body):
    answer = world.send(PHONE, body=body)

    assert answer.status_code == 200, answer.text
    assert answer.json()["contentMessage"] == {"text": "hello"}


@pytest.mark.parametrize(
    "raw",
    [
        "{'contentMessage': {'text': 'hello',},}",
        "{'contentMessage': {'text': 'hello', 'suggestions': [],},}",
        '{"contentMessage": {"text": "hello",}, "ttl": null,\n}',
    ],
)
def test_tolerant_in_json(world, raw):
    query = "?messageId=m1&agentId=demo_agent"
    answer = world.rbm("POST", MESSAGES + query, data=raw.encode())

    assert answer.json()["contentMessage"] == {"text": "hello"}


def test_googles_helper_on_the_wire(world):
    """What the official Python helper sends: nulls, snake_case, deprecated names."""
    card_content = {
        "title": "Sea",
        "description": None,
        "media": {"height": "MEDIUM", "fileName": "files/1", "contentInfo": None},
        "suggestions": [
            {
                "action": {
                    "text": "Here",
                    "postback_data": "p",
                    "fallback_url": None,
                    "share_location_action": {},
                }
            },
            {
                "action": {
                    "text": "There",
                    "postbackData": "q",
                    "fallbackUrl": None,
                    "viewLocationAction": {
                        "latLong": {"latitude": "52.5", "longitude": "13.4"},
                        "label": "Bar",
                    },
                }
            },
        ],
    }
    alone = {
        "cardOrientation": "VERTICAL",
        "thumbnailImageAlignment": None,
        "cardContent": card_content,
    }
    body = {"contentMessage": {"richCard": {"standaloneCard": alone}}}
    ident = "278625930521703802062352254406092759160a"
    answer = world.send(PHONE, ident, body=body)

    assert answer.status_code == 200, answer.text
    echoed = answer.json()["contentMessage"]["richCard"]["standaloneCard"]
    actions = [one["action"] for one in echoed["cardContent"]["suggestions"]]
    assert actions[0] == {
        "text": "Here",
        "postbackData": "p",
        "shareLocationAction": {},
    }
    assert actions[1]["viewLocationAction"]["latLong"]["latitude"] == 52.5


@pytest.mark.parametrize("number", [PHONE, PHONE.replace("+", "%2B")])
@pytest.mark.parametrize("agent", ["demo_agent", "demo_agent@rbm.goog"])
def test_spellings_of_number_and_agent(world, number, agent):
    path = f"/v1/phones/{number}/agentMessages?messageId=m1&agentId={agent}"

    assert world.rbm("POST", path, json=OK).status_code == 200


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({}, "contentMessage"),
        ({"text": ""}, "contentMessage"),
        ({"text": "x" * 3073}, "contentMessage.text"),
        ({"text": "x", "fileName": "f"}, "agent_message.content_message.file_name"),
        ({"text": "x", "nonsense": 1}, "agent_message.content_message"),
        ({"text": 5}, "agent_message.content_message.text"),
        ({"text": "x", "suggestions": [REPLY] * 12}, "contentMessage.suggestions"),
        (
            {"text": "x", "suggestions": [{"reply": {"text": "y" * 26}}]},
            "contentMessage.suggestions[0].reply.text",
        ),
        (
            {
                "text": "x",
                "suggestions": [{"reply": {"text": "y", "postbackData": "z" * 2049}}],
            },
            "contentMessage.suggestions[0].reply.postbackData",
        ),
        ({"text": "x", "suggestions": [{}]}, "contentMessage.suggestions[0]"),
        (action(), "contentMessage.suggestions[0].action"),
        (
            action(dialAction={"phoneNumber": "call me"}),
            "contentMessage.suggestions[0].action.dialAction.phoneNumber",
        ),
        (
            action(openUrlAction={"url": "nothing"}),
            "contentMessage.suggestions[0].action.openUrlAction.url",
        ),
        (
            action(viewLocationAction={"latLong": {"latitude": 91}}),
            "contentMessage.suggestions[0].action.viewLocationAction.latLong.latitude",
        ),
        (
            action(createCalendarEventAction={"title": "x"}),
            "contentMessage.suggestions[0].action.createCalendarEventAction.startTime",
        ),
        (
            action(dialAction={"phoneNumber": "1"}, shareLocationAction={}),
            "agent_message.content_message.suggestions[0].action.share_location_action",
        ),
        ({"contentInfo": {"fileUrl": "a.png"}}, "contentMessage.contentInfo.fileUrl"),
        ({"richCard": {}}, "contentMessage.richCard"),
        (card(), "contentMessage.richCard.standaloneCard.cardContent"),
        (
            card(title="x" * 201),
            "contentMessage.richCard.standaloneCard.cardContent.title",
        ),
        (
            card(title="x", suggestions=[REPLY] * 5),
            "contentMessage.richCard.standaloneCard.cardContent.suggestions",
        ),
        (
            card(title="x", media={"height": "TALL"}),
            "contentMessage.richCard.standaloneCard.cardContent.media",
        ),
        (carousel(1), "contentMessage.richCard.carouselCard.cardContents"),
        (carousel(11), "contentMessage.richCard.carouselCard.cardContents"),
        (
            carousel(2, "SMALL", media=media()),
            "contentMessage.richCard.carouselCard.cardContents[0].media.height",
        ),
    ],
)
def test_content_beyond_the_limits(world, content, field):
    answer = world.send(PHONE, body={"contentMessage": content})

    assert (answer.status_code, violation(answer)) == (400, field)


@pytest.mark.parametrize(
    ("top", "field"),
    [
        ({"ttl": "1296001s"}, "ttl"),
        ({"ttl": "0s"}, "ttl"),
        ({"ttl": "-5s"}, "ttl"),
        ({"ttl": "soon"}, "agent_message.ttl"),
        ({"expireTime": "2020-01-01T00:00:00Z"}, "expireTime"),
        ({"expireTime": "9999-01-01T00:00:00Z"}, "expireTime"),
        ({"expireTime": "tomorrow"}, "agent_message.expire_time"),
        ({"ttl": "5s", "expireTime": "2030-01-01T00:00:00Z"}, "agent_message.ttl"),
        ({"messageTrafficType": "LOVE"}, "agent_message.message_traffic_type"),
        ({"trafficType": "PROMOTION"}, "agent_message"),
    ],
)
def test_wrong_fields_beside_the_content(world, top, field):
    answer = world.send(PHONE, **top)

    assert (answer.status_code, violation(answer)) == (400, field)


def test_an_unknown_field_is_named_as_google_names_it(world):
    message = world.send(PHONE, wrong=1).json()["error"]["message"]

    assert message == (
        "Invalid JSON payload received. Unknown name \"wrong\" at 'agent_message': "
        "Cannot find field."
    )


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nothing",
        b"[1]",
        b"\xff\xfe",
        b'{"contentMessage": {"text": "\\ud800"}}',
        b'{"contentMessage": {"text": NaN}}',
        b"[" * 100_000,
        json.dumps({"contentMessage": {"text": "x" * 300_000}}).encode(),
        json.dumps({"contentMessage": {"fileName": "x" * 300_000}}).encode(),
        b" " * 2_000_000,
    ],
    ids=lambda raw: repr(raw[:20]),
)
def test_bad_bodies(world, raw):
    answer = world.rbm("POST", f"{MESSAGES}?messageId=m1&agentId=demo_agent", data=raw)

    assert answer.status_code == 400
    assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", f"{MESSAGES}?agentId=demo_agent", 400),
        ("POST", f"{MESSAGES}?messageId=m1", 403),
        ("POST", f"{MESSAGES}?messageId=m1&agentId=stranger", 403),
        (
            "POST",
            "/v1/phones/5550100002/agentMessages?messageId=m&agentId=demo_agent",
            400,
        ),
        ("POST", "/v1/phones/+1a/agentMessages?messageId=m&agentId=demo_agent", 400),
        ("DELETE", f"{MESSAGES}/m1", 403),
        ("DELETE", f"{MESSAGES}/m1?agentId=demo_agent", 404),
        ("GET", f"{MESSAGES}/m1?agentId=demo_agent", 405),
        ("PUT", MESSAGES, 405),
        ("GET", "/v2/anything", 404),
        ("POST", "/v1/phones/", 404),
        ("GET", "", 404),
    ],
)
def test_wrong_requests(world, method, path, status):
    body = OK if method == "POST" else None
    answer = world.rbm(method, path or "/", json=body)

    assert answer.status_code == status
    assert answer.json()["error"]["code"] == status


def test_a_phone_without_a_feature_gets_no_message(world):
    world.phone(PHONE, features=["RICHCARD_STANDALONE"])
    answer = world.send(PHONE, body={"contentMessage": carousel(2)})

    assert answer.status_code == 400
    assert "RICHCARD_CAROUSEL" in answer.json()["error"]["message"]


class TestTokens:
    def ask(self, world, **form):
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", **form}
        return world.call("POST", "/rbm/token", data=form)

    def test_issues_a_bearer_token(self, world, make_assertion):
        answer = self.ask(world, assertion=make_assertion()).json()

        assert (answer["expires_in"], answer["token_type"]) == (3599, "Bearer")

    def test_judges_no_time_by_the_virtual_clock(self, world):
        world.send(PHONE, "m1")
        world.advance(86_400)

        assert world.send(PHONE, "m2").status_code == 200

    @pytest.mark.parametrize(
        "claims",
        [{"iss": ""}, {"aud": ""}, {"scope": None}, {"head": {"alg": "HS256"}}],
        ids=str,
    )
    def test_refuses_a_malformed_assertion(self, world, make_assertion, claims):
        answer = self.ask(world, assertion=make_assertion(**claims))

        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")

    @pytest.mark.parametrize("raw", ["", "a.b.c", "a.b", "e30.e30.e30", "\u00e9.x.y"])
    def test_refuses_what_is_no_jwt(self, world, raw):
        assert self.ask(world, assertion=raw).json()["error"] == "invalid_grant"

    def test_refuses_another_grant(self, world, make_assertion):
        answer = self.ask(world, grant_type="password", assertion=make_assertion())

        assert answer.json()["error"] == "invalid_grant"

    @pytest.mark.parametrize("token", ["", "Bearer", "Bearer x.y.z", "Basic eA==", "é"])
    def test_nothing_works_without_one(self, world, token):
        headers = {"Authorization": token.encode()} if token else {}
        answer = world.call("POST", f"/rbm{MESSAGES}", json=OK, headers=headers)

        assert answer.status_code == 401
        assert answer.json()["error"]["status"] == "UNAUTHENTICATED"

    def test_the_other_carriers_token_is_none(self, world):
        headers = {"Authorization": f"Bearer {world.sms_token()}"}

        assert world.call("POST", f"/rbm{MESSAGES}", headers=headers).status_code == 401


class TestOtherMethods:
    def test_an_agent_event_shares_the_messages_ids(self, world):
        path = f"/v1/phones/{PHONE}/agentEvents?eventId=m1&agentId=demo_agent"
        event = world.rbm("POST", path, json={"eventType": "IS_TYPING"}).json()

        assert event["eventType"] == "IS_TYPING"
        assert world.send(PHONE, "m1").json() == event

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"eventType": "READ", "messageId": "u1"}, 200),
            ({"eventType": "READ"}, 400),
            ({"eventType": "SHOUT"}, 400),
            ({}, 400),
        ],
    )
    def test_agent_events(self, world, body, status):
        path = f"/v1/phones/{PHONE}/agentEvents?eventId=e1&agentId=demo_agent"

        assert world.rbm("POST", path, json=body).status_code == status

    def test_no_event_to_an_offline_phone(self, world):
        world.phone(PHONE, online=False)
        path = f"/v1/phones/{PHONE}/agentEvents?eventId=e1&agentId=demo_agent"
        answer = world.rbm("POST", path, json={"eventType": "IS_TYPING"})

        assert answer.status_code == 404

    def test_capabilities(self, world):
        path = "/capabilities?requestId=r1&agentId=demo_agent"
        able = world.rbm("GET", f"/v1/phones/{PHONE}{path}")
        unable = world.rbm("GET", f"/v1/phones/+15550199003{path}")

        assert "RICHCARD_STANDALONE" in able.json()["features"]
        assert unable.status_code == 404

    def test_batch(self, world):
        users = [f"+1555010{index:04d}" for index in range(499)] + ["+15550199003"]
        path = "/v1/users:batchGet?agentId=demo_agent"
        answer = world.rbm("POST", path, json={"users": users}).json()

        assert answer["reachableUsers"] == users[:-1]
        assert answer["totalRandomSampleUserCount"] == 375

    @pytest.mark.parametrize("users", [[], ["x"], [PHONE, PHONE], "all"])
    def test_bad_batches(self, world, users):
        body = {"users": users, "agentId": "demo_agent"}

        assert world.rbm("POST", "/v1/users:batchGet", json=body).status_code == 400

    def test_files(self, world):
        body = {"fileUrl": "https://example.com/a.png", "thumbnailUrl": None}
        by_url = world.rbm("POST", "/v1/files?agentId=demo_agent", json=body)
        path = "/upload/v1/files?agentId=demo_agent"
        binary = world.rbm("POST", path, data=b"\x89PNG" * 500_000)

        assert by_url.json()["name"].startswith("files/")
        assert binary.json()["name"].startswith("files/")

    def test_testers(self, world):
        path = f"/v1/phones/{PHONE}/testers?agentId=demo_agent"

        assert world.rbm("POST", path).json()["inviteStatus"] == "PENDING"


def test_the_reserved_numbers_are_in_their_range():
    assert all("+15550199000" <= number <= "+15550199099" for number in RESERVED)
