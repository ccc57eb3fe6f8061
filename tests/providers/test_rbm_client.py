import logging
import socket
import traceback
from datetime import timedelta

import pytest
from canned import DRIPPING, RESET, SILENCE, Answer

from backstop.errors import Refusal, Refused, Throttled, Unanswered
from backstop.providers.rbm.client import Rbm

PHONE = "+15550100002"
BODY = {"contentMessage": {"text": "Code 481 516"}}
LOOKUP = {
    "error": {
        "code": 403,
        "message": "There was an error looking up the RBM agent (ID: null) that"
        " corresponds to the Google Cloud Platform (GCP) project.",
        "status": "PERMISSION_DENIED",
    }
}
GRANTED = Answer(
    200, {"access_token": "ya29.first", "expires_in": 3599, "token_type": "Bearer"}
)
RENEWED = Answer(200, {"access_token": "ya29.second", "expires_in": 3599})


def error(status, **headers):
    body = {"error": {"code": status, "message": f"about {PHONE}", "status": "X"}}
    return Answer(status, body, headers)


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 100.0
        self.naps = []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.naps.append(seconds)
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def rbm(carrier, service_account, clock):
    carrier.script("/token", GRANTED)
    client = Rbm.from_key(
        service_account,
        carrier.url,
        sleep=clock.sleep,
        jitter=lambda: 1.0,
        monotonic=clock.monotonic,
    )
    yield client
    client.close()


@pytest.fixture
def create(rbm):
    def create(seconds=10.0, message_id="m-1"):
        rbm.create(
            agent="demo_agent",
            phone=PHONE,
            message_id=message_id,
            body=BODY,
            budget=timedelta(seconds=seconds),
        )

    return create


@pytest.fixture
def revoke(rbm):
    def revoke(seconds=10.0, message_id="m-1"):
        rbm.revoke(
            agent="demo_agent",
            phone=PHONE,
            message_id=message_id,
            budget=timedelta(seconds=seconds),
        )

    return revoke


def test_create_asks_as_rbm_documents(carrier, create):
    carrier.script("/v1", Answer(200, {"name": "x"}))

    create(message_id="a+b/ü&c")

    [request] = carrier.seen("/v1")
    assert request.method == "POST"
    assert request.path == (
        "/v1/phones/+15550100002/agentMessages"
        "?messageId=a%2Bb%2F%C3%BC%26c&agentId=demo_agent"
    )
    assert request.json == BODY
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"] == "Bearer ya29.first"


def test_revoke_asks_as_rbm_documents(carrier, revoke):
    carrier.script("/v1", Answer(200, {}))

    revoke(message_id="a+b/ü c")

    [request] = carrier.seen("/v1")
    assert request.method == "DELETE"
    assert request.path == (
        "/v1/phones/+15550100002/agentMessages/a%2Bb%2F%C3%BC%20c?agentId=demo_agent"
    )
    assert request.body == b""


def test_one_token_serves_many_calls_over_one_connection(carrier, create):
    carrier.script("/v1", Answer(200))

    for _ in range(3):
        create()

    assert len(carrier.seen("/token")) == 1


ENDS = {
    "not reachable": (error(404), Refused, Refusal.UNREACHABLE),
    "not launched there": (error(403), Refused, Refusal.UNREACHABLE),
    "invalid": (error(400), Refused, Refusal.REJECTED),
    "another refusal": (error(405), Refused, Refusal.REJECTED),
    "agent lookup failed": (Answer(403, LOOKUP), Throttled, None),
    "agent lookup broke down": (Answer(500, LOOKUP), Unanswered, None),
    "quota": (error(429), Throttled, None),
    "server error": (error(500), Unanswered, None),
    "unavailable": (error(503), Unanswered, None),
    "gateway gave up": (error(408), Unanswered, None),
    "redirected": (Answer(302, {}, {"Location": "/elsewhere"}), Unanswered, None),
    "a page instead of JSON": (Answer(200, b"<html>"), Unanswered, None),
    "reset": (RESET, Unanswered, None),
}


