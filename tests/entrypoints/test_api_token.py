import pytest

from entrypoints.caller import API_TOKEN as TOKEN
from entrypoints.caller import BODY, MESSAGES, check_refusal, encode
from entrypoints.test_trigger_entries import push
from proof.attack import forged_tokens, refused

STRANGERS = {
    "nothing": None,
    "an empty header": "",
    "another token": "Bearer other",
    "half the token": f"Bearer {TOKEN[:-1]}",
    "more than the token": f"Bearer {TOKEN}x",
    "the token alone": TOKEN,
    "another scheme": f"Basic {TOKEN}",
    "bytes that are no text": b"Bearer \xff",
    "an umlaut": "Bearer ü".encode(),
}

API = {
    "send": ("POST", MESSAGES, BODY),
    "list": ("GET", MESSAGES, None),
    "get": ("GET", f"{MESSAGES}/one", None),
    "cancel": ("DELETE", f"{MESSAGES}/one", None),
    "acknowledge": ("POST", f"{MESSAGES}/one:acknowledge", None),
    "elsewhere": ("POST", "/v1/files", None),
    "nowhere": ("GET", "/v1/nowhere", None),
}

RING = {"message": "m", "dueAt": "2020-01-01T00:00:00Z"}
PLATFORM = {
    "revoke": ("/revoke", RING),
    "fallback": ("/fallback", push(messageId="never-sent")),
    "record": ("/record", push(messageId="never-sent")),
}


@pytest.fixture(scope="module")
def environ():
    return {"API_TOKEN": TOKEN}


def headers(value):
    return {} if value is None else {"authorization": value}


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)
@pytest.mark.parametrize(("method", "path", "body"), API.values(), ids=API)
def test_the_api_wants_its_token(call, method, path, body, stranger):
    """Without the token nothing is told, and nothing done."""
    before = call.left_behind()

    answer = call(method, path, body, headers(stranger))

    check_refusal(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert call.left_behind() == before


def test_the_token_opens_the_api(call):
    """With it a message is accepted."""
    answer = call("POST", MESSAGES, BODY, {"authorization": f"Bearer {TOKEN}"})

    assert answer.status == 200


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)
@pytest.mark.parametrize(("path", "body"), PLATFORM.values(), ids=PLATFORM)
def test_only_the_platform_calls_the_triggers(call, path, body, stranger):
    """A stranger's ring or event is a 403."""
    check_refusal(call("POST", path, body, headers(stranger)), 403)


GUARDED = {
    "send": (MESSAGES, BODY, 401),
    **{name: (*call, 403) for name, call in PLATFORM.items()},
}


@pytest.mark.parametrize(("path", "body", "status"), GUARDED.values(), ids=GUARDED)
def test_no_forged_form_of_the_token_is_believed(call, path, body, status):
    """Each attempt is a short refusal, and together they change nothing."""
    made, wrong = refused(call, forged_tokens(path, encode(body)), (400, status))

    assert wrong == []
    assert made >= 60


@pytest.mark.parametrize(("path", "body"), PLATFORM.values(), ids=PLATFORM)
def test_the_apps_token_does_not_open_the_triggers(call, path, body):
    """An app may send messages, but not play the platform."""
    answer = call("POST", path, body, {"authorization": f"Bearer {TOKEN}"})

    check_refusal(answer, 403)


@pytest.mark.parametrize("path", ["/revoke", "/fallback", "/record", MESSAGES])
def test_a_stranger_with_a_large_body_can_read_the_refusal(call, path):
    """Refusing unread is no reset."""
    status = 401 if path == MESSAGES else 403

    check_refusal(call("POST", path, b"x" * 5_000_000), status)


def test_the_platform_itself_gets_through(call, local):
    """An expired message is seen to, so rings and pushes bear the right token."""
    token = {"authorization": f"Bearer {TOKEN}"}
    call("PUT", "/simulator/phones/+15551230055", {"online": False})
    path = "/v1/phones/+15551230055/agentMessages"
    call("POST", f"{path}?messageId=late", BODY, token)

    answer = call("POST", "/simulator/clock", {"advance": "900s"})

    assert answer.json["settled"]
    found = call("GET", f"{path}/late", None, token).json
    assert found["delivery"]["outcome"] == "DELIVERED_SMS"
