"""What the contracts ask of whoever runs them: a platform under a movable clock."""

from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from backstop import tracing
from backstop.ports import Events, Messages, Reaches, Recipients, Timers
from contracts.receiver import Receiver

RING = "/ring"

SUBSCRIPTIONS: Mapping[str, tuple[str, ...]] = {
    "everything": (),
    "receipts": ("receipt",),
    "dues": ("due", "expiry"),
}
"""Subscribers and the kinds they want; each listens at a path of its name."""


@dataclass(frozen=True)
class Ring:
    """A ring as it arrived. `at` is when."""

    message: str
    due_at: datetime
    at: datetime


@dataclass(frozen=True)
class Letter:
    """A delivery that was given up."""

    id: str
    subscription: str
    reason: str
    tries: int
    attributes: Mapping[str, str]
    data: bytes


def traced(do: Callable[[], object]) -> str:
    """Do it as for a request of some trace; return that request's `traceparent`."""

    def within() -> str:
        tracing.begin({}, lambda: 0.5)
        do()
        return tracing.traceparent()

    return copy_context().run(within)


class Platform(Protocol):
    """One platform, and the hand that moves its clock and pulls its plug."""

    receiver: Receiver
    dead_after: int

    @property
    def messages(self) -> Messages: ...

    @property
    def recipients(self) -> Recipients: ...

    @property
    def reaches(self) -> Reaches: ...

    @property
    def timers(self) -> Timers: ...

    @property
    def events(self) -> Events: ...

    def now(self) -> datetime: ...

    def move(self, by: timedelta) -> None:
        """Let time pass at once, and wait for nothing."""

    def elapse(self, by: timedelta) -> None:
        """Let time pass, and all that is due in it be delivered and answered."""

    def settle(self) -> None:
        """Return once nothing is due and nothing under way."""

    def die(self) -> None:
        """Be killed in mid-sentence, and start again on what is durable."""

    def rings(self) -> list[Ring]:
        """Return the rings so far, first come first."""

    def dead_letters(self) -> Sequence[Letter]:
        """Return the deliveries that were given up."""

    def replay(self, letter: Letter) -> bool:
        """Deliver it again. Returns whether it still stood there."""
