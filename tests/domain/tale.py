"""A message and its clock, told signal by signal."""

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from backstop.domain.agenda import due
from backstop.domain.lifecycle import advance, advance_all
from backstop.domain.message import (
    Action,
    Contract,
    Do,
    Message,
    Outcome,
    Policy,
    Rcs,
    Request,
    Sms,
    Terms,
    Traffic,
    message_key,
)
from backstop.domain.signal import Kind, Signal

START = datetime(2026, 1, 1, tzinfo=UTC)


def terms(
    policy: Policy = Policy.CONFIRMED, contract: Contract = Contract.CONFIRMING
) -> Terms:
    prompt = policy is Policy.PROMPT
    return Terms(
        policy=policy,
        contract=contract,
        deadline=START + timedelta(minutes=10),
        margin=timedelta(seconds=5),
        grace=timedelta(seconds=60),
        lost_answer=timedelta(seconds=30 if prompt else 900),
        receipt_wait=timedelta(hours=2, minutes=15),
        sms_validity=timedelta(minutes=10),
    )


def message(
    policy: Policy = Policy.CONFIRMED,
    contract: Contract = Contract.CONFIRMING,
    traffic: Traffic = Traffic.TRANSACTION,
) -> Message:
    return Message(
        id=message_key("agent", "one"),
        agent="agent",
        message_id="one",
        phone="+15551230001",
        request=Request(
            digest="d",
            content={"text": "Hello"},
            traffic=traffic,
            sender="+15550100001",
            text="Hello",
        ),
        terms=terms(policy, contract),
        accepted_at=START,
        rcs={Rcs.PENDING: START},
    )


class Tale:
    """Feeds signals and does the timers' part, so that a story reads as one."""

    def __init__(
        self,
        policy: Policy = Policy.CONFIRMED,
        contract: Contract = Contract.CONFIRMING,
        traffic: Traffic = Traffic.TRANSACTION,
        *,
        begin: Kind = Kind.BEGIN,
    ) -> None:
        self.now = START
        self.message = message(policy, contract, traffic)
        self.hear(begin)
        self.arm()

    def hear(self, kind: Kind, **fields: Any) -> tuple[Action, ...]:
        """Let a signal happen; a number or attempt is that of the last action."""
        step = advance(self.message, Signal(kind=kind, **fields), self.now)
        self.message = step.message
        return step.actions

    def accepted(self) -> "Tale":
        self.hear(Kind.RCS_ACCEPTED, number=self.action(Do.CREATE).number, attempt=1)
        return self

    def refused(self, **fields: Any) -> tuple[Action, ...]:
        create = self.action(Do.CREATE)
        return self.hear(
            Kind.RCS_REFUSED, number=create.number, attempt=create.attempt, **fields
        )

    def deleted(self, kind: Kind = Kind.RCS_REVOKED) -> tuple[Action, ...]:
        return self.hear(kind, number=self.action(Do.REVOKE).number)

    def claim(self) -> tuple[Action, ...]:
        return self.hear(Kind.SMS_CLAIM)

    def ring(self, at: datetime | None = None) -> tuple[Action, ...]:
        """Move to the next due instant, or to *at*, and ring."""
        self.now = at or self.next_at()
        step = advance_all(self.message, due(self.message, self.now), self.now)
        self.message = step.message
        self.arm()
        return step.actions

    def arm(self) -> None:
        """The timers that were asked for are armed."""
        for timer in self.message.unfinished(Do.ARM):
            self.hear(Kind.DONE, number=timer.number)

    def next_at(self) -> datetime:
        times = [a.at for a in self.message.unfinished(Do.ARM) if a.at]
        if self.message.wake_at:
            times.append(self.message.wake_at)
        return min(times)

    def action(self, do: Do) -> Action:
        (action,) = self.message.unfinished(do)
        return action

    def later(self, **by: float) -> "Tale":
        self.now += timedelta(**by)
        return self

    def wants(self, do: Do) -> bool:
        return bool(self.message.unfinished(do))

    @property
    def rcs(self) -> Rcs:
        return self.message.rcs_state

    @property
    def sms(self) -> Sms | None:
        return self.message.sms_state

    @property
    def outcome(self) -> Outcome:
        return self.message.outcome


def changed(tale: Tale, **fields: Any) -> Tale:
    tale.message = replace(tale.message, **fields)
    return tale
