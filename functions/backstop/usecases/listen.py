"""What users say back: replies, taps, opt-outs, and questions for help.

Every effect has a key derived from the event, and the event is acknowledged last:
however often a carrier repeats it, it is recorded, answered and published once.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

from backstop.domain.agent import Agent
from backstop.domain.consent import Choice
from backstop.domain.event import (
    CONSENT_REVIEW,
    RCS_SUGGESTION,
    Event,
    Type,
    event_id,
)
from backstop.domain.inbound import Inbound
from backstop.domain.keywords import Word, read
from backstop.domain.menu import Option, choose
from backstop.domain.message import (
    ARRIVED,
    Json,
    Message,
    Policy,
    Request,
    Terms,
    Traffic,
)
from backstop.domain.signal import Signal
from backstop.ports import Ports
from backstop.usecases.accept import Differs, Order, accept
from backstop.usecases.consent import consent
from backstop.usecases.handle import handle

RECENT = 20
"""Messages among which the one that a reply answers is looked for."""

Tap = Callable[[Inbound, Option, str], Json]
"""Writes a choice from an agent's menu as the tap that it stands for."""


class House(Struct, frozen=True, kw_only=True):
    """The rules by which a deployment listens.

    `terms` settles the terms of an answer. A menu counts for `menu_life` after its
    SMS was sent. `resubscribes`: any text after an opt-out is an opt-in.
    `one_consent`: a choice made towards one agent binds all.
    """

    agents: Mapping[str, Agent]
    terms: Callable[..., Terms]
    tap: Tap
    menu_life: timedelta
    resubscribes: bool
    one_consent: bool

    def sharing(self, number: str) -> tuple[str, ...]:
        """Return the agents whose SMS come from *number*."""
        return tuple(a.name for a in self.agents.values() if number in a.senders)

    def bound(self, agents: Sequence[str]) -> Sequence[str]:
        """Return the agents whom a choice made towards *agents* binds."""
        return tuple(self.agents) if self.one_consent else agents


def listen(ports: Ports, house: House, reply: Inbound, *, cause: str = "") -> None:
    """Do what a user's word asks for, and record it with the message it answers.

    With a *cause* it is our own reading of another event: nothing follows from it.
    """
    recent = ports.messages.of_phone(reply.phone, limit=RECENT).messages
    if reply.channel == "RCS":
        agents: Sequence[str] = (reply.agent,)
    else:
        agents = house.sharing(reply.number) or _texters(recent, reply.number)
    answered = _answered(recent, reply, agents)
    if not cause:
        _Said(ports, house, reply, agents, answered).act()
    if answered:
        signal = Signal(kind=reply.kind, at=reply.at, event=reply.event)
        handle(ports, answered.id, lambda _m, _now: [signal])


def overhear(ports: Ports, house: House, event: Event, message: Message) -> None:
    """Record an opt-out that only the carrier heard, and tells in a receipt."""
    choice = Choice(
        phone=message.phone,
        agent=message.agent,
        opted_in=False,
        at=event.time,
        evidence=event.id,
        channel="SMS",
        number=message.request.sender,
    )
    # The number may have changed hands since.
    agents = {message.agent, *house.sharing(choice.number)}
    consent(ports, choice, house.bound(sorted(agents)))


def be_told(
    ports: Ports, house: House, *, phone: str, agent: str, opted_in: bool, at: datetime
) -> None:
    """Record a choice that was made elsewhere, on the app's word."""
    choice = Choice(
        phone=phone,
        agent=agent,
        opted_in=opted_in,
        at=at,
        evidence=event_id("app", agent, phone, str(opted_in), at.isoformat()),
        channel="APP",
    )
    consent(ports, choice, house.bound([agent]))


