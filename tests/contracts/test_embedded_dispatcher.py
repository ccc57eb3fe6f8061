import threading
from datetime import timedelta
from random import Random

import pytest

from backstop.adapters.embedded.database import Database
from backstop.adapters.embedded.dispatcher import TAKEN, WIDTH, Dispatcher
from backstop.adapters.embedded.stores import SqliteTimers
from backstop.adapters.system import SystemRandom
from backstop.domain.message import message_key
from contracts.embedded import TOKEN, Embedded
from contracts.events_contract import event, got
from contracts.over_http import over_http
from contracts.platform import RING
from contracts.receiver import Receiver
from contracts.waiting import until
from simulator import Clock

ONE = message_key("agent", "one")


@pytest.fixture
def platform(tmp_path):
    platform = Embedded(tmp_path)
    yield platform
    platform.close()


class TestIdle:
    def test_nothing_to_do_is_idle(self, platform):
        """An empty platform is idle, and nothing is next."""
        dispatcher = platform.life.dispatcher

        assert (dispatcher.idle(), dispatcher.next_due()) == (True, None)

    def test_what_lies_ahead_is_next(self, platform):
        """The earliest of all timers is what is next, and until then it is idle."""
        soon = platform.now() + timedelta(seconds=5)
        platform.timers.arm(ONE, at=soon + timedelta(days=1))
        platform.timers.arm(ONE, at=soon)
        dispatcher = platform.life.dispatcher

        assert (True, soon) == (dispatcher.idle(), dispatcher.next_due())

    @pytest.mark.parametrize("path", [RING, "/receipts"], ids=["a ring", "a push"])
    def test_what_is_under_way_is_not_idle(self, platform, path):
        """Until the answer is there, and written down, it is not idle."""
        platform.receiver.hold(path)
        platform.timers.arm(ONE, at=platform.now())
        platform.events.publish(event())
        until(lambda: platform.receiver.at(path))
        dispatcher = platform.life.dispatcher

        assert not dispatcher.idle()

        platform.receiver.release(path)
        platform.settle()
        assert dispatcher.next_due() is None

    def test_a_put_off_delivery_is_next(self, platform):
        """What was refused is next when its wait is over."""
        platform.receiver.answer("/receipts", 503)
        platform.events.publish(event())
        platform.settle()

        due = platform.life.dispatcher.next_due()

        assert timedelta() < due - platform.now() <= timedelta(seconds=1)

    def test_a_dead_letter_is_not_next(self, platform):
        """Nobody waits for what was given up."""
        platform.receiver.always("/receipts", 503)
        platform.events.publish(event())

        platform.elapse(timedelta(hours=4))

        dispatcher = platform.life.dispatcher
        assert (dispatcher.idle(), dispatcher.next_due()) == (True, None)


