"""What a recipient chose to receive, as values."""

from datetime import datetime
from enum import StrEnum
from itertools import groupby

from msgspec import Struct

KEPT = 200
"""Choices of one recipient that are remembered."""

LONGEST_WORDING = 160


class Choice(Struct, frozen=True, kw_only=True):
    """A recipient's opt-out or opt-in, and the event that proves it.

    `agent` is empty where the carrier names only `number`, the number of ours
    that was texted. `wording` is what was said, as far as it was said in words.
    """

    phone: str
    agent: str
    opted_in: bool
    at: datetime
    evidence: str
    channel: str
    number: str = ""
    wording: str = ""


class Wish(StrEnum):
    """Whether a recipient wants messages. UNKNOWN may be sent to."""

    UNKNOWN = "UNKNOWN"
    OPTED_IN = "OPTED_IN"
    OPTED_OUT = "OPTED_OUT"


class Change(Struct, frozen=True, kw_only=True):
    """One choice as it is kept, with its evidence."""

    wish: Wish
    at: datetime
    evidence: str
    channel: str
    wording: str = ""


class Consent(Struct, frozen=True, kw_only=True):
    """All choices of a recipient towards one agent, oldest first.

    `opt_out` is the evidence of the opt-out in force that was heard first: its
    twin, or a second STOP, is not another one.
    """

    choices: tuple[Change, ...] = ()
    opt_out: str = ""

    @property
    def newest(self) -> Change | None:
        return self.choices[-1] if self.choices else None

    @property
    def wish(self) -> Wish:
        return self.newest.wish if self.newest else Wish.UNKNOWN

    @property
    def refuses(self) -> bool:
        return self.wish is Wish.OPTED_OUT

    @property
    def changes(self) -> tuple[Change, ...]:
        """The choices that changed something: of several in a row the first."""
        runs = groupby(self.choices, key=lambda change: change.wish)
        return tuple(next(run) for _wish, run in runs)


def choose(consent: Consent, choice: Choice) -> Consent:
    """Return the consent after *choice*, whatever order choices are heard in.

    The newest by the carrier's time wins, the opt-out on a tie (rule 14).
    """
    if any(known.evidence == choice.evidence for known in consent.choices):
        return consent
    change = Change(
        wish=Wish.OPTED_IN if choice.opted_in else Wish.OPTED_OUT,
        at=choice.at,
        evidence=choice.evidence,
        channel=choice.channel,
        wording=choice.wording[:LONGEST_WORDING],
    )
    choices = tuple(sorted((*consent.choices, change), key=_order))[-KEPT:]
    after = Consent(choices=choices, opt_out=consent.opt_out)
    if after.refuses and not consent.refuses:
        return Consent(choices=choices, opt_out=choice.evidence)
    return after


def _order(change: Change) -> tuple[datetime, bool, str]:
    return change.at, change.wish is Wish.OPTED_OUT, change.evidence
