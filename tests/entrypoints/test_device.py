"""What an app asks of a phone, and tells it, beside messages."""

import pytest

from entrypoints.caller import BODY, MESSAGES, PHONE, check_refusal
from entrypoints.recorder import Recorder

EVENTS = f"/v1/phones/{PHONE}/agentEvents"
CAPABILITIES = f"/v1/phones/{PHONE}/capabilities"
TYPING = {"eventType": "IS_TYPING"}
READ = {"eventType": "READ", "messageId": "theirs"}
SENT = "2026-01-01T00:00:00Z"
FEATURES = {"features": ["RICHCARD_STANDALONE"], "carrier": "A"}


@pytest.fixture(scope="module")
def rbm():
    rbm = Recorder()
    yield rbm
    rbm.close()


@pytest.fixture(autouse=True)
def _anew(rbm):
    rbm.begin_anew()


@pytest.fixture(scope="module")
def environ(rbm):
    return {"RBM_URL": rbm.url}


class TestAgentEvents:
    """READ and IS_TYPING, to the user."""

    @pytest.mark.parametrize(
        "spelt",
        [
            READ,
            {"event_type": "READ", "message_id": "theirs"},
            {"eventType": 2, "messageId": "theirs", "name": "n", "sendTime": None},
        ],
    )
    def test_any_spelling_goes_on_in_the_usual_one(self, call, rbm, spelt):
        """As for messages; the answer is RBM's, in AgentEvent's shape."""
        rbm.answers = [(200, {"sendTime": SENT, "more": 1}, {})]

        answer = call("POST", f"{EVENTS}?eventId=e-1", spelt)

        assert rbm.last.path == f"{EVENTS}?eventId=e-1&agentId=demo_agent"
        assert bytes(rbm.last.raw) == b'{"eventType":"READ","messageId":"theirs"}'
        assert answer.json == {
            "name": f"phones/{PHONE}/agentEvents/e-1",
            **READ,
            "sendTime": SENT,
        }

    def test_an_id_is_made(self, call, rbm):
        """Two events without one are two events."""
        names = {call("POST", EVENTS, TYPING).json["name"] for _ in range(2)}
        asked = {taken.path.partition("&")[0] for taken in rbm.taken}

        assert len(names) == 2
        assert {n.rpartition("/")[2] for n in names} == {
            path.rpartition("=")[2] for path in asked
        }

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "eventType"),
            ({"eventType": None}, "eventType"),
            ({"eventType": "TYPE_UNSPECIFIED"}, "eventType"),
            ({"eventType": 0}, "eventType"),
            ({"eventType": "DELIVERED"}, "eventType"),
            ({"eventType": 3}, "eventType"),
            ({"eventType": "READ"}, "messageId"),
            ({"eventType": "READ", "messageId": ""}, "messageId"),
            ({"eventType": "READ", "messageId": 5}, "messageId"),
            ({"eventType": "READ", "messageId": "x" * 257}, "messageId"),
            ({"eventType": "IS_TYPING", "messageId": "theirs"}, "messageId"),
            ({**TYPING, "event_type": "READ"}, "eventType"),
            ({**TYPING, "colour": "red"}, "colour"),
        ],
    )
    def test_a_wrong_event_is_refused_by_its_field(self, call, rbm, body, field):
        """And RBM hears nothing of it."""
        check_refusal(call("POST", EVENTS, body), 400, field)
        assert rbm.taken == []

    @pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"hello", b"\xff"])
    def test_a_body_is_an_object(self, call, rbm, raw):
        """Nothing else is."""
        check_refusal(call("POST", EVENTS, raw), 400)
        assert rbm.taken == []

    def test_a_body_is_small(self, call, rbm):
        """Two short fields."""
        check_refusal(call("POST", EVENTS, b" " * 16385), 413)
        assert rbm.taken == []

    def test_a_messages_id_is_taken(self, call, rbm):
        """RBM would take it for the message again, to whichever phone (rule 15)."""
        call("POST", f"{MESSAGES}?messageId=taken", BODY)
        rbm.begin_anew()
        for phone in (PHONE, "+15551230002"):
            path = f"/v1/phones/{phone}/agentEvents?eventId=taken"
            answer = call("POST", path, TYPING)
            check_refusal(answer, 409)
            assert answer.json["error"]["status"] == "ALREADY_EXISTS"

        assert rbm.taken == []

    def test_an_events_own_id_may_come_again(self, call, rbm):
        """That is how an unknown outcome is cleared up."""
        rbm.answers = [(503, {}, {})]
        first = call("POST", f"{EVENTS}?eventId=again", TYPING)
        rbm.answers = [(200, {}, {})]

        check_refusal(first, 503)
        assert "again" in first.json["error"]["message"]
        assert "unknown" in first.json["error"]["message"]
        assert call("POST", f"{EVENTS}?eventId=again", TYPING).status == 200

    def test_an_opt_out_does_not_stop_them(self, call, rbm):
        """They answer what the user has just done."""
        said = call("PUT", f"/v1/phones/{PHONE}/consent", {"state": "OPTED_OUT"})
        assert said.status == 200
        assert call("POST", EVENTS, READ).status == 200


