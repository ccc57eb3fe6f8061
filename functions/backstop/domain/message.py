"""What is known of one message, as values."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from operator import attrgetter
from typing import Any, NewType, Self

from msgspec import Struct, field

from backstop.domain.menu import Option

MessageId = NewType("MessageId", str)
"""Ours: a hash of agent and `messageId`, evenly spread, safe in any store."""

Json = dict[str, Any]


def message_key(agent: str, message_id: str) -> MessageId:
    """The id under which the message is stored.

    RBM ids are one namespace per agent, across phones (rule 15), so the phone
    has no part in it.
    """
    digest = sha256(f"{agent}\n{message_id}".encode()).hexdigest()
    return MessageId(digest[:40])


class Ladder(StrEnum):
    """States that only climb; members are declared weakest first."""

    rank: int

    def __new__(cls, value: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.rank = len(cls.__members__)
        return member


by_rank = attrgetter("rank")


class Rcs(Ladder):
    """The RCS leg."""

    PENDING = "PENDING"
    ACCEPTED = "ACCEPTED"
    REVOKING = "REVOKING"
    REVOKE_FAILED = "REVOKE_FAILED"
    REVOKED = "REVOKED"
    UNREACHABLE = "UNREACHABLE"
    REJECTED = "REJECTED"
    DELIVERED = "DELIVERED"
    READ = "READ"


CANNOT_ARRIVE = frozenset({Rcs.REVOKED, Rcs.UNREACHABLE, Rcs.REJECTED})
ARRIVED = frozenset({Rcs.DELIVERED, Rcs.READ})
OPEN = frozenset(Rcs) - CANNOT_ARRIVE - ARRIVED


class Sms(Ladder):
    """One attempt on the SMS leg, and their join."""

    CLAIMED = "CLAIMED"
    QUEUED = "QUEUED"
    SENT = "SENT"
    UNCONFIRMED = "UNCONFIRMED"
    FAILED = "FAILED"
    DELIVERED = "DELIVERED"


class Outcome(Ladder):
    """What became of a message. A published one is corrected only upward."""

    PENDING = "PENDING"
    UNCONFIRMED = "UNCONFIRMED"
    FAILED = "FAILED"
    SUPPRESSED = "SUPPRESSED"
    CANCELLED = "CANCELLED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    DELIVERED_RCS = "DELIVERED_RCS"
    DELIVERED_SMS = "DELIVERED_SMS"
    DELIVERED_BOTH = "DELIVERED_BOTH"


class Closed(StrEnum):
    """Why nothing more will be sent."""

    CANCELLED = "CANCELLED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    OPTED_OUT = "OPTED_OUT"
    NO_FALLBACK = "NO_FALLBACK"
    GRACE_OVER = "GRACE_OVER"


class Policy(StrEnum):
    """When the SMS may leave."""

    PROMPT = "PROMPT"
    CONFIRMED = "CONFIRMED"
    STRICT = "STRICT"
    HEDGE = "HEDGE"
    NONE = "NONE"


class Contract(StrEnum):
    """What RBM's answer to DELETE means; Google has published both."""

    CONFIRMING = "confirming"
    LEGACY = "legacy"


class Traffic(StrEnum):
    """RBM's `messageTrafficType`."""

    UNSPECIFIED = "MESSAGE_TRAFFIC_TYPE_UNSPECIFIED"
    AUTHENTICATION = "AUTHENTICATION"
    TRANSACTION = "TRANSACTION"
    PROMOTION = "PROMOTION"
    SERVICEREQUEST = "SERVICEREQUEST"
    ACKNOWLEDGEMENT = "ACKNOWLEDGEMENT"

    @property
    def needs_consent(self) -> bool:
        """Whether an opt-out stops it (promise 8)."""
        return self in {Traffic.PROMOTION, Traffic.UNSPECIFIED}


class Terms(Struct, frozen=True, kw_only=True):
    """What was settled when the message was accepted, whatever settings say later."""

    policy: Policy
    contract: Contract
    deadline: datetime
    margin: timedelta
    grace: timedelta
    lost_answer: timedelta
    receipt_wait: timedelta
    sms_validity: timedelta


class Request(Struct, frozen=True, kw_only=True):
    """What the app asked for. `digest` recognises a repeat by the body as sent.

    `text` is what the SMS says; `options` are the replies that it lists, and `cut`
    that it tells only a part.
    """

    digest: str
    content: Json
    traffic: Traffic
    sender: str
    text: str
    media: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    handset_receipts: bool = False
    options: tuple[Option, ...] = ()
    cut: bool = False


