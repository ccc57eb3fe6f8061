"""What each action does, and what is to be heard of it.

None of them changes a record. What a carrier answered is returned as signals;
whatever else goes wrong is raised, and the trigger comes back.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from backstop.domain.event import OUTCOMES, SMS_DUE, Event, event_id
from backstop.domain.lifecycle import CLAIM_LIFE
from backstop.domain.message import (
    ARRIVED,
    Action,
    Contract,
    Do,
    Json,
    Message,
    Policy,
    Rcs,
    Traffic,
)
from backstop.domain.signal import Kind, Signal
from backstop.domain.tag import make_tag
from backstop.domain.times import format_time
from backstop.errors import Refusal, Refused, Throttled, Unanswered
from backstop.ports import Ports
from backstop.usecases.lines import log_request
from backstop.usecases.view import agent_message

RBM_BUDGET = timedelta(seconds=10)
"""`send` answers after this, whether RBM did or not (rule 9)."""

PROMPT_BUDGET = timedelta(seconds=2)
"""A PROMPT message waits no longer for its DELETE (rule 10)."""

SMS_BUDGET = timedelta(seconds=10)

SEND_TIMEOUT = timedelta(seconds=60)
"""`send` is stopped after this: no record and no first create of its appears later."""

SHORTEST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(minutes=10)


def _create(ports: Ports, message: Message, action: Action) -> list[Signal]:
    answer = Signal(
        kind=Kind.RCS_ACCEPTED, number=action.number, attempt=action.attempt
    )
    not_begun = replace(answer, kind=Kind.RCS_NOT_BEGUN)
    if ports.rcs is None:
        # `revoke` takes it up: with the ring that this asks for.
        return [replace(not_begun, again_at=ports.clock.now())]
    if _refuses(ports, message):
        withheld = replace(answer, kind=Kind.RCS_REFUSED, refusal=Rcs.REJECTED)
        return [Signal(kind=Kind.OPT_OUT), withheld]
    # The clock is read last: what is asked before it may take its time.
    left = message.terms.deadline - ports.clock.now()
    if left <= timedelta(0):
        # Not begun, so not accepted: no copy starts its life expired (rule 8).
        return [replace(not_begun, again_at=message.terms.deadline)]
    try:
        ports.rcs.create(
            agent=message.agent,
            phone=message.phone,
            message_id=message.message_id,
            body=_rbm_body(message),
            budget=min(left, RBM_BUDGET),
        )
    except Refused as no:
        rejected = no.refusal is Refusal.REJECTED
        return [
            replace(
                answer,
                kind=Kind.RCS_REFUSED,
                refusal=Rcs.REJECTED if rejected else Rcs.UNREACHABLE,
                clean=not no.after_silence,
            )
        ]
    except Throttled as later:
        return [
            replace(
                answer,
                kind=Kind.RCS_THROTTLED,
                clean=not later.after_silence,
                again_at=_later(ports, message.accepted_at, later.after),
            )
        ]
    except Unanswered:
        again_at = _later(ports, message.accepted_at)
        return [replace(answer, kind=Kind.RCS_UNANSWERED, again_at=again_at)]
    return [answer]


def _revoke(ports: Ports, message: Message, action: Action) -> list[Signal]:
    if ports.rcs is None:
        # `revoke` takes it up, as its name says.
        ports.timers.arm(message.id, at=ports.clock.now())
        return []
    prompt = message.terms.policy is Policy.PROMPT
    try:
        ports.rcs.revoke(
            agent=message.agent,
            phone=message.phone,
            message_id=message.message_id,
            budget=PROMPT_BUDGET if prompt else RBM_BUDGET,
        )
    except Refused:
        return [_inconclusive(ports, message, action)]
    except (Throttled, Unanswered):
        again_at = _later(ports, message.rcs[Rcs.REVOKING])
        return [
            Signal(
                kind=Kind.RCS_REVOKE_UNANSWERED,
                number=action.number,
                again_at=again_at,
            )
        ]
    if message.terms.contract is Contract.LEGACY:
        return [_inconclusive(ports, message, action)]
    return [Signal(kind=Kind.RCS_REVOKED, number=action.number)]


def _inconclusive(ports: Ports, message: Message, action: Action) -> Signal:
    """Answer a DELETE that proves nothing, or came before the create (rule 8)."""
    signal = Signal(kind=Kind.RCS_REVOKE_FAILED, number=action.number)
    answered = Rcs.ACCEPTED in message.rcs or (
        message.overdue_at and not message.closed
    )
    created_by = min(message.accepted_at + SEND_TIMEOUT, message.terms.deadline)
    if answered or ports.clock.now() >= created_by:
        return signal
    again_at = min(_later(ports, message.rcs[Rcs.REVOKING]), created_by)
    return replace(signal, kind=Kind.RCS_REVOKE_UNANSWERED, again_at=again_at)


def _fall_back(ports: Ports, message: Message, action: Action) -> list[Signal]:
    data = {"name": agent_message(message)["name"], "rule": message.rule}
    ports.events.publish(
        Event(
            id=event_id(message.id, "due", str(action.number)),
            type=SMS_DUE,
            time=ports.clock.now(),
            data=msgspec.json.encode(data),
            agent=message.agent,
            message_id=message.message_id,
        )
    )
    return []


def _send_sms(ports: Ports, message: Message, action: Action) -> list[Signal]:
    """Send an attempt that this very call has claimed (rules 1 and 2)."""
    attempt = action.attempt
    released = Signal(kind=Kind.SMS_RELEASED, attempt=attempt)
    if _refuses(ports, message):
        return [released, Signal(kind=Kind.OPT_OUT)]
    if ports.sms is None or _is_late(ports, message, attempt):
        return [released]
    now = ports.clock.now()
    log_request(ports, message, attempt, now)
    try:
        queued = ports.sms.send(
            sender=message.request.sender,
            to=message.phone,
            text=message.request.text,
            media=message.request.media,
            tag=make_tag(message.agent, message.message_id, attempt),
            expires_at=now + message.terms.sms_validity,
            budget=SMS_BUDGET,
        )
    except Throttled as later:
        again_at = _later(ports, message.due_at or now, later.after)
        return [Signal(kind=Kind.SMS_THROTTLED, attempt=attempt, again_at=again_at)]
    except Refused:
        return [Signal(kind=Kind.SMS_REFUSED, attempt=attempt)]
    except Unanswered:
        return [Signal(kind=Kind.SMS_UNANSWERED, attempt=attempt)]
    return [
        Signal(
            kind=Kind.SMS_QUEUED,
            attempt=attempt,
            provider_id=queued.provider_id,
            segments=queued.segments,
        )
    ]


def _publish(ports: Ports, message: Message, action: Action) -> list[Signal]:
    if action.outcome is None:
        return []
    data: Json = {
        **agent_message(message),
        "agentId": message.agent,
        "messageId": message.message_id,
        "outcome": action.outcome.value,
        "revision": action.attempt,
    }
    del data["contentMessage"], data["fallback"]
    ports.events.publish(
        Event(
            id=event_id(message.id, "outcome", str(action.attempt)),
            type=OUTCOMES[action.outcome],
            time=ports.clock.now(),
            data=msgspec.json.encode(data),
            agent=message.agent,
            message_id=message.message_id,
        )
    )
    return []


def _arm(ports: Ports, message: Message, action: Action) -> list[Signal]:
    if action.at:
        ports.timers.arm(message.id, at=action.at)
    return []


def _disarm(ports: Ports, message: Message, action: Action) -> list[Signal]:
    if action.at:
        ports.timers.disarm(message.id, at=action.at)
    return []


def _is_late(ports: Ports, message: Message, attempt: int) -> bool:
    """Whether news, or time itself, has overtaken the claim (rule 2)."""
    stored = ports.messages.load(message.id)
    if stored is None or stored.value.accepted_at != message.accepted_at:
        return True
    newest = stored.value
    claimed_at = newest.sms[attempt - 1].claimed_at
    return (
        newest.rcs_state in ARRIVED
        or newest.closed is not None
        or any(a.live and not a.lost for a in newest.sms if a.number != attempt)
        or ports.clock.now() > claimed_at + CLAIM_LIFE
    )


def _refuses(ports: Ports, message: Message) -> bool:
    """Whether the recipient has opted out of messages like this one."""
    if not message.request.traffic.needs_consent:
        return False
    return ports.recipients.load(message.phone, message.agent).value.refuses


def _rbm_body(message: Message) -> Json:
    body: Json = {
        "contentMessage": message.request.content,
        "expireTime": format_time(message.terms.deadline),
    }
    if message.request.traffic is not Traffic.UNSPECIFIED:
        body["messageTrafficType"] = message.request.traffic.value
    return body


def _later(ports: Ports, since: datetime, wish: timedelta | None = None) -> datetime:
    """Return when to try again: a share of the time already lost, jittered.

    That grows like an exponential backoff, without a count to keep.
    """
    now = ports.clock.now()
    lost = now - since
    wait = min(max(lost, SHORTEST_WAIT), LONGEST_WAIT) * (0.5 + ports.random.random())
    return now + max(wait, wish or wait)


PERFORM: Mapping[Do, Callable[[Ports, Message, Action], list[Signal]]] = {
    Do.CREATE: _create,
    Do.REVOKE: _revoke,
    Do.FALL_BACK: _fall_back,
    Do.SEND_SMS: _send_sms,
    Do.ARM: _arm,
    Do.DISARM: _disarm,
    Do.PUBLISH: _publish,
}
