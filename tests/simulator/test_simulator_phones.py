import pytest

PHONE = "+15550100002"


def test_a_number_nobody_has_touched_is_an_online_rcs_phone(world):
    phone = world.phone(PHONE)

    assert (phone["online"], phone["rcs"], phone["off"]) == (True, True, False)
    assert phone["inbox"] == []
    assert world.call("GET", "/phones").json()["phones"] == []


def test_a_put_is_partial_and_creates(world):
    world.phone(PHONE, online=False)
    phone = world.phone(PHONE.replace("+", "%2B"), readDelay="1.5s")

    assert (phone["number"], phone["online"]) == (PHONE, False)
    assert phone["readDelay"] == "1.5s"


def test_phones_are_listed_in_pages(world):
    for last in "321":
        world.phone(f"+1555010000{last}", reads=False)
    first = world.call("GET", "/phones?pageSize=2").json()
    rest = world.call(
        "GET", "/phones", params={"pageToken": first["nextPageToken"]}
    ).json()

    assert [phone["number"][-1] for phone in first["phones"]] == ["1", "2"]
    assert [phone["number"][-1] for phone in rest["phones"]] == ["3"]


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PUT", f"/phones/{PHONE}", {"online": "yes"}, "online"),
        ("PUT", f"/phones/{PHONE}", {"colour": "red"}, "colour"),
        ("PUT", f"/phones/{PHONE}", {"readDelay": "soon"}, "readDelay"),
        ("PUT", f"/phones/{PHONE}", {"readDelay": "-1s"}, "readDelay"),
        ("PUT", f"/phones/{PHONE}", {"features": ["FLYING"]}, "features"),
        ("PUT", "/phones/12", {}, "phone"),
        ("GET", "/phones?pageSize=none", None, "pageSize"),
        ("POST", f"/phones/{PHONE}/messages", {}, "text"),
        ("POST", f"/phones/{PHONE}/messages", {"text": ""}, "text"),
        ("POST", f"/phones/{PHONE}/messages", {"text": "a", "file": "b"}, "text"),
        ("POST", f"/phones/{PHONE}/messages", {"text": "a", "who": 1}, "who"),
        ("POST", f"/phones/{PHONE}/messages", {"text": "a", "channel": 1}, "channel"),
        ("POST", f"/phones/{PHONE}/messages", {"text": "a", "agentId": 1}, "agentId"),
        ("POST", f"/phones/{PHONE}/messages", {"event": "DANCE"}, "event"),
        ("POST", f"/phones/{PHONE}/messages", {"event": "READ"}, "messageId"),
        ("POST", f"/phones/{PHONE}/messages", {"file": {}}, "file"),
        ("POST", f"/phones/{PHONE}/messages", {"location": 1}, "location"),
        (
            "POST",
            f"/phones/{PHONE}/messages",
            {"location": {"latitude": 100, "longitude": 0}},
            "location.latitude",
        ),
        (
            "POST",
            f"/phones/{PHONE}/messages",
            {"suggestion": {"messageId": "m1"}},
            "suggestion.postbackData",
        ),
        (
            "POST",
            f"/phones/{PHONE}/messages",
            {"suggestion": {"messageId": "m1", "postbackData": "x"}},
            "suggestion.messageId",
        ),
        (
            "POST",
            f"/phones/{PHONE}/messages",
            {"text": "a", "channel": "SMS", "to": "x"},
            "to",
        ),
        ("PUT", "/carriers/rbm", {"status": 200}, "status"),
        ("PUT", "/carriers/rbm", {"delay": 5}, "delay"),
        ("PUT", "/carriers/rbm", {"duplicate": 1}, "duplicate"),
        ("PUT", "/carriers/rbm", {"drop": "everything"}, "drop"),
        ("PUT", "/carriers/rbm", {"deleteContract": "new"}, "deleteContract"),
        ("PUT", "/carriers/bandwidth", {"deleteContract": "legacy"}, "deleteContract"),
        ("PUT", "/carriers/rbm", {"for": 0}, "for"),
        ("PUT", "/carriers/rbm", {"webhookUrl": "nowhere"}, "webhookUrl"),
        ("PUT", "/carriers/rbm", {"clientToken": ""}, "clientToken"),
        ("PUT", "/carriers/bandwidth", {"segmentsPerSecond": 0}, "segmentsPerSecond"),
        ("PUT", "/carriers/bandwidth", {"webhookUrl": "http://a"}, "webhookUrl"),
    ],
)
def test_bad_input_names_its_field(world, method, path, body, field):
    answer = world.call(method, path, json=body)

    error = answer.json()["error"]
    assert 400 <= answer.status_code < 500
    assert error["details"][0]["fieldViolations"][0]["field"] == field


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", f"/phones/{PHONE}", 405),
        ("GET", f"/phones/{PHONE}/messages", 405),
        ("GET", f"/phones/{PHONE}/nothing/here", 404),
        ("GET", "/carriers/pigeon", 404),
        ("GET", "/carriers/rbm/more", 404),
        ("POST", "/reserved", 405),
    ],
)
def test_wrong_requests(world, method, path, status):
    answer = world.call(method, path)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, status)


