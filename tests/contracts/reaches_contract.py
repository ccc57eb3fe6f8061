"""What every memory of phones promises."""

from datetime import UTC, datetime, timedelta

from backstop.domain.reach import Reach

PHONE = "+15551230001"
OTHER = "+15551230002"
UNTIL = datetime(2026, 1, 1, 0, 0, 0, 7, tzinfo=UTC)

NEGATIVE = Reach(reachable=False, until=UNTIL)
POSITIVE = Reach(reachable=True, features=("RICHCARD_STANDALONE",), until=UNTIL)


class ReachesContract:
    """What `Reaches` promises. Subclass per adapter and supply `platform`."""

    def test_of_a_stranger_nothing_is_known(self, platform):
        """Neither good nor bad."""
        assert platform.reaches.load(PHONE, "agent") is None

    def test_what_was_saved_is_loaded(self, platform):
        """Every field comes back as it went in, whether or not its time is over."""
        featureless = Reach(reachable=True, features=(), until=UNTIL)
        unsaid = Reach(reachable=True, until=UNTIL)
        for reach in (NEGATIVE, POSITIVE, featureless, unsaid):
            platform.reaches.save("agent", {PHONE: reach})

            assert reach == platform.reaches.load(PHONE, "agent")

    def test_it_is_between_a_phone_and_an_agent(self, platform):
        """What reaches one agent's phone says nothing of any other pair."""
        platform.reaches.save("agent", {PHONE: NEGATIVE})

        assert platform.reaches.load(PHONE, "other") is None
        assert platform.reaches.load(OTHER, "agent") is None

    def test_many_are_saved_at_once(self, platform):
        """More than one commit of any store takes."""
        phones = [f"+1555{number:07}" for number in range(1201)]
        platform.reaches.save("agent", dict.fromkeys(phones, NEGATIVE))
        platform.reaches.save("agent", {phones[600]: POSITIVE})

        kept = [platform.reaches.load(phone, "agent") for phone in phones[598:603]]
        assert kept == [NEGATIVE, NEGATIVE, POSITIVE, NEGATIVE, NEGATIVE]
        assert platform.reaches.load(phones[-1], "agent") == NEGATIVE

    def test_none_is_saved_as_easily(self, platform):
        """Nothing is changed by nothing."""
        platform.reaches.save("agent", {})

    def test_what_is_forgotten_is_unknown(self, platform):
        """And only that."""
        platform.reaches.save("agent", {PHONE: NEGATIVE, OTHER: NEGATIVE})
        platform.reaches.save("other", {PHONE: NEGATIVE})

        platform.reaches.forget(PHONE, "agent")

        assert platform.reaches.load(PHONE, "agent") is None
        assert platform.reaches.load(PHONE, "other") == NEGATIVE
        assert platform.reaches.load(OTHER, "agent") == NEGATIVE

    def test_what_nobody_knew_is_forgotten_as_easily(self, platform):
        """Nobody looks first."""
        platform.reaches.forget(PHONE, "agent")
        platform.reaches.forget(PHONE, "agent")

        assert platform.reaches.load(PHONE, "agent") is None

    def test_it_is_learnt_again(self, platform):
        """The last word stands."""
        platform.reaches.save("agent", {PHONE: NEGATIVE})
        platform.reaches.forget(PHONE, "agent")
        later = Reach(reachable=False, until=UNTIL + timedelta(days=1))
        platform.reaches.save("agent", {PHONE: later})

        assert platform.reaches.load(PHONE, "agent") == later

    def test_what_returned_is_durable(self, platform):
        """A kill right after does not bring back what was forgotten."""
        platform.reaches.save("agent", {PHONE: NEGATIVE, OTHER: POSITIVE})
        platform.reaches.forget(PHONE, "agent")

        platform.die()

        assert platform.reaches.load(PHONE, "agent") is None
        assert platform.reaches.load(OTHER, "agent") == POSITIVE
