"""Lives of one message, led by the use cases themselves: what examples show.

The world in which they are led has one message, and agrees to everything.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from msgspec.structs import replace

from backstop.domain.consent import Choice, Consent, choose
from backstop.domain.event import Event, event_id
from backstop.domain.message import (
    Contract,
    Json,
    Message,
    MessageId,
    Outcome,
    Policy,
    Request,
    Terms,
    Traffic,
)
from backstop.domain.queued import Queued
from backstop.domain.signal import Kind, Signal
from backstop.ports import Ports, Stored
from backstop.usecases.accept import Order, accept
from backstop.usecases.handle import handle

AGENT = "demo_agent"
SENDER = "+15550100001"
PHONE = "+15551230002"
MESSAGE_ID = "code-1"
NOW = datetime(2026, 4, 5, 12, tzinfo=UTC)

CODE: Json = {
    "contentMessage": {"text": "Your code is 481 516"},
    "messageTrafficType": "AUTHENTICATION",
    "ttl": "60s",
    "fallback": {"text": "Code 481516", "policy": "PROMPT"},
    "metadata": {"order": "108"},
}
"""The request from which every life begins."""

DAYS = (("Tuesday", "10:00 with Kim", "day:2"), ("Friday", "16:30 with Lee", "day:5"))

REQUESTS: Mapping[str, Json] = {
    "a code, by SMS after a minute": CODE,
    "suggested replies": {
        "contentMessage": {
            "text": "Was everything all right?",
            "suggestions": [
                {"reply": {"text": "Yes", "postbackData": "good"}},
                {"reply": {"text": "No", "postbackData": "bad"}},
            ],
        },
        "messageTrafficType": "SERVICEREQUEST",
    },
    "a card with a picture": {
        "contentMessage": {
            "richCard": {
                "standaloneCard": {
                    "cardOrientation": "VERTICAL",
                    "cardContent": {
                        "title": "Your table is ready",
                        "media": {
                            "height": "MEDIUM",
                            "contentInfo": {"fileUrl": "https://example.com/t.png"},
                        },
                        "suggestions": [
                            {
                                "action": {
                                    "text": "Show the way",
                                    "postbackData": "map",
                                    "openUrlAction": {"url": "https://example.com/map"},
                                }
                            }
                        ],
                    },
                }
            }
        },
        "messageTrafficType": "TRANSACTION",
        "ttl": "600s",
    },
    "a carousel": {
        "contentMessage": {
            "richCard": {
                "carouselCard": {
                    "cardWidth": "MEDIUM",
                    "cardContents": [
                        {
                            "title": title,
                            "description": description,
                            "suggestions": [
                                {
                                    "reply": {
                                        "text": f"Take {title}",
                                        "postbackData": postback,
                                    }
                                }
                            ],
                        }
                        for title, description, postback in DAYS
                    ],
                }
            }
        },
        "messageTrafficType": "PROMOTION",
        "fallback": {"policy": "STRICT"},
    },
    "a file, by RCS or not at all": {
        "contentMessage": {"contentInfo": {"fileUrl": "https://example.com/t.png"}},
        "messageTrafficType": "TRANSACTION",
        "fallback": False,
    },
}


class World:
    """All ports of one function, for one message."""

    def __init__(self) -> None:
        agreeable: Any = _Agreeable()
        messages: Any = _Messages(self)
        recipients: Any = _Recipients()
        random: Any = _Random()
        self.at = NOW
        self.record: Stored[Message] | None = None
        self.published: list[Event] = []
        self.ports = Ports(
            messages=messages,
            recipients=recipients,
            timers=agreeable,
            events=self,
            clock=self,
            random=random,
            log=agreeable,
            rcs=agreeable,
            sms=_Sms(),
        )

    def now(self) -> datetime:
        return self.at

    def publish(self, *events: Event) -> None:
        self.published += events

    def hear(self, *kinds: Kind, code: int | None = None, **later: float) -> "World":
        """Let carriers or the app say something, some time later."""
        self.at += timedelta(**later)
        for kind in kinds:
            told = kind.value.partition(".")[0] in {"rcs", "sms"}
            signal = Signal(
                kind=kind,
                event=event_id(kind.value) if told else "",
                attempt=1,
                by="carrier" if kind is Kind.SMS_DELIVERED else "",
                code=code,
            )
            self._handle(signal)
        return self

    @property
    def message(self) -> Message:
        if self.record is None:
            raise LookupError("nothing was accepted")
        return self.record.value

    def _handle(self, signal: Signal) -> None:
        handle(self.ports, self.message.id, lambda _m, _now: [signal])


def order(
    policy: Policy = Policy.PROMPT, traffic: Traffic = Traffic.AUTHENTICATION
) -> Order:
    """Return what `CODE` orders, or the same with another policy or type."""
    return Order(
        at=NOW,
        agent=AGENT,
        message_id=MESSAGE_ID,
        phone=PHONE,
        request=Request(
            digest="",
            content=CODE["contentMessage"],
            traffic=traffic,
            sender=SENDER,
            text=CODE["fallback"]["text"],
            metadata=CODE["metadata"],
        ),
        terms=Terms(
            policy=policy,
            contract=Contract.CONFIRMING,
            deadline=NOW + timedelta(seconds=60),
            margin=timedelta(seconds=5),
            grace=timedelta(seconds=60),
            lost_answer=timedelta(seconds=30),
            receipt_wait=timedelta(minutes=135),
            sms_validity=timedelta(minutes=10),
        ),
    )


def accepted(
    policy: Policy = Policy.PROMPT, traffic: Traffic = Traffic.AUTHENTICATION
) -> World:
    """Durable, and taken by RBM."""
    world = World()
    accept(world.ports, order(policy, traffic))
    return world


def answered() -> Message:
    """Return the message as `send` answers it."""
    return accept(World().ports, order())


def texted() -> World:
    """Expired at RBM, and queued as an SMS."""
    return accepted().hear(Kind.RCS_EXPIRED, seconds=60)


@cache
def lives() -> Mapping[Outcome, World]:
    """Return a life that ends in each outcome."""
    promotion = accepted(Policy.STRICT, Traffic.PROMOTION)
    return {
        Outcome.DELIVERED_RCS: accepted().hear(Kind.RCS_DELIVERED, seconds=1),
        Outcome.DELIVERED_SMS: texted().hear(Kind.SMS_DELIVERED, seconds=2),
        Outcome.DELIVERED_BOTH: (
            texted()
            .hear(Kind.SMS_DELIVERED, seconds=2)
            .hear(Kind.RCS_DELIVERED, seconds=8)
        ),
        Outcome.ACKNOWLEDGED: accepted().hear(Kind.ACKNOWLEDGE, seconds=9),
        Outcome.UNCONFIRMED: texted().hear(Kind.SMS_DOUBTED, code=9902, hours=2),
        Outcome.FAILED: texted().hear(Kind.SMS_FAILED, code=4720, seconds=2),
        Outcome.CANCELLED: accepted().hear(Kind.CANCEL, seconds=5),
        Outcome.SUPPRESSED: promotion.hear(Kind.OPT_OUT, seconds=30),
    }


def outcome_event(outcome: Outcome) -> Event:
    """Return the last event of that outcome's life, as it is published."""
    return lives()[outcome].published[-1]


