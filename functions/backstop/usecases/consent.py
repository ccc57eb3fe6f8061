"""A recipient's choices: recorded once, and honoured in what is under way."""

from collections.abc import Mapping, Sequence

from backstop.domain.consent import Choice, Consent, choose
from backstop.domain.signal import Kind, Signal
from backstop.errors import Conflict
from backstop.ports import Ports
from backstop.usecases.handle import SAVES, handle


def consent(
    ports: Ports, choice: Choice, agents: Sequence[str]
) -> Mapping[str, Consent]:
    """Record a choice for each agent; an opt-out closes open promotions (rule 14).

    Returns what is recorded for each of them now.
    """
    recorded = {agent: _record(ports, choice, agent) for agent in agents}
    for agent, consent in recorded.items():
        if consent.refuses:
            for message in ports.messages.open_of_phone(choice.phone, agent):
                handle(ports, message, lambda _m, _now: [Signal(kind=Kind.OPT_OUT)])
    return recorded


def _record(ports: Ports, choice: Choice, agent: str) -> Consent:
    for _ in range(SAVES):
        stored = ports.recipients.load(choice.phone, agent)
        chosen = choose(stored.value, choice)
        if chosen == stored.value:
            return chosen
        try:
            ports.recipients.save(choice.phone, agent, chosen, version=stored.version)
        except Conflict:
            continue
        ports.log(
            "consent",
            {
                "agentId": agent,
                "wish": chosen.wish.value,
                "channel": choice.channel,
                "phone": choice.phone[-2:],
            },
        )
        return chosen
    raise Conflict("one recipient changed faster than it could be saved")