@pytest.mark.parametrize(("answer", "raised", "refusal"), ENDS.values(), ids=ENDS)
def test_create_ends(carrier, create, answer, raised, refusal):
    carrier.script("/v1", answer)
    carrier.script("/elsewhere", Answer(200))

    with pytest.raises(raised) as caught:
        create()

    assert getattr(caught.value, "refusal", None) is refusal


REVOKE_ENDS = {
    "too late": (error(404), Refused, Refusal.WITHDRAWAL_FAILED),
    "invalid": (error(400), Refused, Refusal.WITHDRAWAL_FAILED),
    "a conflict": (error(409), Refused, Refusal.WITHDRAWAL_FAILED),
    "agent lookup failed": (Answer(403, LOOKUP), Throttled, None),
    "quota": (error(429), Throttled, None),
    "server error": (error(500), Unanswered, None),
    "a page instead of JSON": (Answer(200, b"<html>"), Unanswered, None),
    "reset": (RESET, Unanswered, None),
}


@pytest.mark.parametrize(
    ("answer", "raised", "refusal"), REVOKE_ENDS.values(), ids=REVOKE_ENDS
)
def test_revoke_ends(carrier, revoke, answer, raised, refusal):
    carrier.script("/v1", answer)

    with pytest.raises(raised) as caught:
        revoke()

    assert getattr(caught.value, "refusal", None) is refusal


def test_a_known_id_counts_as_accepted(carrier, create):
    carrier.script("/v1", RESET, error(409))

    create()

    assert len(carrier.seen("/v1")) == 2


@pytest.mark.parametrize("first", [error(429), error(503), RESET], ids=str)
def test_the_same_id_is_tried_again(carrier, create, first):
    carrier.script("/v1", first, Answer(200))

    create()

    once, again = carrier.seen("/v1")
    assert once.path == again.path
    assert once.body == again.body


@pytest.mark.parametrize("answer", [error(404), error(400), Answer(403, LOOKUP)])
def test_a_refusal_is_not_asked_again(carrier, create, answer):
    carrier.script("/v1", answer)

    with pytest.raises((Refused, Throttled)):
        create()

    assert len(carrier.seen("/v1")) == 1


def test_a_blip_is_ridden_out_and_no_more(carrier, create, clock):
    carrier.script("/v1", error(503))

    with pytest.raises(Unanswered):
        create(seconds=25)

    assert clock.naps == [0.1, 0.2]


def test_jitter_spreads_the_whole_pause(carrier, service_account, clock):
    carrier.script("/token", GRANTED)
    carrier.script("/v1", error(503), Answer(200))
    rbm = Rbm.from_key(
        service_account,
        carrier.url,
        sleep=clock.sleep,
        jitter=lambda: 0.1,
        monotonic=clock.monotonic,
    )

    rbm.create(
        agent="a", phone=PHONE, message_id="m", body=BODY, budget=timedelta(seconds=9)
    )
    rbm.close()

    assert clock.naps == [pytest.approx(0.01)]


def test_retry_after_is_waited_for(carrier, create, clock):
    carrier.script("/v1", error(429, **{"Retry-After": "3"}), Answer(200))

    create()

    assert clock.naps == [3.1]


def test_retry_after_beyond_the_budget_is_handed_on(carrier, create, clock):
    carrier.script("/v1", error(429, **{"Retry-After": "30"}))

    with pytest.raises(Throttled) as caught:
        create()

    assert caught.value.after == timedelta(seconds=30)
    assert clock.naps == []


def test_what_was_waited_is_spent(carrier, create, clock):
    carrier.script("/v1", error(503, **{"Retry-After": "30"}))

    with pytest.raises(Unanswered):
        create(seconds=50)

    assert clock.naps == [30.1]


def test_a_wait_that_leaves_no_time_to_ask_is_not_begun(carrier, create, clock):
    clock.now = 0.0
    carrier.script("/v1", error(429, **{"Retry-After": "30"}))

    with pytest.raises(Throttled) as caught:
        create(seconds=30.1)

    assert caught.value.after == timedelta(seconds=30)
    assert clock.naps == []