class Attempt(Struct, frozen=True, kw_only=True):
    """One claim to send the SMS.

    `released` means known not to have been sent; `lost` that its answer is
    given up, though a receipt may still claim it.
    """

    number: int
    state: Sms
    claimed_at: datetime
    queued_at: datetime | None = None
    provider_id: str = ""
    segments: int | None = None
    by: str = ""
    code: int | None = None
    at: datetime
    released: bool = False
    lost: bool = False

    @property
    def live(self) -> bool:
        return not self.released or self.state is Sms.DELIVERED


class Do(StrEnum):
    """What a step asks of the world."""

    CREATE = "CREATE"
    REVOKE = "REVOKE"
    FALL_BACK = "FALL_BACK"
    SEND_SMS = "SEND_SMS"
    ARM = "ARM"
    DISARM = "DISARM"
    PUBLISH = "PUBLISH"


class Action(Struct, frozen=True, kw_only=True):
    """Something to do, unfinished as long as it stands in `Message.todo`.

    `number` is unique within the message, so that a save ticks off only its
    own. `attempt` counts creates or names the SMS attempt; for PUBLISH it is
    the revision. `at` is the instant of a timer, or "not before". `again_at`
    is when the watch takes the action up once more.
    """

    number: int
    do: Do
    attempt: int = 0
    at: datetime | None = None
    again_at: datetime | None = None
    outcome: Outcome | None = None


class Entry(Struct, frozen=True, kw_only=True):
    """One line of the message's history; a carrier's event keeps its id."""

    time: datetime
    type: str
    leg: str
    id: str


class Message(Struct, frozen=True, kw_only=True):
    """One message: what was asked, the evidence so far, and what is unfinished."""

    id: MessageId
    agent: str
    message_id: str
    phone: str
    request: Request
    terms: Terms
    accepted_at: datetime
    rcs: Mapping[Rcs, datetime]
    creates: int = 0
    refused: tuple[int, ...] = ()
    sms: tuple[Attempt, ...] = ()
    closed: Closed | None = None
    closed_at: datetime | None = None
    overdue_at: datetime | None = None
    late: bool = False
    due_at: datetime | None = None
    rule: str = "accepted"
    todo: tuple[Action, ...] = ()
    actions: int = 0
    wake_at: datetime | None = None
    announced: Outcome = Outcome.PENDING
    announced_at: datetime | None = None
    revision: int = 0
    history: tuple[Entry, ...] = ()

    @property
    def rcs_state(self) -> Rcs:
        """The strongest evidence on the RCS leg."""
        return max(self.rcs, key=by_rank)

    @property
    def sms_state(self) -> Sms | None:
        """The join of the attempts, None before the first.

        One attempt's failure says nothing about another whose answer was
        lost: together they are doubt.
        """
        live = [attempt for attempt in self.sms if attempt.live]
        if not live:
            return None
        states = {attempt.state for attempt in live}
        if Sms.DELIVERED in states:
            return Sms.DELIVERED
        if states == {Sms.FAILED}:
            return Sms.FAILED
        under_way = [
            attempt.state
            for attempt in live
            if attempt.state.rank < Sms.UNCONFIRMED.rank and not attempt.lost
        ]
        if under_way:
            return max(under_way, key=by_rank)
        if self.unfinished(Do.FALL_BACK):
            return Sms.CLAIMED
        return Sms.UNCONFIRMED

    @property
    def outcome(self) -> Outcome:
        """What became of the message: what was published, or better."""
        return max(self._derived, self.announced, key=by_rank)

    @property
    def _derived(self) -> Outcome:
        """What legs and `closed` alone say."""
        rcs, sms = self.rcs_state, self.sms_state
        if rcs in ARRIVED:
            both = sms is Sms.DELIVERED
            return Outcome.DELIVERED_BOTH if both else Outcome.DELIVERED_RCS
        if sms is Sms.DELIVERED:
            return Outcome.DELIVERED_SMS
        if self.closed is Closed.ACKNOWLEDGED:
            return Outcome.ACKNOWLEDGED
        if self.closed is None and sms not in {Sms.UNCONFIRMED, Sms.FAILED}:
            return Outcome.PENDING
        if rcs.rank < Rcs.REVOKE_FAILED.rank:
            return Outcome.PENDING
        if rcs is Rcs.REVOKE_FAILED or sms not in {None, Sms.FAILED}:
            return Outcome.UNCONFIRMED
        if self.closed is Closed.CANCELLED:
            return Outcome.CANCELLED
        if self.closed is Closed.OPTED_OUT:
            return Outcome.SUPPRESSED
        return Outcome.FAILED

    @property
    def armed(self) -> tuple[datetime, ...]:
        """The instants of the rings that are asked for, as far as the record knows."""
        planned = tuple(timer.at for timer in self.unfinished(Do.ARM) if timer.at)
        return (*planned, self.wake_at) if self.wake_at else planned

    def unfinished(self, *kinds: Do) -> tuple[Action, ...]:
        return tuple(action for action in self.todo if action.do in kinds)
