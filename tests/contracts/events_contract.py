"""What every bus of events promises."""

from base64 import b64decode
from datetime import UTC, datetime, timedelta

import pytest

from backstop.domain.event import (
    RCS_DELIVERED,
    RCS_UNKNOWN,
    Event,
)
from contracts.receiver import SILENCE
from contracts.waiting import at_once, until

TIME = datetime(2026, 4, 5, 12, 1, 0, 1, tzinfo=UTC)

BODIES = {
    "JSON": b'{"text": "Gr\xc3\xbc\xc3\x9fe", "n": 1.0}',
    "spaced as it came": b'{ "a" :1,\r\n"a":2 }\n',
    "every byte": bytes(range(256)),
    "nothing": b"",
    "large": b"x" * 262_144,
}

REFUSALS = {
    "503": 503,
    "500": 500,
    "429": 429,
    "404": 404,
    "a redirection": 302,
    "no answer": SILENCE,
}


def event(name="e-1", kind=RCS_DELIVERED, data=b"{}"):
    return Event(
        id=name,
        type=kind,
        time=TIME,
        data=data,
        agent="agent",
        message_id="one",
        attempt=2,
    )


def got(platform, subscriber):
    """Return the envelopes that *subscriber* was sent."""
    return [request.body for request in platform.receiver.at(f"/{subscriber}")]


def ids(platform, subscriber):
    return [e["message"]["attributes"]["ce-id"] for e in got(platform, subscriber)]


class EventsContract:
    """What `Events` promises. Subclass per adapter and supply `platform`.

    Its subscribers are those of `contracts.platform.SUBSCRIPTIONS`. A platform whose
    retries take real time lets `elapse` end when every event was taken.
    """

    @pytest.mark.parametrize("data", BODIES.values(), ids=BODIES)
    def test_the_data_arrives_unchanged(self, platform, data):
        """A subscriber gets the very bytes that were published."""
        platform.events.publish(event(data=data))

        platform.settle()

        (envelope,) = got(platform, "everything")
        assert data == b64decode(envelope["message"]["data"], validate=True)

    def test_the_attributes_arrive_unchanged(self, platform):
        """A subscriber gets the event's attributes, and none besides."""
        platform.events.publish(event())

        platform.settle()

        (envelope,) = got(platform, "everything")
        assert event().attributes() == envelope["message"]["attributes"]

    def test_the_envelope_is_that_of_a_pub_sub_push(self, platform):
        """Ids and times stand where Pub/Sub puts them."""
        before = platform.now() - timedelta(milliseconds=1)
        platform.events.publish(event())

        platform.settle()

        (envelope,) = got(platform, "receipts")
        message = envelope["message"]
        published_at = datetime.fromisoformat(message["publishTime"])
        assert envelope["subscription"].rpartition("/")[2] == "receipts"
        assert before <= published_at <= platform.now()
        assert isinstance(message["messageId"], str)
        assert message["messageId"]

    def test_events_of_one_call_are_all_published(self, platform):
        """Several at once are several events, each with an id of the platform's."""
        events = [event(f"e-{n}") for n in range(5)]
        platform.events.publish(*events)

        platform.settle()

        envelopes = got(platform, "everything")
        assert {"e-0", "e-1", "e-2", "e-3", "e-4"} == set(ids(platform, "everything"))
        assert len({envelope["message"]["messageId"] for envelope in envelopes}) == 5

    def test_no_event_is_nothing(self, platform):
        """A callback with an empty list publishes nothing and fails nowhere."""
        platform.events.publish()

        platform.settle()

        assert platform.receiver.received == []

    def test_many_publishers_lose_nothing(self, platform):
        """Sixteen who publish at the same moment are all heard, and each once."""
        events = [event(f"e-{n}") for n in range(160)]

        at_once(
            [
                lambda n=n: [platform.events.publish(e) for e in events[n::16]]
                for n in range(16)
            ]
        )
        platform.settle()

        assert sorted(e.id for e in events) == sorted(ids(platform, "everything"))

    @pytest.mark.parametrize("status", [200, 201, 204])
    def test_any_2xx_is_an_answer(self, platform, status):
        """An event that was taken does not come again."""
        platform.receiver.answer("/everything", status)
        platform.events.publish(event())

        platform.elapse(timedelta(minutes=5))

        assert ids(platform, "everything") == ["e-1"]

    @pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
    def test_what_was_not_taken_comes_again(self, platform, refusal):
        """No 2xx, or no answer, brings the very same event again."""
        platform.receiver.answer("/receipts", refusal)
        platform.events.publish(event())

        platform.elapse(timedelta(minutes=5))

        envelopes = got(platform, "receipts")
        assert ids(platform, "receipts") == ["e-1"] * 2
        assert len({str(envelope["message"]) for envelope in envelopes}) == 1

    def test_a_failing_subscriber_delays_no_other(self, platform):
        """What one refuses, the others get at once and once."""
        platform.receiver.always("/receipts", 503)
        platform.events.publish(event())

        platform.settle()

        assert ids(platform, "everything") == ["e-1"]

    def test_a_slow_subscriber_delays_no_other(self, platform):
        """One that answers nobody, for dozens of events, is waited for alone."""
        platform.receiver.hold("/receipts")
        platform.events.publish(*(event(f"e-{n}") for n in range(40)))

        until(lambda: len(set(ids(platform, "everything"))) == 40)

        platform.receiver.release("/receipts")

    def test_a_slow_subscriber_gets_all_in_the_end(self, platform):
        """More events than it can have in hand are kept for it."""
        platform.receiver.hold("/receipts")
        platform.events.publish(*(event(f"e-{n}") for n in range(40)))
        until(lambda: got(platform, "receipts"))

        platform.receiver.release("/receipts")
        platform.settle()

        assert len(set(ids(platform, "receipts"))) == 40

    def test_one_bad_event_holds_up_no_other(self, platform):
        """An event that is refused again and again does not block what follows."""
        platform.receiver.always(
            "/receipts",
            lambda body: (
                503 if body["message"]["attributes"]["ce-id"] == "bad" else 200
            ),
        )
        platform.events.publish(event("bad"))
        platform.events.publish(event("good"))

        platform.settle()

        assert "good" in ids(platform, "receipts")

    def test_unknown_kinds_are_passed_on(self, platform):
        """What no version of ours knows reaches whoever wants everything."""
        platform.events.publish(event("odd", RCS_UNKNOWN, b"\xff"))

        platform.settle()

        assert ids(platform, "everything") == ["odd"]