def test_it_waits_by_itself(carrier, service_account):
    carrier.script("/token", GRANTED)
    carrier.script("/v1", error(503), Answer(200))
    rbm = Rbm.from_key(service_account, carrier.url, jitter=lambda: 0.1)

    rbm.create(
        agent="a", phone=PHONE, message_id="m", body=BODY, budget=timedelta(seconds=9)
    )
    rbm.close()

    assert len(carrier.seen("/v1")) == 2


def test_what_is_no_key_is_refused(carrier, service_account):
    for missing in ("private_key", "client_email", "token_uri"):
        key = service_account | {}
        del key[missing]
        with pytest.raises(ValueError, match="no service account's key"):
            Rbm.from_key(key, carrier.url)


SILENT = {
    "refused at once": ([error(404)], False),
    "refused after a quota": ([error(429), error(404)], False),
    "refused after a reset": ([RESET, error(404)], True),
    "refused after a 5xx": ([error(500), error(404)], True),
    "throttled after a reset": (
        [RESET, error(429, **{"Retry-After": "60"})],
        True,
    ),
    "misconfigured after a reset": ([RESET, Answer(403, LOOKUP)], True),
}


@pytest.mark.parametrize(("answers", "silent"), SILENT.values(), ids=SILENT)
def test_an_error_tells_of_earlier_silence(carrier, create, answers, silent):
    carrier.script("/v1", *answers)

    with pytest.raises((Refused, Throttled)) as caught:
        create()

    assert caught.value.after_silence is silent


def test_a_short_budget_buys_one_revocation(carrier, revoke):
    carrier.script("/v1", error(503))

    with pytest.raises(Unanswered):
        revoke(seconds=2)

    assert len(carrier.seen("/v1")) == 1


def test_a_longer_budget_buys_more_revocations(carrier, revoke):
    carrier.script("/v1", error(503), Answer(200))

    revoke(seconds=10)

    assert len(carrier.seen("/v1")) == 2


def test_a_broken_header_tells_no_number(carrier, create, caplog):
    """What libraries log of an odd answer is theirs; the URL is not."""
    caplog.set_level(logging.DEBUG)
    carrier.script("/v1", Answer(200, {}, {"": "no name"}))

    create()

    assert PHONE[1:] not in caplog.text
    assert "m-1" not in caplog.text


def test_an_answer_that_drips_is_silence(carrier, create, revoke):
    """However steadily bytes come, the whole answer has the budget and no more."""
    carrier.script("/v1", Answer(200), Answer(200, {}, {DRIPPING: "slow" * 5}))
    create()

    with pytest.raises(Unanswered):
        revoke(seconds=0.3)


def test_no_answer_in_time_is_silence(carrier, rbm, create, revoke):
    carrier.script("/v1", Answer(200), SILENCE)
    create()

    with pytest.raises(Unanswered):
        revoke(seconds=0.05)


def test_nobody_listening_is_known_not_sent(service_account, carrier, clock):
    carrier.script("/token", GRANTED)
    rbm = Rbm.from_key(
        service_account,
        "http://127.0.0.1:1",
        sleep=clock.sleep,
        monotonic=clock.monotonic,
    )

    with pytest.raises(Throttled) as caught:
        rbm.create(
            agent="a",
            phone=PHONE,
            message_id="m",
            body=BODY,
            budget=timedelta(seconds=1),
        )
    rbm.close()

    assert not caught.value.after_silence


def test_a_spent_budget_asks_nothing(carrier, create, caplog):
    carrier.script("/v1", Answer(200))

    with pytest.raises(Throttled):
        create(seconds=0)

    assert carrier.requests == []
    assert caplog.records == []


def test_an_expired_token_is_renewed_and_the_request_repeated(carrier, create):
    carrier.script("/token", GRANTED, RENEWED)
    carrier.script("/v1", error(401), Answer(200))

    create()

    tokens = [r.headers["authorization"] for r in carrier.seen("/v1")]
    assert tokens == ["Bearer ya29.first", "Bearer ya29.second"]


