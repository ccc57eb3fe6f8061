"""What a recipient chose to receive, as values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A recipient's opt-out or opt-in, and the event that proves it.

    `agent` is empty where the carrier names only `number`, the number of ours
    that was texted.
    """

    phone: str
    agent: str
    opted_in: bool
    at: datetime
    evidence: str
    channel: str
    number: str = ""


class Wish(StrEnum):
    """Whether a recipient wants messages. UNKNOWN may be sent to."""

    UNKNOWN = "UNKNOWN"
    OPTED_IN = "OPTED_IN"
    OPTED_OUT = "OPTED_OUT"


@dataclass(frozen=True, kw_only=True)
class Consent:
    """The newest choice of a recipient towards one agent."""

    wish: Wish = Wish.UNKNOWN
    at: datetime | None = None
    evidence: str = ""
    channel: str = ""

    @property
    def refuses(self) -> bool:
        return self.wish is Wish.OPTED_OUT


def choose(consent: Consent, choice: Choice) -> Consent:
    """Return the consent after *choice*.

    The newest by the carrier's time wins, the opt-out on a tie (rule 14).
    """
    if consent.at and choice.at < consent.at:
        return consent
    if consent.at == choice.at and (consent.refuses or choice.opted_in):
        return consent
    return Consent(
        wish=Wish.OPTED_IN if choice.opted_in else Wish.OPTED_OUT,
        at=choice.at,
        evidence=choice.evidence,
        channel=choice.channel,
    )
