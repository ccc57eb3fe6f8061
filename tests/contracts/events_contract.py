"""What every bus of events promises."""

from base64 import b64decode
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from backstop.domain.event import (
    CATALOGUE,
    MESSAGE_FAILED,
    RCS_DELIVERED,
    RCS_EXPIRED,
    RCS_UNKNOWN,
    SMS_DUE,
    Event,
)
from contracts.platform import SUBSCRIPTIONS
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

    Its subscribers are those of `contracts.platform.SUBSCRIPTIONS`.
    """

    @pytest.mark.parametrize("kind", CATALOGUE.values(), ids=CATALOGUE)
    def test_each_subscriber_gets_what_it_wants(self, platform, kind):
        """An event goes to every subscriber whose filter wants it, and to no other."""
        platform.events.publish(event(kind=kind))

        platform.settle()

        wanted = {
            name
            for name, kinds in SUBSCRIPTIONS.items()
            if not kinds or kind.kind.value in kinds
        }
        assert wanted == {name for name in SUBSCRIPTIONS if got(platform, name)}

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
        """Ids, times and counters stand where Pub/Sub puts them."""
        platform.events.publish(event())

        platform.settle()

        (envelope,) = got(platform, "receipts")
        message = envelope["message"]
        published_at = datetime.fromisoformat(message["publishTime"])
        assert envelope["subscription"].rpartition("/")[2] == "receipts"
        assert envelope["deliveryAttempt"] == 1
        assert platform.now() == published_at
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
        """Sixteen who publish at the same moment are all heard."""
        events = [event(f"e-{n}") for n in range(160)]

        at_once(
            [
                lambda n=n: [platform.events.publish(e) for e in events[n::16]]
                for n in range(16)
            ]
        )
        platform.settle()

        assert {e.id for e in events} == set(ids(platform, "everything"))

    @pytest.mark.parametrize("status", [200, 201, 202, 204])
    def test_any_2xx_is_an_answer(self, platform, status):
        """An event that was taken does not come again."""
        platform.receiver.answer("/everything", status)
        platform.events.publish(event())

        platform.elapse(timedelta(minutes=5))

        assert ids(platform, "everything") == ["e-1"]

    @pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
    def test_what_was_not_taken_comes_again(self, platform, refusal):
        """No 2xx, or no answer, brings the event again, with its attempt counted."""
        platform.receiver.answer("/receipts", refusal, refusal)
        platform.events.publish(event())

        platform.elapse(timedelta(minutes=5))

        envelopes = got(platform, "receipts")
        assert ids(platform, "receipts") == ["e-1"] * 3
        assert [envelope["deliveryAttempt"] for envelope in envelopes] == [1, 2, 3]
        assert len({str(envelope["message"]) for envelope in envelopes}) == 1

    def test_waits_grow(self, platform):
        """Each of the first waits is at least as long as the one before."""
        platform.receiver.always("/receipts", 503)
        platform.events.publish(event())

        platform.elapse(timedelta(minutes=1))

        times = [request.at for request in platform.receiver.at("/receipts")]
        waits = [later - earlier for earlier, later in pairwise(times)]
        assert len(waits) >= 4
        assert sorted(waits) == waits
        assert waits[0] < waits[-1]

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

    def test_timers_do_not_wait_for_subscribers(self, platform):
        """Rings have nothing to do with a subscriber that answers nobody."""
        platform.receiver.hold("/receipts")
        platform.events.publish(*(event(f"e-{n}") for n in range(40)))

        platform.timers.arm("a message", at=platform.now())
        until(platform.rings)

        platform.receiver.release("/receipts")

    def test_an_event_nobody_takes_is_given_up(self, platform):
        """After the last try it is a dead letter: whose, what, why, how often."""
        give_up(platform, event(data=b"bytes"))

        (letter,) = platform.dead_letters()
        assert platform.dead_after == len(got(platform, "receipts"))
        assert platform.dead_after == letter.tries
        assert letter.subscription == "receipts"
        assert "503" in letter.reason
        assert event().attributes() == letter.attributes
        assert letter.data == b"bytes"

    def test_a_dead_letter_is_delivered_no_more(self, platform):
        """It waits for a hand, however long, and others lack nothing."""
        give_up(platform, event())
        platform.receiver.always("/receipts", 200)

        platform.elapse(timedelta(days=7))

        assert platform.dead_after == len(got(platform, "receipts"))
        assert ids(platform, "everything") == ["e-1"]

    def test_a_dead_letter_is_replayed_once(self, platform):
        """A replay delivers the same event to that subscriber; another does nothing."""
        give_up(platform, event(data=b"bytes"))
        platform.receiver.always("/receipts", 200)
        (letter,) = platform.dead_letters()

        first = platform.replay(letter)
        platform.settle()
        second = platform.replay(letter)
        platform.elapse(timedelta(hours=1))

        (*_, last) = got(platform, "receipts")
        assert (first, second) == (True, False)
        assert list(platform.dead_letters()) == []
        assert b64decode(last["message"]["data"]) == b"bytes"
        assert platform.dead_after + 1 == len(got(platform, "receipts"))
        assert ids(platform, "everything") == ["e-1"]

    def test_a_second_replay_while_the_first_is_under_way_does_nothing(self, platform):
        """Two clicks are one replay."""
        give_up(platform, event())
        platform.receiver.hold("/receipts")
        (letter,) = platform.dead_letters()

        clicks = [platform.replay(letter), platform.replay(letter)]
        platform.receiver.always("/receipts", 200)
        platform.receiver.release("/receipts")
        platform.settle()

        assert clicks == [True, False]
        assert platform.dead_after + 1 == len(got(platform, "receipts"))

    def test_a_replay_that_fails_is_retried_and_given_up_again(self, platform):
        """A replay has as many tries as a new event, and is listed again after."""
        give_up(platform, event())
        (letter,) = platform.dead_letters()

        platform.replay(letter)
        platform.elapse(timedelta(hours=4))

        assert 2 * platform.dead_after == len(got(platform, "receipts"))
        assert len(platform.dead_letters()) == 1

    def test_what_was_published_is_durable(self, platform):
        """A kill right after publishing loses nothing, for nobody."""
        for name in SUBSCRIPTIONS:
            platform.receiver.always(f"/{name}", 503)
        platform.events.publish(event("e-1"), event("e-2", SMS_DUE))
        platform.settle()

        platform.die()
        for name in SUBSCRIPTIONS:
            platform.receiver.always(f"/{name}", 200)
        before = len(platform.receiver.received)
        platform.elapse(timedelta(minutes=5))

        after = platform.receiver.received[before:]
        assert {
            ("/everything", "e-1"),
            ("/everything", "e-2"),
            ("/receipts", "e-1"),
            ("/dues", "e-2"),
        } == {(r.path, r.body["message"]["attributes"]["ce-id"]) for r in after}

    def test_a_kill_in_the_middle_of_a_delivery_repeats_it(self, platform):
        """Whether the subscriber took it is unknown, so it gets it again."""
        platform.receiver.hold("/receipts")
        platform.events.publish(event())
        until(lambda: got(platform, "receipts"))

        platform.die()
        platform.receiver.release("/receipts")
        platform.settle()

        assert ids(platform, "receipts") == ["e-1", "e-1"]

    def test_a_kill_brings_nothing_back(self, platform):
        """What was taken, or given up, before it stays so."""
        platform.events.publish(event("taken", MESSAGE_FAILED))
        give_up(platform, event("given up"))
        before = len(platform.receiver.received)

        platform.die()
        platform.elapse(timedelta(hours=4))

        assert before == len(platform.receiver.received)
        assert len(platform.dead_letters()) == 1

    def test_unknown_kinds_are_passed_on(self, platform):
        """What no version of ours knows reaches whoever wants everything."""
        platform.events.publish(event("odd", RCS_UNKNOWN, b"\xff"))

        platform.settle()

        assert ids(platform, "everything") == ["odd"]

    def test_a_filter_holds_several_kinds(self, platform):
        """A subscriber of two kinds gets both."""
        platform.events.publish(event("due", SMS_DUE), event("expired", RCS_EXPIRED))

        platform.settle()

        assert {"due", "expired"} == set(ids(platform, "dues"))


def give_up(platform, published):
    """Publish, and let the receipts' subscriber refuse it to the end."""
    platform.receiver.always("/receipts", 503)
    platform.events.publish(published)
    platform.elapse(timedelta(hours=4))