def test_a_token_that_stays_refused_is_shouted_about(carrier, create, caplog):
    carrier.script("/v1", error(401))

    with pytest.raises(Throttled):
        create()

    assert len(carrier.seen("/v1")) == 3
    assert [r.message for r in caplog.records] == ["rbm_credentials_refused"]


TOKEN_TROUBLE = {
    "key revoked": Answer(400, {"error": "invalid_grant"}),
    "down": Answer(503, {}),
    "busy": Answer(429, {}),
    "reset": RESET,
    "a page": Answer(200, b"<html>"),
    "a list": Answer(200, []),
    "no token": Answer(200, {"expires_in": 1}),
    "a token that fits no header": Answer(200, {"access_token": "a\nb"}),
    "an odd life": Answer(200, {"access_token": "a", "expires_in": {}}),
}


@pytest.mark.parametrize("answer", TOKEN_TROUBLE.values(), ids=TOKEN_TROUBLE)
def test_without_a_token_nothing_was_sent(carrier, create, caplog, answer):
    carrier.script("/token", answer)

    with pytest.raises(Throttled) as caught:
        create(seconds=0.2)

    assert not caught.value.after_silence
    assert carrier.seen("/v1") == []
    assert {r.message for r in caplog.records} == {"rbm_credentials_refused"}


def test_a_passing_token_trouble_is_tried_again(carrier, create):
    carrier.script("/token", Answer(503), GRANTED)
    carrier.script("/v1", Answer(200))

    create()

    assert len(carrier.seen("/token")) == 2


def test_a_failed_agent_lookup_is_counted_and_shouted_about(carrier, create, caplog):
    carrier.script("/v1", Answer(403, LOOKUP))

    for _ in range(2):
        with pytest.raises(Throttled):
            create()

    logged = [(r.levelno, r.message, r.agent, r.count) for r in caplog.records]
    assert logged == [
        (logging.ERROR, "rbm_agent_lookup_failed", "demo_agent", 1),
        (logging.ERROR, "rbm_agent_lookup_failed", "demo_agent", 2),
    ]


@pytest.mark.parametrize("answer", [error(404), RESET, error(500), Answer(403, LOOKUP)])
def test_errors_and_logs_name_nobody(carrier, create, caplog, answer):
    carrier.script("/v1", answer)

    with pytest.raises((Refused, Throttled, Unanswered)) as caught:
        create()

    told = "".join(traceback.format_exception(caught.value))
    told += "".join(str(vars(record)) for record in caplog.records)
    assert caught.value.__context__ is None
    for secret in (PHONE, "481", "ya29", "about", "looking up"):
        assert secret not in told


def test_a_refused_key_is_not_tried_again(carrier, create):
    carrier.script("/token", Answer(400, {"error": "invalid_grant"}))

    with pytest.raises(Throttled):
        create()

    assert len(carrier.requests) == 1


def test_nothing_but_rbm_and_the_token_endpoint_is_spoken_to(
    carrier, service_account, monkeypatch
):
    asked = []
    lookup = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **more: (
            asked.append(host) or lookup("127.0.0.1", *rest, **more)
        ),
    )
    carrier.script("/token", GRANTED)
    carrier.script("/v1", Answer(200))
    port = carrier.url.rpartition(":")[2]
    key = service_account | {"token_uri": f"http://tokens.example:{port}/token"}
    rbm = Rbm.from_key(key, f"http://rbm.example:{port}")

    rbm.create(
        agent="a", phone=PHONE, message_id="m", body=BODY, budget=timedelta(seconds=9)
    )
    rbm.close()

    assert asked == ["tokens.example", "rbm.example"]


def test_proxies_of_the_environment_are_left_out(carrier, create, monkeypatch):
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    carrier.script("/v1", Answer(200))

    create()

    assert len(carrier.requests) == 2
