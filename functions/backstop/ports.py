"""What the use cases need from the world. The contract tests check each promise."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from backstop.domain.consent import Consent
from backstop.domain.event import Event
from backstop.domain.message import Json, Message, MessageId
from backstop.domain.queued import Queued
from backstop.domain.reach import Reach

T = TypeVar("T")


class Stored(Struct, Generic[T], frozen=True):
    """A record and the version under which it was read."""

    value: T
    version: int


class Page(Struct, frozen=True):
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


class Reaches(Protocol):
    """Keeps what was last heard of phones' RCS. The last word stands."""

    def load(self, phone: str, agent: str) -> Reach | None:
        """Return what was saved, also when its time is over, None if nothing."""

    def save(self, agent: str, reaches: Mapping[str, Reach]) -> None:
        """Replace what is known of these phones, each by its number."""

    def forget(self, phone: str, agent: str) -> None:
        """Let nothing be known, if anything was."""


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
        """Spare a ring that has no object any more, if it is not too late.

        No more than a saving: whoever may not spare it lets it ring for nothing.
        """


class Events(Protocol):
    """Publishes events. Every subscriber gets each at least once, in any order."""

    def publish(self, *events: Event) -> None:
        """Return when all of them are durable."""


class Rcs(Protocol):
    """RBM. Everything here may be repeated under the same id."""

    def create(
        self, *, agent: str, phone: str, message_id: str, body: Json, budget: timedelta
    ) -> None:
        """Return when RBM accepted the message. Raises ProviderError."""

    def revoke(
        self, *, agent: str, phone: str, message_id: str, budget: timedelta
    ) -> None:
        """Return when RBM answered 200. Raises ProviderError."""

    def event(
        self, *, agent: str, phone: str, event_id: str, body: Json, budget: timedelta
    ) -> Json:
        """Return RBM's answer to an AgentEvent. Raises ProviderError."""

    def capabilities(
        self, *, agent: str, phone: str, request_id: str, budget: timedelta
    ) -> Json:
        """Return what RBM says of the phone. Raises ProviderError.

        Refused with UNREACHABLE means that it has no RCS for this agent.
        """


class Relayed(Struct, frozen=True):
    """A carrier's own answer, as it came. `retry_after` is its wish, or ""."""

    status: int
    body: bytes
    retry_after: str = ""


class Relay(Protocol):
    """Hands a request on to RBM as it is, under our own credentials."""

    async def forward(
        self,
        *,
        path: str,
        query: Mapping[str, str],
        content_type: str,
        body: bytes | AsyncIterator[bytes],
        length: int | None = None,
    ) -> Relayed:
        """Return RBM's answer, whatever its status, if it is JSON.

        An iterator's body is sent as it comes, in `length` bytes if that is known.
        What iterating raises is raised here. Raises Throttled when RBM did nothing,
        Unanswered when what it did is not known.
        """


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


class Ports(Struct, frozen=True, kw_only=True):
    """The world of one function. What it may not do is None and is handed over.

    Without `reaches` nothing is remembered of phones.
    """

    messages: Messages
    recipients: Recipients
    timers: Timers
    events: Events
    clock: Clock
    random: Random
    log: Log
    reaches: Reaches | None = None
    rcs: Rcs | None = None
    sms: Sms | None = None
