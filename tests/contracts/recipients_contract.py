"""What every store of recipients promises."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from backstop.domain.consent import Change, Consent, Wish
from backstop.errors import Conflict
from backstop.ports import Stored
from contracts.waiting import at_once

PHONE = "+15551230001"
OPT_OUT = Change(
    wish=Wish.OPTED_OUT,
    at=datetime(2026, 1, 1, 0, 0, 0, 7, tzinfo=UTC),
    evidence="event-1",
    channel="SMS",
    wording="Stop!",
)
CONSENT = Consent(choices=(OPT_OUT,), opt_out="event-1")


class RecipientsContract:
    """What `Recipients` promises. Subclass per adapter and supply `platform`."""

    def test_a_stranger_is_unknown(self, platform):
        """Of whom nothing is recorded the wish is unknown, at version 0."""
        assert Stored(Consent(), 0) == platform.recipients.load(PHONE, "agent")

    def test_what_was_saved_is_loaded(self, platform):
        """Every field of a consent comes back as it went in."""
        platform.recipients.save(PHONE, "agent", CONSENT, version=0)

        assert platform.recipients.load(PHONE, "agent").value == CONSENT

    def test_consent_is_between_a_phone_and_an_agent(self, platform):
        """What one recipient told one agent says nothing about any other pair."""
        platform.recipients.save(PHONE, "agent", CONSENT, version=0)

        assert Consent() == platform.recipients.load(PHONE, "other").value
        assert Consent() == platform.recipients.load("+15551230002", "agent").value

    def test_versions_succeed_one_another(self, platform):
        """Whoever read the newest version may replace it, as often as it likes."""
        for day in range(3):
            stored = platform.recipients.load(PHONE, "agent")
            later = replace(OPT_OUT, at=OPT_OUT.at + timedelta(days=day))
            newer = Consent(choices=(OPT_OUT, later))
            platform.recipients.save(PHONE, "agent", newer, version=stored.version)

        assert newer == platform.recipients.load(PHONE, "agent").value

    def test_a_stale_save_is_a_conflict(self, platform):
        """Whoever read an older version changes nothing."""
        platform.recipients.save(PHONE, "agent", CONSENT, version=0)
        stale = platform.recipients.load(PHONE, "agent").version
        newer = replace(CONSENT, opt_out="event-2")
        platform.recipients.save(PHONE, "agent", newer, version=stale)

        with pytest.raises(Conflict):
            platform.recipients.save(PHONE, "agent", CONSENT, version=stale)

        assert newer == platform.recipients.load(PHONE, "agent").value

    def test_a_save_of_what_was_never_read_is_a_conflict(self, platform):
        """A version that does not exist cannot be replaced."""
        with pytest.raises(Conflict):
            platform.recipients.save(PHONE, "agent", CONSENT, version=3)

        assert platform.recipients.load(PHONE, "agent").version == 0

    def test_of_many_first_words_one_wins(self, platform):
        """Sixteen writers who read version 0: one is kept, the rest are told."""
        rivals = [replace(CONSENT, opt_out=f"event-{n}") for n in range(16)]

        results = at_once(
            [
                lambda c=c: platform.recipients.save(PHONE, "agent", c, version=0)
                for c in rivals
            ]
        )

        (winner,) = (c for c, r in zip(rivals, results, strict=True) if r is None)
        assert winner == platform.recipients.load(PHONE, "agent").value
        assert sum(isinstance(result, Conflict) for result in results) == 15

    def test_what_returned_is_durable(self, platform):
        """A kill right after a save does not forget an opt-out."""
        platform.recipients.save(PHONE, "agent", CONSENT, version=0)
        before = platform.recipients.load(PHONE, "agent")

        platform.die()

        assert before == platform.recipients.load(PHONE, "agent")
