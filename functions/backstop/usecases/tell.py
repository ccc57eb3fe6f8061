"""READ and IS_TYPING, told to the user."""

from backstop.domain.message import Json, message_key
from backstop.errors import AlreadyExists, Unavailable
from backstop.ports import Ports
from backstop.usecases.actions import RBM_BUDGET


def tell(ports: Ports, *, agent: str, phone: str, event_id: str, body: Json) -> Json:
    """Return the AgentEvent that RBM took.

    RBM would take an event under a message's id for that message again, and show
    nothing (rule 15): AlreadyExists. Raises ProviderError. Nobody opts out of
    these two, which answer what the user has just done.
    """
    if ports.rcs is None:
        raise Unavailable("no RBM")
    if ports.messages.load(message_key(agent, event_id)):
        raise AlreadyExists(event_id)
    answer = ports.rcs.event(
        agent=agent, phone=phone, event_id=event_id, body=body, budget=RBM_BUDGET
    )
    told: Json = {"name": f"phones/{phone}/agentEvents/{event_id}", **body}
    if isinstance(answer.get("sendTime"), str):
        told["sendTime"] = answer["sendTime"]
    return told
