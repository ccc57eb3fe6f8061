"""What the log is told of a message on its way."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from backstop.domain.lifecycle import Step
from backstop.domain.message import ARRIVED, Do, Message, Outcome, Sms
from backstop.domain.signal import Signal
from backstop.ports import Ports


def log_change(
    ports: Ports, before: Message, heard: Sequence[Signal], step: Step
) -> None:
    """Tell of a change that was saved, and of each outcome that it announced."""
    after = step.message
    ports.log(
        "step",
        {
            "messageId": after.message_id,
            "agentId": after.agent,
            "signals": " ".join(signal.kind.value for signal in heard),
            "rcs": f"{before.rcs_state} -> {after.rcs_state}",
            "sms": f"{before.sms_state or '-'} -> {after.sms_state or '-'}",
            "outcome": after.outcome.value,
            "rule": after.rule,
            "actions": " ".join(action.do.value for action in step.actions),
        },
    )
    # Here, and not where it is published: that may be repeated, and this is counted.
    for action in after.unfinished(Do.PUBLISH):
        if action.outcome and action.attempt > before.revision:
            _log_outcome(ports, after, action.outcome, revision=action.attempt)


def _log_outcome(
    ports: Ports, message: Message, outcome: Outcome, *, revision: int
) -> None:
    reached_at = _reached_at(message)
    reached = {}
    if reached_at:
        reached = {
            "reachSeconds": _seconds(reached_at - message.accepted_at),
            "overdueSeconds": _seconds(reached_at - message.terms.deadline),
        }
    ports.log(
        "outcome",
        {
            "messageId": message.message_id,
            "agentId": message.agent,
            "outcome": outcome.value,
            "policy": message.terms.policy.value,
            "revision": revision,
            "fellBack": any(attempt.live for attempt in message.sms),
            **reached,
        },
    )


def log_request(ports: Ports, message: Message, attempt: int, now: datetime) -> None:
    """Tell that the SMS provider is asked *now*."""
    ports.log(
        "sms_request",
        {
            "messageId": message.message_id,
            "agentId": message.agent,
            "policy": message.terms.policy.value,
            "attempt": attempt,
            "lateSeconds": _seconds(now - message.terms.deadline),
        },
    )


def log_ring(
    ports: Ports, message: Message | None, *, due_at: datetime, heard_at: datetime
) -> None:
    """Tell of a ring that is done, and how the message stands after it."""
    named, overdue = {}, {}
    if message:
        named = {"messageId": message.message_id, "agentId": message.agent}
    if message and message.outcome is Outcome.PENDING:
        waited = ports.clock.now() - message.terms.deadline
        overdue = {"overdueSeconds": _seconds(waited)}
    late = {"lateSeconds": _seconds(heard_at - due_at)}
    ports.log("ring", {**named, **late, **overdue})


def _reached_at(message: Message) -> datetime | None:
    """Return when a phone first had it, by the carriers' own clocks."""
    times = [at for state, at in message.rcs.items() if state in ARRIVED]
    times += [a.at for a in message.sms if a.state is Sms.DELIVERED]
    return min(times, default=None)


def _seconds(span: timedelta) -> float:
    return round(span.total_seconds(), 3)
