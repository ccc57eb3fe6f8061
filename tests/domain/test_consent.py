from datetime import timedelta
from itertools import permutations

import pytest

from backstop.domain.consent import KEPT, Choice, Consent, Wish, choose
from domain.tale import START


def choice(*, opted_in: bool, after: float = 0, evidence: str = "e") -> Choice:
    return Choice(
        phone="+15551230001",
        agent="agent",
        opted_in=opted_in,
        at=START + timedelta(seconds=after),
        evidence=evidence,
        channel="RCS",
    )


OUT = choice(opted_in=False, evidence="out")
BACK = choice(opted_in=True, after=1, evidence="back")
AGAIN = choice(opted_in=False, after=2, evidence="again")


def after(*choices):
    consent = Consent()
    for each in choices:
        consent = choose(consent, each)
    return consent


@pytest.mark.parametrize("order", list(permutations((OUT, BACK, AGAIN))))
def test_the_order_of_arrival_does_not_matter(order):
    """The carrier's time decides (rule 14), and every change is kept."""
    consent = after(*order, *order)

    assert consent.refuses
    assert [change.evidence for change in consent.changes] == ["out", "back", "again"]


def test_the_newest_choice_wins():
    """A late word about an earlier time changes nothing."""
    assert not after(BACK, OUT).refuses
    assert after(OUT).wish is Wish.OPTED_OUT
    assert Consent().wish is Wish.UNKNOWN


def test_the_opt_out_wins_a_tie():
    """At one and the same instant, silence is the safer reading (rule 14)."""
    out, back = choice(opted_in=False), choice(opted_in=True, evidence="back")

    assert after(out, back).refuses
    assert after(back, out).refuses


@pytest.mark.parametrize("twins", list(permutations((OUT, AGAIN))))
def test_twins_are_one_opt_out(twins):
    """UNSUBSCRIBE and its keyword text: one change, and one to be answered."""
    consent = after(*twins)

    assert len(consent.changes) == 1
    assert consent.opt_out == twins[0].evidence


def test_opting_out_once_more_is_another_opt_out():
    """After an opt-in between them it is a new one, and answered as one."""
    assert after(BACK).opt_out == ""
    assert after(OUT, BACK).opt_out == "out"
    assert after(OUT, BACK, AGAIN).opt_out == "again"


def test_what_is_kept_is_bounded():
    """Whoever texts STOP and START all day is remembered by the newest."""
    many = [
        choice(opted_in=bool(n % 2), after=n, evidence=str(n)) for n in range(KEPT + 5)
    ]
    consent = after(*many)

    assert len(consent.choices) == KEPT
    assert consent.newest.evidence == str(KEPT + 4)
