"""Numbers that choose what becomes of a message, without any set-up.

Every other number, inside the range and outside, is an ordinary phone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .instants import SECOND

FIRST = "+15550199000"
LAST = "+15550199099"

REVOKED = "TTL_EXPIRATION_REVOKED"
REVOKE_FAILED = "TTL_EXPIRATION_REVOKE_FAILED"
DELIVERED = "DELIVERED"


@dataclass(frozen=True)
class Sms:
    """What becomes of an SMS to this number.

    `answer` is what the request gets: `ok`; `unsent` (the connection is closed and
    nothing is sent); `lost` (closed, yet sent); or an HTTP status, where 500 has taken
    effect and the others have not. `receipts` are (error code or 0, delay).
    `once` keeps all of this to the first try of each text.
    """

    answer: str = "ok"
    receipts: tuple[tuple[int, int], ...] = ((0, 0),)
    arrives: bool = True
    once: bool = False


@dataclass(frozen=True)
class Behaviour:
    """One reserved number. The defaults are those of an ordinary phone.

    `replies` is what its owner says, a second after each message that arrives; of a
    suggestion only that the first one is tapped.

    `waits` means that RCS never reaches the phone by itself. Then `at_expiry` lists
    (event, delay) from the instant of expiry on, and `delete` says how the platform
    answers DELETE: `truly`, `too_late` (404), `falsely` (200, and DELIVERED comes 1 s
    later), `never` (503).
    """

    number: str
    name: str
    description: str
    rcs: bool = True
    reads: bool = True
    waits: bool = False
    at_expiry: tuple[tuple[str, int], ...] = ((REVOKED, 0),)
    delete: str = "truly"
    refusal: int = 0
    answer_lost: bool = False
    twice: bool = False
    read_first: bool = False
    delivery_delay: int | None = None
    sms: Sms = Sms()
    replies: Mapping[str, Any] | None = None


def _number(index: int) -> str:
    return f"{FIRST[:-2]}{index:02d}"


_RCS = (
    Behaviour(_number(0), "read", "Delivered by RCS and read 2 s later."),
    Behaviour(_number(1), "delivered", "Delivered by RCS and never read.", reads=False),
    Behaviour(
        _number(2),
        "offline",
        "Never online for RCS; the platform says TTL_EXPIRATION_REVOKED at expiry.",
        waits=True,
    ),
    Behaviour(
        _number(3), "not-rcs", "Has no RCS: 404 at once. SMS arrives.", rcs=False
    ),
    Behaviour(
        _number(4),
        "revoke-fails-then-delivered",
        "TTL_EXPIRATION_REVOKE_FAILED at expiry, DELETE answers 404 at any time, "
        "and DELIVERED comes 90 s after the expiry.",
        waits=True,
        at_expiry=((REVOKE_FAILED, 0), (DELIVERED, 90 * SECOND)),
        delete="too_late",
    ),
    Behaviour(
        _number(5),
        "delivered-after-delete",
        "Silent at expiry; DELETE answers 200, and yet DELIVERED comes 1 s later.",
        waits=True,
        at_expiry=(),
        delete="falsely",
    ),
    Behaviour(
        _number(6),
        "silent",
        "Never delivered, and no event at expiry. DELETE works, then as well.",
        waits=True,
        at_expiry=(),
    ),
    Behaviour(
        _number(7),
        "both-at-expiry",
        "At expiry both DELIVERED and TTL_EXPIRATION_REVOKED come.",
        waits=True,
        at_expiry=((DELIVERED, 0), (REVOKED, 0)),
    ),
    Behaviour(
        _number(8),
        "lacks-feature",
        "RBM answers 400: the device lacks a feature.",
        refusal=400,
    ),
    Behaviour(
        _number(9),
        "not-launched",
        "RBM answers 403: the agent is not launched on this network.",
        refusal=403,
    ),
    Behaviour(
        _number(10), "rcs-limited", "RBM answers every create with 429.", refusal=429
    ),
    Behaviour(
        _number(11), "rcs-down", "RBM answers every create with 503.", refusal=503
    ),
    Behaviour(
        _number(12),
        "rcs-answer-lost",
        "A create takes effect and its first answer is lost: the connection is "
        "closed. A repeat is answered.",
        answer_lost=True,
    ),
    Behaviour(
        _number(13),
        "revoke-fails",
        "TTL_EXPIRATION_REVOKE_FAILED at expiry, DELETE answers 404 at any time, "
        "and nothing is ever delivered.",
        waits=True,
        at_expiry=((REVOKE_FAILED, 0),),
        delete="too_late",
    ),
    Behaviour(
        _number(14),
        "delivered-after-revoked",
        "TTL_EXPIRATION_REVOKED at expiry, and DELIVERED all the same 30 s later.",
        waits=True,
        at_expiry=((REVOKED, 0), (DELIVERED, 30 * SECOND)),
    ),
    Behaviour(
        _number(15),
        "delete-down",
        "Never delivered, no event at expiry, and DELETE answers 503 every time.",
        waits=True,
        at_expiry=(),
        delete="never",
    ),
    Behaviour(_number(40), "twice", "DELIVERED and READ each come twice.", twice=True),
    Behaviour(
        _number(41), "read-first", "READ comes before DELIVERED.", read_first=True
    ),
    Behaviour(
        _number(42),
        "slow",
        "RCS delivery takes 30 s.",
        delivery_delay=30 * SECOND,
    ),
)

_SMS = (
    (
        20,
        "sms-refused",
        "The carrier refuses the SMS: message-failed 4720.",
        Sms(receipts=((4720, 0),), arrives=False),
    ),
    (
        21,
        "sms-no-receipt",
        "The SMS arrives and its receipt never comes.",
        Sms(receipts=()),
    ),
    (
        22,
        "sms-request-lost",
        "Every SMS request is lost: the connection is closed and nothing is sent.",
        Sms(answer="unsent"),
    ),
    (
        23,
        "sms-answer-lost",
        "The answer to the SMS request is lost; the SMS is sent, its receipt comes.",
        Sms(answer="lost"),
    ),
    (
        24,
        "sms-doubt",
        "message-failed 9902 after 2 s (not after two hours); the SMS did arrive.",
        Sms(receipts=((9902, 2 * SECOND),)),
    ),
    (
        25,
        "sms-queue-full-once",
        "The first request with a text is answered 429, the next is accepted.",
        Sms(answer="429", once=True),
    ),
    (
        26,
        "sms-500-but-sent",
        "The request is answered 500, and yet the SMS is sent and its receipt comes.",
        Sms(answer="500"),
    ),
    (
        27,
        "sms-fails-once",
        "The first SMS with a text ends in message-failed 5101, the next is delivered.",
        Sms(receipts=((5101, 0),), arrives=False, once=True),
    ),
    (
        28,
        "sms-invalid",
        "The request is answered 400 request-validation, naming `to`.",
        Sms(answer="400"),
    ),
    (
        29,
        "sms-doubt-then-delivered",
        "message-failed 9902 after 2 s, then message-delivered a minute later.",
        Sms(receipts=((9902, 2 * SECOND), (0, 62 * SECOND))),
    ),
    (
        30,
        "sms-opted-out",
        "The owner has opted out at the carrier: message-failed 4775.",
        Sms(receipts=((4775, 0),), arrives=False),
    ),
    (
        31,
        "sms-vanishes",
        "Answered 202, then silence; nothing is sent.",
        Sms(receipts=(), arrives=False),
    ),
)

_OWNERS = (
    Behaviour(
        _number(50),
        "texts-stop",
        "Has no RCS. The owner answers every SMS with STOP.",
        rcs=False,
        replies={"text": "STOP"},
    ),
    Behaviour(
        _number(51),
        "unsubscribes",
        "The owner unsubscribes as soon as a message has arrived by RCS.",
        replies={"event": "UNSUBSCRIBE"},
    ),
    Behaviour(
        _number(52),
        "taps",
        "The owner taps the first suggestion of every RCS message.",
        replies={"suggestion": {}},
    ),
    Behaviour(
        _number(53),
        "chooses-by-sms",
        "Has no RCS. The owner answers every SMS with 2.",
        rcs=False,
        replies={"text": "2"},
    ),
    Behaviour(
        _number(54),
        "thanks",
        "The owner answers every RCS message with a text.",
        replies={"text": "Thank you"},
    ),
    Behaviour(
        _number(55),
        "nearly-stops",
        'Has no RCS. The owner answers every SMS with "please stop texting me".',
        rcs=False,
        replies={"text": "please stop texting me"},
    ),
)

_TABLE = (
    *_RCS,
    *(
        Behaviour(_number(index), name, f"Has no RCS. {text}", rcs=False, sms=sms)
        for index, name, text, sms in _SMS
    ),
    *_OWNERS,
)

RESERVED: dict[str, Behaviour] = {
    row.number: row for row in sorted(_TABLE, key=lambda row: row.number)
}
_ORDINARY = Behaviour("", "ordinary", "Behaves as it was set.")


def behaviour(number: str) -> Behaviour:
    """Return what *number* does with a message."""
    return RESERVED.get(number, _ORDINARY)
