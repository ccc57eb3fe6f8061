"""The embedded bus: beside what all promise, what elsewhere is Pub/Sub's own doing."""

from base64 import b64decode
from datetime import timedelta
from itertools import pairwise

import pytest

from backstop.domain.event import (
    CATALOGUE,
    MESSAGE_FAILED,
    RCS_EXPIRED,
    SMS_DUE,
)
from contracts.embedded import Embedded
from contracts.events_contract import EventsContract, event, got, ids
from contracts.platform import SUBSCRIPTIONS, traced
from contracts.waiting import until


class TestSqliteEvents(EventsContract):
    @pytest.fixture
    def platform(self, tmp_path):
        platform = Embedded(tmp_path)
        yield platform
        platform.close()

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

    def test_a_trace_travels_beside_the_event(self, platform):
        """It is an attribute more, of the delivery and not of the event."""
        trace = traced(lambda: platform.events.publish(event()))

        platform.settle()

        (envelope,) = got(platform, "everything")
        told = event().attributes() | {"ce-traceparent": trace}
        assert told == envelope["message"]["attributes"]

    def test_tries_are_counted(self, platform):
        """Each delivery says the how-manieth it is."""
        platform.receiver.answer("/receipts", 503, 503)
        platform.events.publish(event())

        platform.elapse(timedelta(minutes=5))

        envelopes = got(platform, "receipts")
        assert [envelope["deliveryAttempt"] for envelope in envelopes] == [1, 2, 3]

    def test_a_202_is_an_answer(self, platform):
        """As to Pub/Sub itself."""
        platform.receiver.answer("/everything", 202)
        platform.events.publish(event())

        platform.elapse(timedelta(minutes=5))

        assert ids(platform, "everything") == ["e-1"]

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
