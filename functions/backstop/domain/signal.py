"""What can happen to a message, as values."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from backstop.domain.message import Rcs


class Kind(StrEnum):
    """Signals by cause: the app, RBM, the SMS provider, and time."""

    BEGIN = "begin"
    REPEAT = "repeat"
    HANDED_OVER = "handed_over"
    CANCEL = "cancel"
    ACKNOWLEDGE = "acknowledge"
    OPT_OUT = "opt_out"

    RCS_BYPASSED = "rcs.bypassed"
    RCS_NOT_BEGUN = "rcs.not_begun"
    RCS_ACCEPTED = "rcs.accepted"
    RCS_REFUSED = "rcs.refused"
    RCS_THROTTLED = "rcs.throttled"
    RCS_UNANSWERED = "rcs.unanswered"
    RCS_DELIVERED = "rcs.delivered"
    RCS_READ = "rcs.read"
    RCS_EXPIRED = "rcs.expired"
    RCS_EXPIRY_FAILED = "rcs.expiry_failed"
    RCS_REVOKED = "rcs.revoked"
    RCS_REVOKE_FAILED = "rcs.revoke_failed"
    RCS_REVOKE_UNANSWERED = "rcs.revoke_unanswered"

    RCS_TEXT = "rcs.text"
    RCS_FILE = "rcs.file"
    RCS_LOCATION = "rcs.location"
    RCS_SUGGESTION = "rcs.suggestion"
    RCS_TYPING = "rcs.typing"
    RCS_SUBSCRIBED = "rcs.subscribed"
    RCS_UNSUBSCRIBED = "rcs.unsubscribed"

    SMS_CLAIM = "sms.claim"
    SMS_QUEUED = "sms.queued"
    SMS_UNANSWERED = "sms.unanswered"
    SMS_THROTTLED = "sms.throttled"
    SMS_REFUSED = "sms.refused"
    SMS_RELEASED = "sms.released"
    SMS_SENT = "sms.sent"
    SMS_DELIVERED = "sms.delivered"
    SMS_FAILED = "sms.failed"
    SMS_UNSENT = "sms.unsent"
    SMS_DOUBTED = "sms.doubted"
    SMS_RECEIVED = "sms.received"

    RING = "ring"
    DEADLINE_PASSED = "deadline_passed"
    GRACE_OVER = "grace_over"
    ANSWER_LOST = "answer_lost"
    RECEIPT_OVERDUE = "receipt_overdue"

    DONE = "done"
    DEFERRED = "deferred"


REPLIES = frozenset(
    {
        *(Kind.RCS_TEXT, Kind.RCS_FILE, Kind.RCS_LOCATION, Kind.RCS_SUGGESTION),
        *(Kind.RCS_TYPING, Kind.RCS_SUBSCRIBED, Kind.RCS_UNSUBSCRIBED),
        Kind.SMS_RECEIVED,
    }
)
"""What a user said after the message. It changes its history and nothing else."""


class Signal(Struct, frozen=True, kw_only=True):
    """One thing that happened.

    `at` is the source's own time, None for now. `number` is the action it
    answers, `attempt` the create or SMS attempt it is about. `event` is the
    id of the carrier's event, by which a repeat is recognised.
    """

    kind: Kind
    at: datetime | None = None
    event: str = ""
    number: int = 0
    attempt: int = 0
    refusal: Rcs = Rcs.UNREACHABLE
    clean: bool = True
    again_at: datetime | None = None
    provider_id: str = ""
    segments: int | None = None
    by: str = ""
    code: int | None = None