@pytest.mark.parametrize(
    "raw", [b"nothing", b"[]", b"\xff", b'{"text": "\\udc00"}', b"[" * 50_000]
)
def test_what_is_no_json_object(world, raw):
    for path in (f"/phones/{PHONE}", "/carriers/rbm"):
        assert world.call("PUT", path, data=raw).status_code == 400


class TestOwner:
    def test_text_goes_by_rcs_from_an_online_rcs_phone(self, world):
        (ident,) = world.say(PHONE, text="hi").json()["ids"]
        world.advance(1)

        (event,) = world.receiver.events
        assert (event["messageId"], event["text"]) == (ident, "hi")
        assert event["senderPhoneNumber"] == PHONE
        assert world.phone(PHONE)["outbox"][0]["text"] == "hi"

    @pytest.mark.parametrize("setting", [{"online": False}, {"rcs": False}])
    def test_text_goes_by_sms_otherwise(self, world, setting):
        world.phone(PHONE, **setting)
        world.say(PHONE, text="STOP")
        world.advance(1)

        (event,) = world.receiver.events
        assert (event["type"], event["to"]) == ("message-received", "+15550100001")
        assert event["message"]["text"] == "STOP"
        assert "tag" not in event["message"]

    def test_sms_answers_whoever_texted_last(self, world):
        world.text(PHONE, **{"from": "+15550100077"})
        world.advance(1)
        world.say(PHONE, text="who?", channel="SMS")
        world.advance(1)

        assert world.receiver.events[-1]["message"]["to"] == ["+15550100077"]

    def test_a_file_by_either_channel(self, world):
        world.say(PHONE, file="https://example.com/a.png")
        world.say(PHONE, file="https://example.com/a.png", channel="SMS")
        world.advance(1)

        by_rcs = next(one for one in world.receiver.events if "userFile" in one)
        by_sms = next(one for one in world.receiver.events if "message" in one)
        assert by_rcs["userFile"]["payload"]["fileName"] == "a.png"
        assert by_sms["message"]["media"] == ["https://example.com/a.png"]

    def test_location(self, world):
        world.say(PHONE, location={"latitude": 1.5, "longitude": 2})
        world.advance(1)

        assert world.receiver.events[0]["location"] == {
            "latitude": 1.5,
            "longitude": 2,
        }

    def test_a_tap_on_a_suggestion(self, world):
        chips = [{"reply": {"text": "Not me", "postbackData": "nm"}}]
        body = {"contentMessage": {"text": "Code", "suggestions": chips}}
        world.send(PHONE, body=body)
        world.advance(10)
        world.say(PHONE, suggestion={"messageId": "m1", "postbackData": "nm"})
        wrong = world.say(PHONE, suggestion={"messageId": "m1", "postbackData": "x"})
        world.advance(1)

        assert world.receiver.events[-1]["suggestionResponse"] == {
            "postbackData": "nm",
            "text": "Not me",
            "type": "REPLY",
        }
        assert wrong.status_code == 400

    @pytest.mark.parametrize(
        ("phone", "event", "keyword"),
        [
            (PHONE, "UNSUBSCRIBE", "STOP"),
            (PHONE, "SUBSCRIBE", "START"),
            ("+33123456789", "SUBSCRIBE", "Démarrer"),
            ("+5511987654321", "UNSUBSCRIBE", "parar"),
        ],
    )
    def test_opting_out_and_in_makes_both_notifications(
        self, world, phone, event, keyword
    ):
        ids = world.say(phone, event=event).json()["ids"]
        world.advance(1)
        told = {
            one.get("eventId") or one["messageId"]: one for one in world.receiver.events
        }

        assert told[ids[0]]["eventType"] == event
        assert told[ids[1]]["text"] == keyword

    def test_reading_by_hand(self, world):
        world.phone(PHONE, reads=False)
        world.send(PHONE)
        world.advance(1)
        world.say(PHONE, event="READ", messageId="m1")
        world.advance(1)

        assert world.receiver.kinds() == ["DELIVERED", "READ"]
        assert world.phone(PHONE)["inbox"][0]["readAt"]
        assert world.revoke(PHONE).status_code == 404

    def test_typing(self, world):
        world.say(PHONE, event="IS_TYPING")
        world.advance(1)

        assert world.receiver.kinds() == ["IS_TYPING"]

    @pytest.mark.parametrize(
        ("setting", "said"),
        [
            ({"off": True}, {"text": "x", "channel": "SMS"}),
            ({"online": False}, {"text": "x", "channel": "RCS"}),
            ({"rcs": False}, {"event": "UNSUBSCRIBE"}),
        ],
    )
    def test_a_phone_that_cannot(self, world, setting, said):
        world.phone(PHONE, **setting)
        answer = world.say(PHONE, **said)

        assert answer.status_code == 400
        assert answer.json()["error"]["status"] == "FAILED_PRECONDITION"
