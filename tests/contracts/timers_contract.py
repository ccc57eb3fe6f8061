"""What all timers promise."""

from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest

from backstop.domain.message import message_key
from contracts.platform import RING
from contracts.receiver import SILENCE
from contracts.waiting import at_once, until

ONE, TWO, THREE = (message_key("agent", name) for name in ("one", "two", "three"))
TICK = timedelta(microseconds=1)

REFUSALS = {
    "503": 503,
    "500": 500,
    "429": 429,
    "404": 404,
    "a redirection": 302,
    "no answer": SILENCE,
}


def after(platform, **by):
    return platform.now() + timedelta(**by)


def rung(platform):
    return [ring.message for ring in platform.rings()]


class TimersContract:
    """What `Timers` promises. Subclass per adapter and supply `platform`."""

    def test_it_rings_at_its_instant(self, platform):
        """A ring names the message and the instant for which it was armed."""
        at = after(platform, seconds=10)
        platform.timers.arm(ONE, at=at)

        platform.elapse(timedelta(seconds=10))

        assert [(ONE, at)] == [(ring.message, ring.due_at) for ring in platform.rings()]

    def test_it_never_rings_early(self, platform):
        """A microsecond before its instant it is silent, though others ring."""
        at = after(platform, hours=1)
        platform.timers.arm(ONE, at=at)
        platform.timers.arm(TWO, at=at - TICK)

        # Two rings, so that whoever rings early has had its chance.
        platform.move(timedelta(hours=1) - TICK)
        until(lambda: TWO in rung(platform))
        platform.timers.arm(THREE, at=at - TICK)
        until(lambda: THREE in rung(platform))
        platform.settle()

        assert ONE not in rung(platform)

    def test_no_ring_of_many_is_early_and_none_is_missing(self, platform):
        """However time moves, each of many timers rings, and none before its time."""
        chance = Random(7)
        due = {
            message_key("agent", str(n)): after(platform, seconds=chance.randint(0, 90))
            for n in range(40)
        }
        at_once(
            [lambda m=m, at=at: platform.timers.arm(m, at=at) for m, at in due.items()]
        )

        for _ in range(10):
            platform.elapse(timedelta(seconds=chance.randint(1, 17)))
        platform.elapse(timedelta(seconds=90))

        rings = platform.rings()
        assert due == {ring.message: ring.due_at for ring in rings}
        assert all(ring.at >= ring.due_at for ring in rings)

    def test_arming_twice_rings_once(self, platform):
        """The same message and instant is the same timer while it lies ahead."""
        at = after(platform, seconds=10)
        platform.timers.arm(ONE, at=at)
        platform.timers.arm(ONE, at=at)

        platform.elapse(timedelta(minutes=5))

        assert rung(platform) == [ONE]

    def test_arming_from_many_threads_rings_once(self, platform):
        """Sixteen who arm the same timer at the same moment get one ring."""
        at = after(platform, seconds=10)
        at_once([lambda: platform.timers.arm(ONE, at=at)] * 16)

        platform.elapse(timedelta(minutes=5))

        assert rung(platform) == [ONE]

    def test_a_message_may_have_several_timers(self, platform):
        """Other instants, a microsecond apart, are other timers."""
        for by in (10_000_000, 10_000_001, 60_000_000):
            platform.timers.arm(ONE, at=after(platform, microseconds=by))

        platform.elapse(timedelta(minutes=5))

        assert rung(platform) == [ONE, ONE, ONE]

    def test_an_instant_that_has_come_rings_soon(self, platform):
        """What is due already, or long since, rings without time passing."""
        platform.timers.arm(ONE, at=platform.now())
        platform.timers.arm(TWO, at=after(platform, days=-2))

        platform.settle()

        assert {ONE, TWO} == set(rung(platform))

    def test_arming_what_is_ringing_now_rings_again(self, platform):
        """An instant that came is no promise for the future (rule 6).

        Its ring may have looked at the message before the change for which it is
        armed again.
        """
        at = platform.now()
        platform.receiver.hold(RING)
        platform.timers.arm(ONE, at=at)
        until(platform.rings)

        platform.timers.arm(ONE, at=at)
        platform.receiver.release(RING)
        platform.elapse(timedelta(seconds=5))

        assert rung(platform) == [ONE, ONE]

    def test_arming_what_rang_before_rings_again(self, platform):
        """A name that is used up does not swallow the next ring (rule 6)."""
        at = platform.now()
        platform.timers.arm(ONE, at=at)
        platform.settle()

        platform.timers.arm(ONE, at=at)
        platform.elapse(timedelta(seconds=5))

        assert rung(platform) == [ONE, ONE]

    def test_a_disarmed_timer_is_silent(self, platform):
        """A ring that has no object any more is spared."""
        at = after(platform, seconds=10)
        platform.timers.arm(ONE, at=at)
        platform.timers.disarm(ONE, at=at)

        platform.elapse(timedelta(minutes=5))

        assert rung(platform) == []

    def test_disarming_spares_nothing_else(self, platform):
        """Other instants and other messages ring all the same."""
        at = after(platform, seconds=10)
        for message, by in ((ONE, 0), (ONE, 1), (TWO, 0)):
            platform.timers.arm(message, at=at + by * TICK)

        platform.timers.disarm(ONE, at=at)
        platform.elapse(timedelta(minutes=5))

        assert {(ONE, at + TICK), (TWO, at)} == {
            (ring.message, ring.due_at) for ring in platform.rings()
        }

    def test_disarming_what_is_not_armed_is_harmless(self, platform):
        """It may have rung already, or never have been."""
        platform.timers.disarm(ONE, at=after(platform, seconds=10))

        assert rung(platform) == []

    def test_a_disarmed_timer_can_be_armed_again(self, platform):
        """Who disarmed in error is not left without a timer."""
        at = after(platform, seconds=10)
        platform.timers.arm(ONE, at=at)
        platform.timers.disarm(ONE, at=at)
        platform.timers.arm(ONE, at=at)

        platform.elapse(timedelta(minutes=5))

        assert rung(platform) == [ONE]

    @pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
    def test_a_ring_comes_until_it_is_answered(self, platform, refusal):
        """Whatever is no 2xx, or no answer, brings the ring again; a 2xx ends it."""
        platform.receiver.answer(RING, refusal, refusal)
        platform.timers.arm(ONE, at=platform.now())

        platform.elapse(timedelta(minutes=5))

        assert rung(platform) == [ONE, ONE, ONE]

    @pytest.mark.parametrize("status", [200, 201, 202, 204])
    def test_any_2xx_is_an_answer(self, platform, status):
        """A ring that was answered does not come again."""
        platform.receiver.answer(RING, status)
        platform.timers.arm(ONE, at=platform.now())

        platform.elapse(timedelta(minutes=5))

        assert rung(platform) == [ONE]

    def test_rings_are_repeated_without_limit(self, platform):
        """A day of refusals does not tire it, and its waits stay bearable."""
        platform.receiver.always(RING, 503)
        platform.timers.arm(ONE, at=platform.now())
        platform.elapse(timedelta(hours=1))
        before = len(platform.rings())

        platform.receiver.always(RING, 200)
        platform.elapse(timedelta(hours=1))

        assert before >= 20
        assert before + 1 == len(platform.rings())

    def test_waits_grow(self, platform):
        """Each of the first waits is at least as long as the one before."""
        platform.receiver.always(RING, 503)
        platform.timers.arm(ONE, at=platform.now())

        platform.elapse(timedelta(minutes=1))

        times = [ring.at for ring in platform.rings()]
        waits = [later - earlier for earlier, later in pairwise(times)]
        assert len(waits) >= 4
        assert sorted(waits) == waits
        assert waits[0] < waits[-1]

    def test_far_timers_starve_no_due_one(self, platform):
        """Hundreds that wait for next month do not stand before the one that is due."""
        month = after(platform, days=30)
        at_once([lambda n=n: crowd(platform, n, month) for n in range(16)])
        platform.timers.arm(ONE, at=after(platform, seconds=1))

        platform.elapse(timedelta(seconds=1))

        assert rung(platform) == [ONE]

    def test_failing_rings_starve_no_other(self, platform):
        """A crowd of timers that nobody answers does not keep another from ringing."""
        platform.receiver.always(
            RING, lambda body: 200 if body["message"] == ONE else 503
        )
        for n in range(40):
            platform.timers.arm(message_key("bad", str(n)), at=platform.now())

        platform.timers.arm(ONE, at=after(platform, seconds=3))
        platform.elapse(timedelta(seconds=3))

        assert rung(platform).count(ONE) == 1

    def test_a_kill_forgets_no_timer(self, platform):
        """A second start rings what was armed, at its own time."""
        at = after(platform, days=2)
        platform.timers.arm(ONE, at=at)
        platform.timers.arm(TWO, at=after(platform, seconds=1))

        platform.die()
        platform.elapse(timedelta(days=2))

        assert [
            (ring.message, ring.at >= ring.due_at) for ring in platform.rings()
        ] == [(TWO, True), (ONE, True)]

    def test_what_fell_due_while_it_was_dead_rings_at_once(self, platform):
        """Nothing is skipped because its instant was slept through."""
        platform.timers.arm(ONE, at=after(platform, days=1))
        platform.receiver.hold(RING)
        platform.move(timedelta(days=3))
        until(platform.rings)

        platform.die()
        platform.receiver.release(RING)
        platform.settle()

        assert {ONE} == set(rung(platform))
        assert len(rung(platform)) == 2

    def test_a_kill_between_two_tries_ends_no_retrying(self, platform):
        """A ring that was refused before the kill comes again after it."""
        platform.receiver.answer(RING, 503)
        platform.timers.arm(ONE, at=platform.now())
        platform.settle()

        platform.die()
        platform.elapse(timedelta(minutes=5))

        assert rung(platform) == [ONE, ONE]

    def test_a_kill_brings_nothing_back(self, platform):
        """What was answered or disarmed before it stays so."""
        at = after(platform, seconds=10)
        platform.timers.arm(ONE, at=platform.now())
        platform.timers.arm(TWO, at=at)
        platform.timers.disarm(TWO, at=at)
        platform.settle()

        platform.die()
        platform.elapse(timedelta(minutes=5))

        assert rung(platform) == [ONE]


def crowd(platform, number, at):
    for n in range(25):
        platform.timers.arm(message_key("far", f"{number}-{n}"), at=at)
