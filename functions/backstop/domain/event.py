"""The catalogue of events: every type that is ever published. Names are final.

CloudEvents 1.0. `kind` is what subscriptions filter on; the id is derived from
the carrier's own, so that its retry is recognisably the same event.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from msgspec import Struct

from backstop.domain.message import Outcome
from backstop.domain.times import format_time, parse_time

SOURCE = "//backstop"


class Kind(StrEnum):
    """Families of events, one per kind of subscriber."""

    EXPIRY = "expiry"
    DUE = "due"
    RECEIPT = "receipt"
    INBOUND = "inbound"
    NOTICE = "notice"
    UNKNOWN = "unknown"
    OUTCOME = "outcome"


class Type(Struct, frozen=True):
    """One kind of event: its final name, its family, and when it is published."""

    name: str
    kind: Kind
    when: str


RCS_DELIVERED = Type(
    "backstop.rcs.delivered", Kind.RECEIPT, "The phone received the RCS message."
)
RCS_READ = Type(
    "backstop.rcs.read", Kind.RECEIPT, "The user opened the RCS conversation."
)
RCS_EXPIRED = Type(
    "backstop.rcs.expired",
    Kind.EXPIRY,
    "RBM withdrew the message at its expiry: it will not arrive.",
)
RCS_EXPIRY_FAILED = Type(
    "backstop.rcs.expiry_failed",
    Kind.EXPIRY,
    "The message expired and RBM could not say whether it had arrived.",
)
RCS_TYPING = Type("backstop.rcs.typing", Kind.INBOUND, "The user is typing.")
RCS_UNSUBSCRIBED = Type(
    "backstop.rcs.unsubscribed", Kind.INBOUND, "The user opted out in RCS."
)
RCS_SUBSCRIBED = Type(
    "backstop.rcs.subscribed", Kind.INBOUND, "The user opted in again in RCS."
)
RCS_TEXT = Type("backstop.rcs.text", Kind.INBOUND, "The user wrote in RCS.")
RCS_FILE = Type("backstop.rcs.file", Kind.INBOUND, "The user sent a file in RCS.")
RCS_LOCATION = Type(
    "backstop.rcs.location", Kind.INBOUND, "The user shared a location in RCS."
)
RCS_SUGGESTION = Type(
    "backstop.rcs.suggestion", Kind.INBOUND, "The user tapped a suggestion."
)
CONSENT_REVIEW = Type(
    "backstop.consent.review",
    Kind.NOTICE,
    "A text that may be an opt-out and may not: for a person to read.",
)
RCS_LAUNCH = Type(
    "backstop.rcs.launch", Kind.NOTICE, "An agent's launch state changed."
)
RCS_UNKNOWN = Type(
    "backstop.rcs.unknown", Kind.UNKNOWN, "RBM sent what this version does not know."
)
SMS_SENDING = Type(
    "backstop.sms.sending", Kind.RECEIPT, "The SMS is on its way to the carrier."
)
SMS_SENT = Type("backstop.sms.sent", Kind.RECEIPT, "The SMS left the provider.")
SMS_DELIVERED = Type(
    "backstop.sms.delivered",
    Kind.RECEIPT,
    "The carrier took the SMS, or the handset confirmed it.",
)
SMS_FAILED = Type(
    "backstop.sms.failed",
    Kind.RECEIPT,
    "The SMS failed, or its receipt timed out (which is doubt).",
)
SMS_RECEIVED = Type(
    "backstop.sms.received", Kind.INBOUND, "The user wrote by SMS or MMS."
)
SMS_UNKNOWN = Type(
    "backstop.sms.unknown",
    Kind.UNKNOWN,
    "The SMS provider sent what this version does not know.",
)
SMS_DUE = Type(
    "backstop.sms.due", Kind.DUE, "The SMS may leave: `fallback` decides and sends."
)
MESSAGE_DELIVERED = Type(
    "backstop.message.delivered", Kind.OUTCOME, "The message arrived by RCS."
)
MESSAGE_FELL_BACK = Type(
    "backstop.message.fell_back", Kind.OUTCOME, "The message arrived by SMS."
)
MESSAGE_DELIVERED_TWICE = Type(
    "backstop.message.delivered_twice",
    Kind.OUTCOME,
    "The message arrived by RCS and by SMS.",
)
MESSAGE_ACKNOWLEDGED = Type(
    "backstop.message.acknowledged",
    Kind.OUTCOME,
    "The app said that the user had acted.",
)
MESSAGE_UNCONFIRMED = Type(
    "backstop.message.unconfirmed",
    Kind.OUTCOME,
    "Whether the message arrived cannot be known.",
)
MESSAGE_FAILED = Type(
    "backstop.message.failed", Kind.OUTCOME, "The message did not arrive."
)
MESSAGE_CANCELLED = Type(
    "backstop.message.cancelled", Kind.OUTCOME, "The app cancelled it in time."
)
MESSAGE_SUPPRESSED = Type(
    "backstop.message.suppressed", Kind.OUTCOME, "An opt-out stopped it."
)

CATALOGUE = {
    value.name: value for value in list(globals().values()) if isinstance(value, Type)
}

OUTCOMES = {
    Outcome.DELIVERED_RCS: MESSAGE_DELIVERED,
    Outcome.DELIVERED_SMS: MESSAGE_FELL_BACK,
    Outcome.DELIVERED_BOTH: MESSAGE_DELIVERED_TWICE,
    Outcome.ACKNOWLEDGED: MESSAGE_ACKNOWLEDGED,
    Outcome.UNCONFIRMED: MESSAGE_UNCONFIRMED,
    Outcome.FAILED: MESSAGE_FAILED,
    Outcome.CANCELLED: MESSAGE_CANCELLED,
    Outcome.SUPPRESSED: MESSAGE_SUPPRESSED,
}


class Event(Struct, frozen=True, kw_only=True):
    """One published event. `data` of a carrier's event is what it signed.

    `agent` and `message_id` are empty where the event names no message of an
    agent; `attempt` is the SMS attempt it is about, 0 otherwise. A tap that was
    texted has a `channel` that its type does not say, and the event that was its
    `cause`.
    """

    id: str
    type: Type
    time: datetime
    data: bytes
    agent: str = ""
    message_id: str = ""
    attempt: int = 0
    channel: str = ""
    cause: str = ""

    @property
    def subject(self) -> str:
        if not self.message_id:
            return ""
        return f"agents/{self.agent}/messages/{self.message_id}"

    def attributes(self) -> dict[str, str]:
        """Attributes of the Pub/Sub binding, binary mode; empty ones left out."""
        family = self.type.name.split(".")[1]
        channel = self.channel or (family.upper() if family in {"rcs", "sms"} else "")
        attributes = {
            "ce-specversion": "1.0",
            "ce-id": self.id,
            "ce-type": self.type.name,
            "ce-source": f"{SOURCE}/{self.channel.lower() or family}",
            "ce-subject": self.subject,
            "ce-time": format_time(self.time),
            "ce-datacontenttype": "application/json",
            "kind": self.type.kind.value,
            "agentId": self.agent,
            "messageId": self.message_id,
            "attempt": str(self.attempt or ""),
            "channel": channel,
            "causedBy": self.cause,
        }
        return {name: value for name, value in attributes.items() if value}


def read_attributes(attributes: Mapping[str, object], data: bytes) -> Event:
    """Return the event that `Event.attributes` described.

    Raises ValueError for what no version of ours published.
    """
    texts = {name: text for name, text in attributes.items() if isinstance(text, str)}
    kind = CATALOGUE.get(texts.get("ce-type", ""))
    if kind is None or "ce-id" not in texts or len(texts) < len(attributes):
        raise ValueError("not an event of ours")
    cause = texts.get("causedBy", "")
    return Event(
        id=texts["ce-id"],
        type=kind,
        time=parse_time(texts.get("ce-time", "")),
        data=data,
        agent=texts.get("agentId", ""),
        message_id=texts.get("messageId", ""),
        attempt=int(texts.get("attempt", "0")),
        channel=texts.get("channel", "") if cause else "",
        cause=cause,
    )


def event_id(*parts: str) -> str:
    """Return an id that is the same whenever the same parts come again."""
    return sha256("\n".join(parts).encode()).hexdigest()[:32]
