"""What stands under the six functions on one machine, as its controls see it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from starlette.routing import Route

from backstop.domain.message import Message, MessageId
from backstop.edge.answers import Handler

ENTRY_POINTS = ("send", "webhook", "sms_webhook", "revoke", "fallback", "record")


@dataclass(frozen=True, kw_only=True)
class Published:
    """An event as it was published."""

    at: datetime
    attributes: Mapping[str, str]
    data: bytes


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A delivery that was given up, and why. `id` is what `replay` takes."""

    id: str
    subscription: str
    reason: str
    tries: int
    event: Published


class Ground(Protocol):
    """A platform, run on this machine, with the six functions upon it."""

    @property
    def entries(self) -> Mapping[str, Handler]:
        """The functions, by name."""

    @property
    def routes(self) -> Sequence[Route]:
        """Paths of its own under `/simulator`."""

    @property
    def patience(self) -> float:
        """Real seconds in which whatever is due comes to rest."""

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin. The functions are served on *loop*."""

    def stop(self) -> None: ...

    def idle(self) -> bool:
        """Whether nothing is due and nothing under way."""

    def behind(self) -> bool:
        """Whether more is due here than can be done, so that new messages must wait."""

    def next_due(self) -> datetime | None: ...

    def oldest_due(self) -> datetime | None:
        """Return the earliest instant of a timer that is due and not answered."""

    def load(self, message: MessageId) -> Message | None: ...

    def newest_messages(self, limit: int) -> Sequence[Message]: ...

    def newest_events(self, limit: int) -> Sequence[Published]: ...

    def pending_timers(self, limit: int) -> Sequence[tuple[MessageId, datetime]]:
        """Return what is armed, soonest first."""

    def dead_letters(self, limit: int) -> Sequence[DeadLetter]: ...

    def replay(self, letter: str) -> bool:
        """Deliver a dead letter again. Returns whether it still stood there."""
