import logging
import threading
import traceback
from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
from canned import DRIPPING, RESET, SILENCE, Answer

from backstop.domain.queued import Queued
from backstop.errors import Refusal, Refused, Throttled, Unanswered
from backstop.providers.bandwidth.client import Bandwidth

TO = "+15550100002"
MESSAGES = "/api/v2/users/9900000/messages"
TOKEN = "/api/v1/oauth2/token"
GRANTED = Answer(
    200, {"access_token": "jwt.first", "token_type": "Bearer", "expires_in": 3600}
)
RENEWED = Answer(200, {"access_token": "jwt.second", "expires_in": 3600})
TAKEN = Answer(202, {"id": "1789000000123abc", "segmentCount": 2, "to": [TO]})


def error(status, **headers):
    return Answer(status, {"type": "x", "description": f"about {TO}"}, headers)


class Clock:
    now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def bandwidth(carrier, clock):
    carrier.script(TOKEN, GRANTED)
    client = Bandwidth(
        base_url=f"{carrier.url}/api/v2",
        token_url=f"{carrier.url}{TOKEN}",
        account_id="9900000",
        application_id="app-1",
        client_id="client",
        client_secret="pässword",
        monotonic=clock.monotonic,
    )
    yield client
    client.close()


@pytest.fixture
def send(bandwidth):
    def send(seconds=5.0, media=()):
        return bandwidth.send(
            sender="+15550100001",
            to=TO,
            text="Code 481 516",
            media=media,
            tag="demo_agent/m-1/1",
            expires_at=datetime(2026, 11, 20, 19, 0, tzinfo=UTC),
            budget=timedelta(seconds=seconds),
        )

    return send


def test_a_message_is_asked_for_as_bandwidth_documents(carrier, send):
    carrier.script(MESSAGES, TAKEN)

    queued = send()

    assert queued == Queued("1789000000123abc", 2)
    [request] = carrier.seen(MESSAGES)
    assert request.headers["authorization"] == "Bearer jwt.first"
    assert request.headers["content-type"].startswith("application/json")
    assert request.json == {
        "applicationId": "app-1",
        "from": "+15550100001",
        "to": [TO],
        "text": "Code 481 516",
        "tag": "demo_agent/m-1/1",
        "expiration": "2026-11-20T19:00:00Z",
    }


def test_media_make_it_an_mms(carrier, send):
    carrier.script(MESSAGES, TAKEN)

    send(media=("https://files.example/a.png",))

    [request] = carrier.seen(MESSAGES)
    assert request.json["media"] == ["https://files.example/a.png"]


def test_a_token_is_asked_for_as_bandwidth_documents(carrier, send):
    carrier.script(MESSAGES, TAKEN)

    send()

    [request] = carrier.seen(TOKEN)
    basic = b64encode("client:pässword".encode()).decode()
    assert request.headers["authorization"] == f"Basic {basic}"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.body == b"grant_type=client_credentials"


ENDS = {
    "invalid": (error(400), Refused),
    "no such path": (error(404), Refused),
    "wrong method": (error(405), Refused),
    "wrong type": (error(415), Refused),
    "queue full": (error(429), Throttled),
    "forbidden": (error(403), Throttled),
    "unauthorised twice": (error(401), Throttled),
    "server error": (error(500), Unanswered),
    "unavailable": (error(503), Unanswered),
    "gateway gave up": (error(408), Unanswered),
    "redirected": (Answer(307, {}, {"Location": "/elsewhere"}), Unanswered),
    "taken without an id": (Answer(202, {}), Unanswered),
    "taken with an odd id": (Answer(202, {"id": 7}), Unanswered),
    "taken with an empty id": (Answer(202, {"id": ""}), Unanswered),
    "a page instead of JSON": (Answer(202, b"<html>"), Unanswered),
    "reset": (RESET, Unanswered),
}


@pytest.mark.parametrize(("answer", "raised"), ENDS.values(), ids=ENDS)
def test_send_ends(carrier, send, answer, raised):
    carrier.script(MESSAGES, answer)
    carrier.script("/elsewhere", TAKEN)

    with pytest.raises(raised) as caught:
        send()

    if raised is Refused:
        assert caught.value.refusal is Refusal.REJECTED


@pytest.mark.parametrize("segments", [None, "2", True, 1.5], ids=repr)
def test_an_odd_segment_count_is_none(carrier, send, segments):
    carrier.script(MESSAGES, Answer(202, {"id": "x", "segmentCount": segments}))

    assert send() == Queued("x", None)


@pytest.mark.parametrize(
    "answer", [RESET, error(500), error(429), error(400), error(403)], ids=str
)
def test_nothing_is_sent_twice(carrier, send, answer):
    carrier.script(MESSAGES, answer)

    with pytest.raises((Refused, Throttled, Unanswered)):
        send()

    assert len(carrier.seen(MESSAGES)) == 1


def test_an_answer_that_drips_is_silence(carrier, send):
    """However steadily bytes come, the whole answer has the budget and no more."""
    dripping = Answer(TAKEN.status, TAKEN.body, {DRIPPING: "slow" * 5})
    carrier.script(MESSAGES, TAKEN, dripping)
    send()

    with pytest.raises(Unanswered):
        send(seconds=0.3)


