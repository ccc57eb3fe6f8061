"""What the client asks of RBM beside messages."""

import itertools
from datetime import timedelta

import pytest
from canned import RESET, Answer

from backstop.errors import Refusal, Refused, Throttled, Unanswered
from backstop.fibres import wait
from backstop.providers.rbm.client import Rbm

PHONE = "+15550100002"
READ = {"eventType": "READ", "messageId": "theirs"}
FEATURES = {"features": ["ACTION_DIAL"], "carrier": "A"}
BUDGET = timedelta(seconds=10)
REFUSED = Answer(401, {"error": {"code": 401}})


async def stream(*parts):
    for part in parts:
        yield part


@pytest.fixture
def rbm(carrier, service_account):
    tokens = itertools.count(1)
    carrier.script(
        "/token",
        *(
            Answer(200, {"access_token": f"ya29.{n}", "expires_in": 3599})
            for n in itertools.islice(tokens, 9)
        ),
    )
    naps = itertools.count()
    client = Rbm.from_key(
        service_account,
        carrier.url,
        sleep=lambda _seconds: None,
        jitter=lambda: 1.0,
        monotonic=lambda: next(naps) * 0.001,
    )
    yield client
    client.close()


@pytest.fixture(params=["event", "capabilities"])
def ask(request, rbm):
    def ask(unique="u-1"):
        whom = {"agent": "demo_agent", "phone": PHONE, "budget": BUDGET}
        if request.param == "event":
            return rbm.event(event_id=unique, body=READ, **whom)
        return rbm.capabilities(request_id=unique, **whom)

    return ask


@pytest.fixture
def forward(rbm):
    def forward(body, length=None, **more):
        asked = {
            "path": "/v1/files",
            "query": {"agentId": "demo_agent"},
            "content_type": "application/json",
        }
        return wait(rbm.forward(body=body, length=length, **asked | more))

    return forward


def test_an_event_is_asked_for_as_rbm_documents(carrier, rbm):
    """Its id in the query, the answer as RBM gave it."""
    carrier.script("/v1", Answer(200, {"name": "n", "sendTime": "t"}))

    told = rbm.event(
        agent="demo_agent", phone=PHONE, event_id="a+b&c", body=READ, budget=BUDGET
    )

    (request,) = carrier.seen("/v1")
    assert request.method == "POST"
    assert request.path == (
        f"/v1/phones/{PHONE}/agentEvents?eventId=a%2Bb%26c&agentId=demo_agent"
    )
    assert request.json == READ
    assert told == {"name": "n", "sendTime": "t"}


def test_capabilities_are_asked_for_as_rbm_documents(carrier, rbm):
    """A GET without a body."""
    carrier.script("/v1", Answer(200, FEATURES))

    told = rbm.capabilities(
        agent="demo_agent", phone=PHONE, request_id="r-1", budget=BUDGET
    )

    (request,) = carrier.seen("/v1")
    assert (request.method, request.body) == ("GET", b"")
    assert request.path == (
        f"/v1/phones/{PHONE}/capabilities?requestId=r-1&agentId=demo_agent"
    )
    assert told == FEATURES


@pytest.mark.parametrize(
    ("status", "refusal"),
    [
        (403, Refusal.UNREACHABLE),
        (404, Refusal.UNREACHABLE),
        (400, Refusal.REJECTED),
    ],
)
def test_a_refusal_says_which(carrier, ask, status, refusal):
    """A phone that cannot be reached is told from a request that is wrong."""
    carrier.script("/v1", Answer(status, {}))
    with pytest.raises(Refused) as refused:
        ask()
    assert refused.value.refusal is refusal


def test_a_blip_is_ridden_out_under_the_same_id(carrier, ask):
    """RBM ignores what it knows."""
    carrier.script("/v1", Answer(503), RESET, Answer(200, FEATURES))
    assert ask() == FEATURES
    assert len({request.path for request in carrier.seen("/v1")}) == 1


