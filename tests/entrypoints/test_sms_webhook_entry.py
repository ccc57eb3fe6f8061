import asyncio
from datetime import UTC, datetime

import pytest
from starlette.requests import Request

from backstop.edge.answers import Problem
from backstop.edge.webhooks import Inlet, sms_webhook
from entrypoints.caller import CREDENTIALS, PHONE, WORDS, basic, check_refusal, encode

SECOND = ("second", "second-password")


def receipt(kind="message-delivered", message="sms-1", **more):
    return {
        "type": kind,
        "time": "2026-11-20T17:00:03.456789Z",
        "to": PHONE,
        "message": {"id": message, "tag": "demo_agent/otp-1/1", "text": WORDS},
        **more,
    }


CHALLENGED = {
    "nothing": None,
    "an empty header": "",
    "another user": basic(user="other"),
    "another password": basic(password="other"),
    "an empty password": basic(password=""),
    "users exchanged": basic(CREDENTIALS[0], SECOND[1]),
    "user and password exchanged": basic(*reversed(CREDENTIALS)),
    "no base64": "Basic %%%",
    "no colon": "Basic bG9jYWw=",
    "the scheme alone": "Basic",
    "another scheme": basic().replace("Basic", "Bearer"),
    "the password in plain": f"Basic {':'.join(CREDENTIALS)}",
    "bytes that are no text": b"Basic \xff\xfe",
    "an umlaut": "Basic ü".encode(),
    "credentials beyond ASCII": basic("ü", "ü"),
    "a long one": basic("x" * 10_000, "x"),
}

BODIES = {
    "an array of one": ([receipt()], ["backstop.sms.delivered"]),
    "a single object": (receipt(), ["backstop.sms.delivered"]),
    "an array of two": (
        [receipt("message-sending"), receipt("message-sent")],
        ["backstop.sms.sending", "backstop.sms.sent"],
    ),
    "a bad entry inside a good list": (
        [receipt(), 5, receipt("message-failed", errorCode=4720)],
        ["backstop.sms.delivered", "backstop.sms.unknown", "backstop.sms.failed"],
    ),
    "an entry without a message": (
        [{"type": "message-delivered"}],
        ["backstop.sms.unknown"],
    ),
    "a kind of the future": ([receipt("message-dreamt")], ["backstop.sms.unknown"]),
    "a reply": ([receipt("message-received")], ["backstop.sms.received"]),
    "an empty array": ([], []),
    "null": (None, ["backstop.sms.unknown"]),
}


@pytest.fixture(scope="module")
def environ():
    pairs = (CREDENTIALS, SECOND)
    return {"BANDWIDTH_CALLBACKS": ",".join(":".join(pair) for pair in pairs)}


@pytest.fixture
def deliver(call):
    def post(body, authorization=None):
        header = basic() if authorization is None else authorization
        raw = body if isinstance(body, bytes) else encode(body)
        return call("POST", "/sms_webhook", raw, {"authorization": header})

    return post


@pytest.mark.parametrize("header", CHALLENGED.values(), ids=CHALLENGED)
def test_without_credentials_there_is_a_challenge(call, header):
    """Bandwidth sends its credentials only when asked; nothing is published."""
    before = call.left_behind()
    headers = {} if header is None else {"authorization": header}

    answer = call("POST", "/sms_webhook", [receipt()], headers)

    check_refusal(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Basic realm=")
    assert len(answer.raw) < 200
    assert call.left_behind() == before


@pytest.mark.parametrize("pair", [CREDENTIALS, SECOND], ids=["first", "second"])
@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_live_credentials_are_believed(deliver, pair, scheme):
    """Both of a rotation, and the scheme in any case."""
    answer = deliver([receipt()], basic(*pair).replace("Basic", scheme))

    assert answer.status in {200, 202, 204}


@pytest.mark.parametrize(("body", "types"), BODIES.values(), ids=BODIES)
def test_each_entry_is_an_event(call, deliver, body, types):
    """Array or object, every entry is published, the unknown as unknown."""
    since = call.newest_event()

    answer = deliver(body)

    published = call.published(since)
    assert answer.status == 200
    assert [e.attributes["ce-type"] for e in published] == types


@pytest.mark.parametrize(
    "raw",
    [b"", b"hello", b"[" * 10_000, b"\xff\xfe", b'[{"type": '],
    ids=["nothing", "a word", "a depth bomb", "bytes", "half a list"],
)
def test_what_is_no_json_is_passed_on_as_unknown(call, deliver, raw):
    """Credentials held, so it is news, whatever it is; nothing crashes."""
    since = call.newest_event()

    answer = deliver(raw)

    (published,) = call.published(since)
    assert answer.status == 200
    assert published.data == raw
    assert published.attributes["kind"] == "unknown"


def test_an_entrys_own_bytes_are_published(call, deliver):
    """Spaces, order and numbers stay as they came."""
    since = call.newest_event()
    first, second = b'{ "type": "x",\n "n": 1.50 }', b'{"b":1, "a":2}'

    deliver(b"[ " + first + b" ,\n" + second + b" ]")

    assert [e.data for e in call.published(since)] == [first, second]


def test_a_repeat_keeps_its_id(call, deliver):
    """Bandwidth's retry is recognisably the same event, alone or in a list."""
    since = call.newest_event()

    for body in ([receipt()], receipt(), [receipt()]):
        deliver(body)

    assert len({e.attributes["ce-id"] for e in call.published(since)}) == 1


def test_the_tag_names_the_message(call, deliver):
    """A receipt is about the message and attempt that its tag names."""
    since = call.newest_event()

    deliver([receipt(message="sms-tag")])

    (published,) = call.published(since)
    named = ("agentId", "messageId", "attempt")
    assert [published.attributes[name] for name in named] == [
        "demo_agent",
        "otp-1",
        "1",
    ]


@pytest.mark.parametrize("authorised", [True, False], ids=["known", "stranger"])
def test_a_body_beyond_the_limit_is_refused_readably(call, deliver, authorised):
    """More than 256 KiB is a 413 that the client can read."""
    before = call.left_behind()

    answer = deliver(b"x" * 5_000_000, None if authorised else "")

    check_refusal(answer, 413)
    assert call.left_behind() == before


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post_is_taken(call, method):
    """Any other method is a 405 that says so."""
    answer = call(method, "/sms_webhook", None, {"authorization": basic()})

    check_refusal(answer, 405)
    assert answer.headers["allow"] == "POST"


class Noon:
    def now(self):
        return datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "told"), [(None, []), (basic(), ["sms_webhook_refused"])]
)
def test_to_come_without_credentials_alarms_nobody(given, told):
    """Bandwidth sends them when it is asked to, so its first call never has any."""
    lines = []
    inlet = Inlet(None, None, Noon(), lambda line, _fields: lines.append(line))
    headers = [(b"authorization", given.encode())] if given else []
    scope = {"type": "http", "method": "POST", "headers": headers}

    async def receive():
        return {"type": "http.request", "body": b"[]", "more_body": False}

    with pytest.raises(Problem):
        asyncio.run(sms_webhook(inlet, (SECOND,))(Request(scope, receive)))
    assert lines == told
