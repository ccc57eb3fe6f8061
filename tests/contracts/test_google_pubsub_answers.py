"""What Pub/Sub and the metadata server may answer, and what is made of it."""

import pytest

from backstop.adapters.google.instance import PATH, RENEW
from backstop.adapters.google.pubsub import BUDGET, TRY, PubsubEvents
from backstop.errors import Unavailable
from contracts.events_contract import event
from providers.canned import RESET, Answer, Canned

TOPIC = "projects/demo/topics/events"
PUBLISH = f"/v1/{TOPIC}:publish"
PUBLISHED = Answer(200, {"messageIds": ["1"]})
LIFE = 3600.0

PASSING = {
    "401": Answer(401),
    "409": Answer(409),
    "429": Answer(429),
    "500": Answer(500),
    "503": Answer(503, b"<html>"),
    "504": Answer(504),
    "a reset": RESET,
}

FINAL = {
    "a redirection": Answer(302, headers={"Location": "http://127.0.0.1:1/"}),
    "400": Answer(400),
    "403": Answer(403),
    "404": Answer(404),
}

NO_TOKENS = {
    "refused": Answer(403),
    "busy": Answer(503),
    "no JSON": Answer(200, b"<html>"),
    "no token": Answer(200, {"expires_in": 3600}),
    "a reset": RESET,
}


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def service():
    canned = Canned()
    canned.script(PUBLISH, PUBLISHED)
    canned.script(PATH, token("first"), token("second"))
    yield canned
    canned.close()


@pytest.fixture
def events(service, clock):
    return PubsubEvents(
        TOPIC,
        service=service.url,
        metadata=service.url,
        sleep=clock.sleep,
        jitter=lambda: 1.0,
        monotonic=clock.monotonic,
    )


def token(text):
    return Answer(200, {"access_token": text, "expires_in": LIFE})


def bearers(service):
    return [request.headers["authorization"] for request in service.seen(PUBLISH)]


def test_the_instance_proves_who_it_is(service, events):
    """Its token is asked for once, in the way that no web page could ask."""
    events.publish(event("e-1"))
    events.publish(event("e-2"))

    assert bearers(service) == ["Bearer first"] * 2
    assert [r.headers["metadata-flavor"] for r in service.seen(PATH)] == ["Google"]


def test_a_token_is_renewed_before_it_ends(service, events, clock):
    """No request is refused for a token's age."""
    events.publish(event("e-1"))
    clock.now += LIFE - RENEW
    events.publish(event("e-2"))

    assert bearers(service) == ["Bearer first", "Bearer second"]


def test_a_refused_token_is_replaced(service, events):
    """One that was revoked is not used until its end."""
    service.script(PUBLISH, Answer(401), PUBLISHED)
    events.publish(event())

    assert bearers(service) == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize("answer", PASSING.values(), ids=PASSING)
def test_what_passes_is_ridden_out(service, events, answer):
    """Nobody is told of a blip; the same body is sent again."""
    service.script(PUBLISH, answer, answer, PUBLISHED)
    events.publish(event())

    first, *again = [request.body for request in service.seen(PUBLISH)]
    assert again == [first] * 2


@pytest.mark.parametrize("answer", PASSING.values(), ids=PASSING)
def test_what_does_not_pass_is_said_in_time(service, events, clock, answer):
    """The carrier is told 503 while it still waits."""
    service.script(PUBLISH, answer)
    with pytest.raises(Unavailable):
        events.publish(event())

    assert clock.now <= 1000 + BUDGET
    assert len(service.seen(PUBLISH)) > BUDGET / TRY


@pytest.mark.parametrize("answer", FINAL.values(), ids=FINAL)
def test_what_is_refused_is_not_asked_again(service, events, answer):
    """It is our own mistake, and the answer would be the same."""
    service.script(PUBLISH, answer, PUBLISHED)
    with pytest.raises(Unavailable):
        events.publish(event())

    assert len(service.seen(PUBLISH)) == 1


@pytest.mark.parametrize("answer", NO_TOKENS.values(), ids=NO_TOKENS)
def test_without_a_token_nothing_is_sent(service, events, answer):
    """And nobody is answered 200."""
    service.script(PATH, answer)
    with pytest.raises(Unavailable):
        events.publish(event())

    assert service.seen(PUBLISH) == []


def test_a_token_that_comes_late_is_waited_for(service, events):
    """The metadata server of a young instance may not be there yet."""
    service.script(PATH, Answer(503), token("first"))
    events.publish(event())

    assert bearers(service) == ["Bearer first"]
