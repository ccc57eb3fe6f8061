"""What the use cases need from the world. The contract tests check each promise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from backstop.domain.consent import Consent
from backstop.domain.event import Event
from backstop.domain.message import Json, Message, MessageId
from backstop.domain.queued import Queued

T = TypeVar("T")


@dataclass(frozen=True)
class Stored(Generic[T]):
    """A record and the version under which it was read."""

    value: T
    version: int


@dataclass(frozen=True)
class Page:
    """Some messages, newest first, and where the next page begins, or ""."""

    messages: tuple[Message, ...]
    next_token: str = ""


class Messages(Protocol):
    """Keeps messages. Whatever returned is durable."""

    def create(self, message: Message) -> int:
        """Store a new message and return its version.

        Raises AlreadyExists; of two callers one wins.
        """

    def load(self, message: MessageId) -> Stored[Message] | None:
        """Return the newest version, None when there is no such message."""

    def save(self, message: Message, *, version: int) -> int:
        """Replace that version and return the new one.

        Raises Conflict when another was saved since.
        """

    def of_phone(self, phone: str, *, limit: int, token: str = "") -> Page:
        """Return a recipient's messages, newest first.

        `token` is a page's `next_token`; raises ValueError for any other.
        """

    def open_of_phone(self, phone: str, agent: str) -> Sequence[MessageId]:
        """Return that agent's messages to the phone that have no outcome yet."""


class Recipients(Protocol):
    """Keeps what is known of a recipient's wishes."""

    def load(self, phone: str, agent: str) -> Stored[Consent]:
        """Return what is recorded, the unknown consent at version 0 if nothing."""

    def save(self, phone: str, agent: str, consent: Consent, *, version: int) -> None:
        """Replace that version. Raises Conflict when another was saved since."""


class Timers(Protocol):
    """Wakes a message up, at or after a chosen instant, never before.

    Rings come at least once and are repeated without limit until they are
    answered with 2xx.
    """

    def arm(self, message: MessageId, *, at: datetime) -> None:
        """Arrange a ring. Arming the same pair while it lies ahead rings once.

        An instant that has come, or rang before, rings again soon.
        """

    def disarm(self, message: MessageId, *, at: datetime) -> None:
        """Spare a ring that has no object any more, if it is not too late."""


class Events(Protocol):
    """Publishes events. Every subscriber gets each at least once, in any order."""

    def publish(self, *events: Event) -> None:
        """Return when all of them are durable."""


class Rcs(Protocol):
    """Sends and withdraws RCS messages. Both may be repeated under the same id."""

    def create(
        self, *, agent: str, phone: str, message_id: str, body: Json, budget: timedelta
    ) -> None:
        """Return when RBM accepted the message. Raises ProviderError."""

    def revoke(
        self, *, agent: str, phone: str, message_id: str, budget: timedelta
    ) -> None:
        """Return when RBM answered 200. Raises ProviderError."""


class Sms(Protocol):
    """Sends text messages. Nothing here may be repeated without thought."""

    def send(  # noqa: PLR0913 - all of it by name
        self,
        *,
        sender: str,
        to: str,
        text: str,
        media: Sequence[str],
        tag: str,
        expires_at: datetime,
        budget: timedelta,
    ) -> Queued:
        """Return when the provider queued the message. Raises ProviderError."""


class Clock(Protocol):
    """The time messages live by."""

    def now(self) -> datetime:
        """Return an aware UTC instant that never goes back within a process."""


class Random(Protocol):
    """Jitter and new ids."""

    def random(self) -> float:
        """Return a number in [0, 1)."""

    def new_id(self) -> str:
        """Return an id that nobody can guess and nothing else has."""


class Log(Protocol):
    """One line per decision: a constant message, and fields without people."""

    def __call__(self, message: str, fields: Mapping[str, object]) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The world of one function. What it may not do is None and is handed over."""

    messages: Messages
    recipients: Recipients
    timers: Timers
    events: Events
    clock: Clock
    random: Random
    log: Log
    rcs: Rcs | None = None
    sms: Sms | None = None