class _Said(Struct, frozen=True):
    """One word of a user's, to whom it was said and about which message."""

    ports: Ports
    house: House
    reply: Inbound
    agents: Sequence[str]
    answered: Message | None

    @property
    def agent(self) -> Agent | None:
        """Who answers: whoever spoke last, else the first to use the number."""
        name = self.answered.agent if self.answered else next(iter(self.agents), "")
        return self.house.agents.get(name)

    def act(self) -> None:
        word = self._word()
        option = self._option()
        if word in {Word.OPT_OUT, Word.OPT_IN}:
            self._choose(opted_in=word is Word.OPT_IN)
        elif word is Word.HELP and self.agent:
            self._answer(self.agent.help_reply, f"help-{self.reply.event}")
        elif option and self.answered:
            tap = self.house.tap(self.reply, option, self.answered.agent)
            self._publish(RCS_SUGGESTION, "tap", tap)
        elif word is Word.REVIEW:
            reply = self.reply
            told = {"phone": reply.phone, "channel": reply.channel, "text": reply.text}
            self._publish(CONSENT_REVIEW, "review", told)
        elif self.reply.text and self.house.resubscribes and self._comes_back():
            self._choose(opted_in=True)

    def _word(self) -> Word | None:
        if self.reply.wish is not None:
            return Word.OPT_IN if self.reply.wish else Word.OPT_OUT
        return read(self.reply.text) if self.reply.text else None

    def _option(self) -> Option | None:
        """Return the option of the last SMS that was texted, if it still counts."""
        if self.answered is None or self.reply.channel != "SMS":
            return None
        listed_at = max(_texts(self.answered, self.reply))
        if self.reply.at > listed_at + self.house.menu_life:
            return None
        return choose(self.answered.request.options, self.reply.text)

    def _choose(self, *, opted_in: bool) -> None:
        reply = self.reply
        choice = Choice(
            phone=reply.phone,
            agent=reply.agent,
            opted_in=opted_in,
            at=reply.at,
            evidence=reply.event,
            channel=reply.channel,
            number=reply.number,
            wording=reply.text,
        )
        recorded = consent(self.ports, choice, self.house.bound(self.agents))
        if self.agent is None or opted_in:
            return
        known = recorded.get(self.agent.name)
        if known and known.refuses:
            # Named for the opt-out that was heard first: its twin finds it answered.
            self._answer(self.agent.opt_out_reply, f"opt-out-{known.opt_out}")

    def _comes_back(self) -> bool:
        """Whether the user opted out, and wrote later than that."""
        known = (
            self.ports.recipients.load(self.reply.phone, agent).value
            for agent in self.agents
        )
        return any(
            consent.refuses and consent.newest and consent.newest.at < self.reply.at
            for consent in known
        )

    def _answer(self, text: str, name: str) -> None:
        """Send *text*, if there is one, as a message on the channel of the reply."""
        if not text or self.agent is None:
            return
        now = self.ports.clock.now()
        by_sms = self.reply.channel == "SMS"
        terms = self.house.terms(
            traffic=Traffic.ACKNOWLEDGEMENT,
            policy=Policy.CONFIRMED if by_sms else Policy.NONE,
            deadline=None,
            now=now,
        )
        request = Request(
            digest=sha256(name.encode()).hexdigest(),
            content={"text": text},
            traffic=Traffic.ACKNOWLEDGEMENT,
            sender=self.reply.number if by_sms else self.agent.senders[0],
            text=text,
            handset_receipts=self.agent.handset_receipts,
        )
        order = Order(
            at=now,
            agent=self.agent.name,
            message_id=name,
            phone=self.reply.phone,
            request=request,
            terms=terms,
        )
        try:
            accept(self.ports, order, bypass=by_sms)
        except Differs:
            # An app uses the id for a message of its own.
            return

    def _publish(self, kind: Type, name: str, data: Json) -> None:
        reply, answered = self.reply, self.answered
        self.ports.events.publish(
            Event(
                id=event_id(reply.event, name),
                type=kind,
                time=reply.at,
                data=msgspec.json.encode(data),
                agent=answered.agent if answered else next(iter(self.agents), ""),
                message_id=answered.message_id if answered else "",
                channel=reply.channel,
                cause=reply.event,
            )
        )


def _texters(messages: Sequence[Message], number: str) -> tuple[str, ...]:
    """Return the agents who texted from a number that is no longer theirs."""
    return tuple({m.agent: None for m in messages if m.request.sender == number})


def _answered(
    messages: Sequence[Message], reply: Inbound, agents: Sequence[str]
) -> Message | None:
    """Return which of *messages*, newest first, *reply* answers, as far as is known.

    What came after it, such as our own answer to it, is none.
    """
    recent = [m for m in messages if m.agent in agents and m.accepted_at <= reply.at]
    if reply.channel == "SMS":
        return _last_texted(recent, reply)
    if reply.postback is not None:
        offering = [m for m in recent if _offers(m.request.content, reply.postback)]
        recent = offering or recent
    arrived = [
        message
        for message in recent
        if any(at <= reply.at for state, at in message.rcs.items() if state in ARRIVED)
    ]
    return next(iter(arrived or recent), None)


def _last_texted(messages: Sequence[Message], reply: Inbound) -> Message | None:
    texted = [
        (at, message)
        for message in messages
        if message.request.sender == reply.number
        for at in _texts(message, reply)
    ]
    return max(texted, key=lambda pair: pair[0])[1] if texted else None


def _texts(message: Message, reply: Inbound) -> list[datetime]:
    """Return when the SMS left that *reply* may answer."""
    return [a.claimed_at for a in message.sms if a.live and a.claimed_at <= reply.at]


def _offers(content: Any, postback: str) -> bool:
    """Whether some suggestion anywhere in *content* sends that postback."""
    if isinstance(content, list):
        return any(_offers(part, postback) for part in content)
    if not isinstance(content, dict):
        return False
    return content.get("postbackData") == postback or any(
        _offers(part, postback) for part in content.values()
    )