class TestCapabilities:
    """What RCS can do on a phone."""

    def test_the_answer_is_rbms(self, call, rbm):
        """All of it."""
        rbm.answers = [(200, FEATURES, {})]
        assert call("GET", f"{CAPABILITIES}?requestId=r-1").json == FEATURES
        assert rbm.last.method == "GET"
        assert rbm.last.path == f"{CAPABILITIES}?requestId=r-1&agentId=demo_agent"

    def test_an_id_is_made(self, call, rbm):
        """RBM takes no notice of a request whose id it knows."""
        for _ in range(2):
            call("GET", CAPABILITIES)
        assert len({taken.path for taken in rbm.taken}) == 2


@pytest.fixture(params=["event", "capabilities"])
def ask(request, call):
    """Make either call, plainly but for what is said."""
    event = request.param == "event"
    usual = "POST" if event else "GET"

    def ask(query="", method=usual, phone=PHONE):
        path = (EVENTS if event else CAPABILITIES).replace(PHONE, phone)
        return call(method, f"{path}?{query}", TYPING if event else None)

    ask.usual = usual
    ask.id = "eventId" if event else "requestId"
    return ask


class TestBoth:
    """What RBM says no to, and what we do."""

    @pytest.mark.parametrize(
        ("said", "status", "word"),
        [
            (404, 404, "NOT_FOUND"),
            (403, 404, "NOT_FOUND"),
            (400, 400, "INVALID_ARGUMENT"),
            (500, 503, "UNAVAILABLE"),
            (504, 503, "UNAVAILABLE"),
            (401, 429, "RESOURCE_EXHAUSTED"),
        ],
    )
    def test_a_refusal_is_told_in_its_own_word(self, ask, rbm, said, status, word):
        """And nothing of RBM's text, which may name the phone."""
        rbm.answers = [(said, {"error": {"message": "about " + PHONE}}, {})]

        answer = ask()

        check_refusal(answer, status)
        assert answer.json["error"]["status"] == word
        assert PHONE.encode() not in answer.raw

    @pytest.mark.parametrize(
        ("wish", "told"), [({}, "10"), ({"Retry-After": "33"}, "33")]
    )
    def test_a_throttled_caller_is_told_when(self, ask, rbm, wish, told):
        """By RBM's own wish, if it has one."""
        rbm.answers = [(429, {"error": {}}, wish)]

        answer = ask()

        check_refusal(answer, 429)
        assert answer.json["error"]["status"] == "RESOURCE_EXHAUSTED"
        assert answer.headers["retry-after"] == told

    @pytest.mark.parametrize("other", ["PUT", "PATCH", "DELETE"])
    def test_another_method_is_refused(self, ask, other):
        """With the one there is."""
        answer = ask(method=other)
        check_refusal(answer, 405)
        assert answer.headers["allow"] == ask.usual

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("agentId=foreign", "agentId"),
            ("messageId=a", "messageId"),
            ("agentId=a&agentId=a", "agentId"),
        ],
    )
    def test_a_query_is_understood(self, ask, rbm, query, field):
        """Or refused by its name."""
        check_refusal(ask(query), 400, field)
        assert rbm.taken == []

    @pytest.mark.parametrize("value", ["a%2Fb", "a%20b", "..", "x" * 256, "%C3%A9"])
    def test_an_id_is_one_for_every_path(self, ask, rbm, value):
        """No slash, no space, no dots alone."""
        check_refusal(ask(f"{ask.id}={value}"), 400, ask.id)
        assert rbm.taken == []

    @pytest.mark.parametrize("phone", ["15551230001", "+1", "+1555123000a"])
    def test_a_phone_is_a_number(self, ask, rbm, phone):
        """As in E.164."""
        check_refusal(ask(phone=phone), 400, "phone")
        assert rbm.taken == []
