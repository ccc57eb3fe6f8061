"""What an app orders: the body of a `send`, or the field of it that is wrong."""

import re
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Self

import msgspec

from backstop.domain.agent import Agent
from backstop.domain.invalid import Invalid
from backstop.domain.menu import Option
from backstop.domain.message import Json, Policy, Request, Traffic
from backstop.domain.sms_text import LIMIT as SMS_TEXT_LIMIT
from backstop.domain.times import parse_duration, parse_time
from backstop.edge.answers import parse_json
from backstop.providers.rbm import content
from backstop.providers.rbm.face import compose
from backstop.settings import Settings
from backstop.usecases.accept import Order

CHOICES = frozenset(Policy) - {Policy.NONE}
METADATA_LIMIT = 64
METADATA_VALUE_LIMIT = 1024
OURS = frozenset({"fallback", "metadata"})
"""Fields of the body that are not RBM's."""


def read_order(
    raw: bytes,
    *,
    agent: Agent,
    message_id: str,
    phone: str,
    settings: Settings,
    now: datetime,
) -> Order:
    """Return what *raw*, the body of a `send`, orders. Raises Invalid."""
    body = parse_json(raw)
    if not isinstance(body, dict):
        raise Invalid("", "the body must be a JSON object")
    metadata = _metadata(body.get("metadata"))
    sent = {name: value for name, value in body.items() if name not in OURS}
    rbm = content.canonical(sent, now=now)
    traffic = Traffic(rbm.get("messageTrafficType", Traffic.UNSPECIFIED.value))
    sms = _Fallback.read(body.get("fallback"), rbm["contentMessage"], agent, traffic)
    return Order(
        at=now,
        agent=agent.name,
        message_id=message_id,
        phone=phone,
        request=Request(
            digest=_digest(body),
            content=rbm["contentMessage"],
            traffic=traffic,
            sender=sms.sender,
            text=sms.text,
            media=sms.media,
            metadata=metadata,
            handset_receipts=agent.handset_receipts,
            options=sms.options,
            cut=sms.cut,
        ),
        terms=settings.terms(
            traffic=traffic,
            policy=sms.policy,
            deadline=_deadline(rbm, now),
            now=now,
        ),
    )


@dataclass(frozen=True, kw_only=True)
class _Fallback:
    """Our part of the body: what the SMS says, from whom, and when it may leave."""

    policy: Policy | None
    sender: str
    text: str = ""
    media: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    cut: bool = False

    @classmethod
    def read(cls, given: Any, rich: Json, agent: Agent, traffic: Traffic) -> Self:
        if given is False:
            return cls(policy=Policy.NONE, sender=agent.senders[0])
        if given is None:
            given = {}
        if not isinstance(given, dict):
            raise Invalid("fallback", "must be an object, or false for none")
        fields = {name: value for name, value in given.items() if value is not None}
        for name in fields:
            if name not in {"text", "media", "from", "policy"}:
                raise Invalid(f"fallback.{name}", "is not a known field")
        text = fields.get("text")
        if text is not None and not isinstance(text, str):
            raise Invalid("fallback.text", "must be a string")
        if text is not None and len(text) > SMS_TEXT_LIMIT:
            raise Invalid(
                "fallback.text", f"must not be longer than {SMS_TEXT_LIMIT} characters"
            )
        media = _media(fields.get("media", []))
        policy, sender = _policy(fields.get("policy")), _sender(fields, agent)
        if text:
            return cls(policy=policy, sender=sender, text=text, media=media)
        wording = agent.opt_out_wording
        face = compose(rich, traffic=traffic, opt_out_wording=wording)
        if not face.text and not media:
            raise Invalid(
                "fallback.text", "is needed: this content has no words of its own"
            )
        return cls(
            policy=policy,
            sender=sender,
            text=face.text,
            media=media,
            options=face.options,
            cut=face.cut,
        )


def _policy(given: Any) -> Policy | None:
    if given is None:
        return None
    if isinstance(given, str) and given in CHOICES:
        return Policy(given)
    raise Invalid("fallback.policy", "must be PROMPT, CONFIRMED, STRICT or HEDGE")


def _sender(fields: Json, agent: Agent) -> str:
    sender: Any = fields.get("from", agent.senders[0])
    if sender not in agent.senders:
        raise Invalid("fallback.from", "is not a sender of this agent")
    return str(sender)


def _media(given: Any) -> tuple[str, ...]:
    whole = isinstance(given, list) and len(given) <= 10  # noqa: PLR2004 - Bandwidth's
    if not whole or not all(isinstance(url, str) for url in given):
        raise Invalid("fallback.media", "must be a list of at most 10 URLs")
    for url in given:
        if not re.match("https?://", url) or len(url) > 4096:  # noqa: PLR2004 - Bandwidth's
            raise Invalid("fallback.media", "must hold http or https URLs")
    return tuple(given)


def _metadata(given: Any) -> dict[str, str]:
    if given is None:
        return {}
    if not isinstance(given, dict) or len(given) > METADATA_LIMIT:
        raise Invalid("metadata", f"must be an object of at most {METADATA_LIMIT} keys")
    for name, value in given.items():
        if not isinstance(value, str) or len(value) > METADATA_VALUE_LIMIT:
            raise Invalid(
                f"metadata.{name[:64]}",
                f"must be a string of at most {METADATA_VALUE_LIMIT} characters",
            )
    return given


def _deadline(rbm: Json, now: datetime) -> datetime | None:
    if "ttl" in rbm:
        return now + parse_duration(rbm["ttl"])
    if "expireTime" in rbm:
        return parse_time(rbm["expireTime"])
    return None


def _digest(body: Json) -> str:
    """Return what recognises a repeat: the body as sent, however it was spaced."""
    return sha256(msgspec.json.encode(body, order="sorted")).hexdigest()