class TestCalls:
    def test_every_call_bears_the_token(self, platform):
        """The functions know the platform by it."""
        platform.timers.arm(ONE, at=platform.now())
        platform.events.publish(event())

        platform.settle()

        bearer = f"Bearer {platform.life.token}"
        assert {(RING, bearer), ("/receipts", bearer)} <= {
            (request.path, request.headers["authorization"])
            for request in platform.receiver.received
        }

    def test_no_redirection_takes_the_token_elsewhere(self, platform):
        """A subscriber cannot send the platform's token to a place of its choice."""
        platform.receiver.answer(RING, 302)
        platform.timers.arm(ONE, at=platform.now())

        platform.elapse(timedelta(seconds=5))

        assert {RING} == {request.path for request in platform.receiver.received}

    def test_what_is_under_way_is_begun_once(self, platform):
        """A slow answer is waited for, whatever else wakes the dispatcher."""
        platform.receiver.hold("/receipts")
        platform.events.publish(event())
        until(lambda: got(platform, "receipts"))

        for _ in range(5):
            platform.move(timedelta(hours=1))
            platform.timers.arm(ONE, at=platform.now())
            until(lambda: not platform.timers.pending(1))
        platform.receiver.release("/receipts")
        platform.settle()

        assert len(got(platform, "receipts")) == 1

    def test_stopping_waits_for_what_is_under_way(self, platform):
        """An answer that comes while it stops is still written down."""
        platform.receiver.hold(RING)
        platform.timers.arm(ONE, at=platform.now())
        until(platform.rings)
        platform.receiver.release(RING)

        platform.life.dispatcher.stop()

        assert platform.timers.pending(1) == []

    def test_a_moving_clock_needs_no_pushing(self, platform):
        """With time running, and fast, it wakes up by itself."""
        platform.timers.arm(ONE, at=platform.now() + timedelta(hours=1))

        platform.clock.set_rate(86400)

        until(platform.rings)
        (ring,) = platform.rings()
        assert ring.at >= ring.due_at

    def test_the_waits_are_those_that_are_documented(self, platform):
        """Rings double from a second to a minute, half of it left to chance."""
        platform.receiver.always(RING, 503)
        platform.timers.arm(ONE, at=platform.now())

        waits = []
        for _ in range(10):
            platform.settle()
            waits.append(platform.life.dispatcher.next_due() - platform.now())
            platform.move(waits[-1])

        longest = [min(2**n, 60) for n in range(10)]
        assert all(
            most / 2 <= wait.total_seconds() <= most
            for wait, most in zip(waits, longest, strict=True)
        )

    def test_an_answer_while_it_looks_is_not_forgotten(self, platform, monkeypatch):
        """What has yet to be written down when its row is read is not begun again."""
        database = platform.life.database
        read, gate, held_up = database.read, threading.Event(), threading.Event()

        def left():
            [(count,)] = read("SELECT count(*) FROM deliveries")
            return count

        def read_before_it_is_written(query, *values):
            rows = read(query, *values)
            if "receipts" in values and rows:
                gate.set()
            return rows

        def hold(_file):
            held_up.set()
            gate.wait()

        platform.receiver.hold("/receipts")
        platform.events.publish(event())
        until(lambda: got(platform, "receipts") and left() == 1)
        held = threading.Thread(target=database.write, args=(hold,))
        held.start()
        held_up.wait()
        platform.receiver.release("/receipts")
        until(lambda: database._waiting)

        monkeypatch.setattr(database, "read", read_before_it_is_written)
        platform.life.dispatcher.wake()
        until(gate.is_set)
        platform.settle()
        platform.life.dispatcher.stop()
        held.join()

        assert len(got(platform, "receipts")) == 1

    def test_a_crowd_in_hand_is_rung_a_few_at_a_time(self, platform):
        """Whoever is rung is not rung by more at once than is said."""
        dispatcher = platform.life.dispatcher
        platform.receiver.hold(RING)
        for n in range(TAKEN - 1):
            platform.timers.arm(message_key("few", str(n)), at=platform.now())
        until(lambda: len(platform.rings()) == WIDTH)
        assert not dispatcher.crowded()

        for n in range(10):
            platform.timers.arm(message_key("crowd", str(n)), at=platform.now())
        until(lambda: len(platform.rings()) == WIDTH)
        until(dispatcher.crowded)

        dispatcher.wake()
        platform.events.publish(event())
        until(lambda: got(platform, "receipts"))

        assert len(platform.rings()) == WIDTH

        platform.receiver.release(RING)
        platform.settle()
        assert not dispatcher.crowded()
        assert len({ring.message for ring in platform.rings()}) == TAKEN + 9
        assert len(platform.rings()) == TAKEN + 9

    def test_a_timer_that_is_sooner_than_the_next_is_not_overslept(self, tmp_path):
        """By a running clock, with another planned for later."""
        clock = Clock()
        receiver = Receiver(clock.now)
        database = Database(tmp_path / "backstop.db")
        dispatcher = Dispatcher(database, clock, SystemRandom(), ())
        timers = SqliteTimers(database, clock, dispatcher.wake)
        timers.arm(ONE, at=clock.now() + timedelta(hours=1))
        dispatcher.start(
            ring=RING,
            post=lambda path: over_http(receiver.url + path, TOKEN, lasting=False),
        )
        try:
            for wait in (0.2, 0.1, 0.05):
                timers.arm(ONE, at=clock.now() + timedelta(seconds=wait))
            until(lambda: len(receiver.at(RING)) == 3, within=2)
        finally:
            dispatcher.stop()
            database.close()
            receiver.close()

    def test_a_start_at_a_standstill_takes_up_what_is_due(self, tmp_path):
        """A clock that is paused between two microseconds delays nothing."""
        clock = Clock(wall=lambda: 1_800_000_000.0000007)
        clock.set_rate(0)
        receiver = Receiver(clock.now)
        database = Database(tmp_path / "backstop.db")
        dispatcher = Dispatcher(database, clock, SystemRandom(), ())
        SqliteTimers(database, clock, lambda _at: None).arm(ONE, at=clock.now())

        dispatcher.start(
            ring=RING,
            post=lambda path: over_http(receiver.url + path, TOKEN, lasting=False),
        )
        try:
            until(dispatcher.idle, within=0.5)
        finally:
            dispatcher.stop()
            database.close()
            receiver.close()


class TestLookingOn:
    def test_pending_timers_are_listed_soonest_first(self, platform):
        """An operator sees what rings next, and as many as were asked for."""
        chance = Random(3)
        instants = [
            platform.now() + timedelta(seconds=chance.randint(1, 999)) for _ in range(9)
        ]
        for at in instants:
            platform.timers.arm(ONE, at=at)

        assert [(ONE, at) for at in sorted(set(instants))][:5] == (
            platform.timers.pending(5)
        )

    def test_the_oldest_due_is_of_timers_that_are_due(self, platform):
        """What lies ahead is none, and neither is what was answered."""
        platform.timers.arm(ONE, at=platform.now())
        platform.timers.arm(ONE, at=platform.now() + timedelta(seconds=5))
        platform.settle()

        assert platform.life.dispatcher.oldest_due() is None

    def test_a_ring_that_is_refused_stays_the_oldest(self, platform):
        """By the instant it was armed for, however often it is put off."""
        due_at = platform.now()
        platform.receiver.always(RING, 503)
        platform.timers.arm(ONE, at=due_at)

        platform.elapse(timedelta(hours=1))

        assert due_at == platform.life.dispatcher.oldest_due()

    def test_events_are_listed_newest_last(self, platform):
        """The last that were published, as they were published."""
        for n in range(5):
            platform.events.publish(event(f"e-{n}", data=b"%d" % n))

        newest = platform.events.newest(3)

        assert [published.data for published in newest] == [b"2", b"3", b"4"]
        assert event("e-4").attributes() == newest[-1].attributes

    def test_replaying_what_never_was_does_nothing(self, platform):
        """Neither an unknown event nor an unknown subscriber is a dead letter."""
        platform.events.publish(event())
        platform.settle()
        seq = platform.events.newest(1)[0].seq

        assert not platform.events.replay(seq, "receipts")
        assert not platform.events.replay(seq, "nobody")
        assert not platform.events.replay(seq + 1, "receipts")