@pytest.mark.parametrize(
    ("answer", "error"), [(Answer(429), Throttled), (Answer(500), Unanswered)]
)
def test_what_lasts_is_told(carrier, ask, answer, error):
    """After three tries."""
    carrier.script("/v1", answer)
    with pytest.raises(error):
        ask()
    assert len(carrier.seen("/v1")) == 3


@pytest.mark.parametrize("status", [200, 404, 429, 500])
def test_an_answer_is_handed_back_as_it_came(carrier, forward, status):
    """Once asked, whatever it is."""
    carrier.script("/v1", Answer(status, b'{ "a": 1}', {"Retry-After": "7"}))

    answer = forward(b"{}")

    assert (answer.status, answer.body) == (status, b'{ "a": 1}')
    assert answer.retry_after == "7"
    (request,) = carrier.seen("/v1")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"] == "Bearer ya29.1"


def test_a_path_cannot_leave_its_place(carrier, forward):
    """What has a meaning in a URL is spelt out."""
    carrier.script("/v1", Answer(200))
    forward(b"{}", path="/v1/users:batchGet?a=b#c")
    (request,) = carrier.seen("/v1")
    assert request.path == "/v1/users:batchGet%3Fa%3Db%23c?agentId=demo_agent"


def test_a_stream_has_the_length_that_was_told(carrier, forward):
    """And is sent part by part."""
    carrier.script("/v1", Answer(200))
    forward(stream(b"ab", b"", b"c"), 3)
    (request,) = carrier.seen("/v1")
    assert request.headers["content-length"] == "3"
    assert request.body == b"abc"


def test_what_a_stream_raises_is_raised(carrier, forward):
    """The sender went away, or sent too much."""
    carrier.script("/v1", Answer(200))

    async def broken():
        yield b"a"
        raise KeyError("gone")

    with pytest.raises(KeyError):
        forward(broken(), 9)


def test_a_refused_token_is_renewed_for_what_can_be_repeated(carrier, forward):
    """The whole body is still there."""
    carrier.script("/v1", REFUSED, Answer(200, {"name": "n"}))
    assert forward(b"{}").body == b'{"name": "n"}'
    assert [r.body for r in carrier.seen("/v1")] == [b"{}", b"{}"]


def test_a_token_that_stays_refused_is_shouted_about(carrier, forward, caplog):
    """Nobody but us can mend it."""
    carrier.script("/v1", REFUSED)
    with pytest.raises(Throttled):
        forward(b"{}")
    assert len(carrier.seen("/v1")) == 3
    assert [r.message for r in caplog.records] == ["rbm_credentials_refused"]


def test_a_stream_is_sent_once(carrier, forward, caplog):
    """Its second try has nothing to send, and so never ends.

    A token that has run out is no fault of the credentials.
    """
    carrier.script("/v1", REFUSED, Answer(200))
    with pytest.raises(Throttled):
        forward(stream(b"abc"), 3)
    assert caplog.records == []
    carrier.script("/v1", Answer(200))
    forward(stream(b"abc"), 3)
    assert carrier.seen("/v1")[-1].headers["authorization"] == "Bearer ya29.2"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (REFUSED, Throttled),
        (RESET, Unanswered),
        (Answer(300, {}), Unanswered),
        (Answer(307, {}, {"Location": "/v1/elsewhere"}), Unanswered),
        (Answer(502, b"<html>"), Unanswered),
        (Answer(200, b""), Unanswered),
        (Answer(200, {"a": "x" * (5 << 20)}), Unanswered),
    ],
)
def test_what_is_not_rbms_answer_is_none(carrier, forward, answer, error):
    """Our token is no business of the caller's, nor is a proxy's page."""
    carrier.script("/v1", answer)
    with pytest.raises(error):
        forward(b"{}")
    assert not [r for r in carrier.seen("/v1") if r.path.startswith("/v1/elsewhere")]


def test_nobody_there_means_that_nothing_was_done(service_account, carrier):
    """A connection that was refused."""
    carrier.script("/token", Answer(200, {"access_token": "t", "expires_in": 3599}))
    client = Rbm.from_key(service_account, "http://127.0.0.1:1")
    with pytest.raises(Throttled):
        wait(client.forward(path="/v1/files", query={}, content_type="", body=b""))
    client.close()
