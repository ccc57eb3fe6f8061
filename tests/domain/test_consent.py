from datetime import timedelta

from backstop.domain.consent import Choice, Consent, choose
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


def test_the_newest_choice_wins_in_any_order():
    """The carrier's time decides, not the order of arrival (rule 14)."""
    out, back = choice(opted_in=False), choice(opted_in=True, after=1)

    assert choose(choose(Consent(), out), back) == choose(choose(Consent(), back), out)
    assert not choose(choose(Consent(), back), out).refuses


def test_the_opt_out_wins_a_tie():
    """At one and the same instant, silence is the safer reading (rule 14)."""
    out, back = choice(opted_in=False), choice(opted_in=True)

    assert choose(choose(Consent(), out), back).refuses
    assert choose(choose(Consent(), back), out).refuses