def test_no_answer_in_time_is_silence(carrier, send):
    carrier.script(MESSAGES, TAKEN, SILENCE)
    send()

    with pytest.raises(Unanswered):
        send(seconds=0.05)


def test_a_wish_for_later_is_handed_on(carrier, send):
    carrier.script(MESSAGES, error(429, **{"Retry-After": "60"}))

    with pytest.raises(Throttled) as caught:
        send()

    assert caught.value.after == timedelta(seconds=60)


def test_a_message_that_was_taken_without_an_id_is_told_from_silence(carrier, send):
    carrier.script(MESSAGES, Answer(202, {}))

    with pytest.raises(Unanswered, match="202 without an id"):
        send()


def test_nobody_listening_is_known_not_sent(carrier):
    carrier.script(TOKEN, GRANTED)
    bandwidth = Bandwidth(
        base_url="http://127.0.0.1:1",
        token_url=f"{carrier.url}{TOKEN}",
        account_id="9900000",
        application_id="app-1",
        client_id="client",
        client_secret="secret",
    )

    with pytest.raises(Throttled):
        bandwidth.send(
            sender="+15550100001",
            to=TO,
            text="x",
            media=(),
            tag="t",
            expires_at=datetime(2026, 11, 20, tzinfo=UTC),
            budget=timedelta(seconds=1),
        )
    bandwidth.close()


TOKEN_TROUBLE = {
    "wrong secret": (error(401), True),
    "forbidden": (error(403), True),
    "busy": (error(429), False),
    "down": (error(503), False),
    "reset": (RESET, False),
    "a page": (Answer(200, b"<html>"), False),
    "no token": (Answer(200, {"expires_in": 9}), False),
    "a token that fits no header": (Answer(200, {"access_token": "a\nb"}), False),
    "redirected": (Answer(302, {"access_token": "a"}), False),
}


@pytest.mark.parametrize(
    ("answer", "shouted"), TOKEN_TROUBLE.values(), ids=TOKEN_TROUBLE
)
def test_without_a_token_nothing_was_sent(carrier, send, caplog, answer, shouted):
    carrier.script(TOKEN, answer)

    with pytest.raises(Throttled):
        send()

    assert carrier.seen(MESSAGES) == []
    logged = ["bandwidth_credentials_refused"] if shouted else []
    assert [r.message for r in caplog.records] == logged


def test_a_token_is_kept_until_its_last_minute(carrier, send, clock):
    carrier.script(MESSAGES, TAKEN)
    carrier.script(TOKEN, GRANTED, RENEWED)

    send()
    clock.now += 3539
    send()
    clock.now += 1
    send()

    tokens = [r.headers["authorization"] for r in carrier.seen(MESSAGES)]
    assert tokens == ["Bearer jwt.first", "Bearer jwt.first", "Bearer jwt.second"]


LIVES = {"short": (30, 15), "unsaid": (None, 3540), "as a string": ("600", 540)}


@pytest.mark.parametrize(("life", "renewed_after"), LIVES.values(), ids=LIVES)
def test_a_token_of_another_life(carrier, send, clock, life, renewed_after):
    carrier.script(MESSAGES, TAKEN)
    carrier.script(TOKEN, Answer(200, {"access_token": "a", "expires_in": life}))

    send()
    clock.now += renewed_after - 1
    send()
    clock.now += 1
    send()

    assert len(carrier.seen(TOKEN)) == 2


def test_a_refused_token_is_renewed_and_the_request_repeated(carrier, send):
    carrier.script(MESSAGES, error(401), TAKEN)
    carrier.script(TOKEN, GRANTED, RENEWED)

    send()

    tokens = [r.headers["authorization"] for r in carrier.seen(MESSAGES)]
    assert tokens == ["Bearer jwt.first", "Bearer jwt.second"]


@pytest.mark.parametrize(("status", "tries"), [(401, 2), (403, 1)])
def test_refused_credentials_are_shouted_about(carrier, send, caplog, status, tries):
    carrier.script(MESSAGES, error(status))

    with pytest.raises(Throttled):
        send()

    assert len(carrier.seen(MESSAGES)) == tries
    logged = [(r.levelno, r.message, r.status) for r in caplog.records]
    assert logged == [(logging.ERROR, "bandwidth_credentials_refused", status)]


def test_many_threads_ask_for_one_token(carrier, send):
    carrier.script(MESSAGES, TAKEN)
    threads = [threading.Thread(target=send) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(carrier.seen(MESSAGES)) == 8
    assert len(carrier.seen(TOKEN)) == 1


def test_a_spent_budget_asks_nothing(carrier, send):
    with pytest.raises(Throttled):
        send(seconds=0)

    assert carrier.requests == []


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_spent_budget_sends_nothing_over_a_resting_connection(carrier, send, seconds):
    carrier.script(MESSAGES, TAKEN)
    send()

    with pytest.raises(Throttled):
        send(seconds=seconds)

    assert len(carrier.seen(MESSAGES)) == 1


@pytest.mark.parametrize("answer", [error(400), error(500), RESET, error(403)])
def test_errors_name_nobody(carrier, send, answer):
    carrier.script(MESSAGES, answer)

    with pytest.raises((Refused, Throttled, Unanswered)) as caught:
        send()

    told = "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None
    for secret in (TO, "481", "jwt", "pässword", "about"):
        assert secret not in told