def due_event() -> Event:
    """Return what a function that may not text publishes in its place."""
    world = accepted()
    world.ports = replace(world.ports, sms=None)
    return world.hear(Kind.RCS_EXPIRED, seconds=60).published[-1]


def opted_out() -> Consent:
    """Return the consent of somebody who opted in once, and texted STOP later."""
    opt_in = Choice(
        phone=PHONE,
        agent=AGENT,
        opted_in=True,
        at=NOW - timedelta(days=30),
        evidence=event_id("app"),
        channel="APP",
    )
    stop = Choice(
        phone=PHONE,
        agent=AGENT,
        opted_in=False,
        at=NOW,
        evidence=event_id("stop"),
        channel="SMS",
        number=SENDER,
        wording="STOP",
    )
    return choose(choose(Consent(), opt_in), stop)


class _Agreeable:
    """Does whatever it is asked, and has nothing to say."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *_what, **_more: None

    def __call__(self, *_what: object) -> None: ...


class _Messages(_Agreeable):
    def __init__(self, world: World) -> None:
        self._world = world

    def create(self, message: Message) -> int:
        return self.save(message, version=0)

    def load(self, _message: MessageId) -> Stored[Message] | None:
        return self._world.record

    def save(self, message: Message, *, version: int) -> int:
        self._world.record = Stored(message, version + 1)
        return version + 1


class _Recipients(_Agreeable):
    def load(self, _phone: str, _agent: str) -> Stored[Consent]:
        return Stored(Consent(), 0)


class _Random(_Agreeable):
    def random(self) -> float:
        return 0.5


class _Sms(_Agreeable):
    def send(self, **_what: object) -> Queued:
        return Queued("1789000000123abcdefghijklmnop", 1)
