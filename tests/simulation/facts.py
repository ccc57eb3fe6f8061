"""What can be seen from outside of one message: the evidence of the oracle.

Nothing here is read from Backstop's records: it is what phones received, what
requests carriers saw, what callers were answered, and what was published and
taken by its subscribers.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from simulation.options import Plan

NOT_SENT = range(5100, 5600)
"""Bandwidth's own fault: its codes say that nothing left."""


def is_not_sent(code: int) -> bool:
    return code in NOT_SENT


@dataclass
class Create:
    """One call for an RCS copy. `informed` is since when its worker knew no news."""

    begun: datetime
    informed: datetime
    fates: list[str] = field(default_factory=list)


@dataclass
class Text:
    """One request for an SMS, and what really came of it.

    `answer` is what the caller of the request was told: ok, refused, throttled,
    or lost; it may be `forgotten` if the worker failed before it said so. `taken`
    is whether Bandwidth accepted it.
    """

    attempt: int
    begun: datetime
    informed: datetime
    answer: str = "lost"
    forgotten: bool = False
    taken: bool = False


@dataclass
class Taken:
    """An event that its subscriber acknowledged."""

    at: datetime
    type: str
    attempt: int = 0
    code: int = 0


@dataclass
class Facts:
    """One message, as its witnesses saw it."""

    plan: Plan
    stored_at: datetime | None = None
    unarmed: bool = False
    unwatched: str = ""
    answers: list[tuple[datetime, str, str]] = field(default_factory=list)
    wrongly_answered: list[str] = field(default_factory=list)
    closings: list[tuple[datetime, str]] = field(default_factory=list)
    creates: list[Create] = field(default_factory=list)
    bodies: set[str] = field(default_factory=set)
    forgotten: bool = False
    deletes: list[datetime] = field(default_factory=list)
    copy_at: datetime | None = None
    called_back: bool = False
    expiry_at: list[datetime] = field(default_factory=list)
    lied: bool = False
    texts: list[Text] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    rcs_at: datetime | None = None
    rcs_copies: int = 0
    sms_at: list[tuple[datetime, int]] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    outcomes: dict[int, set[str]] = field(default_factory=dict)
    told_at: datetime | None = None
    overdue: str = ""
    shown: dict[str, Any] = field(default_factory=dict)

    def took(self, kind: str) -> list[Taken]:
        return [taken for taken in self.taken if taken.type == kind]

    @property
    def copy_possible(self) -> bool:
        """Whether any create may have been accepted, as far as answers tell."""
        safe = {"refused", "throttled"}
        return any(fate not in safe for create in self.creates for fate in create.fates)
