"""What the simulated carriers know of their one customer."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Carriers:
    """The local configuration. Empty URLs may be named later, at the simulator."""

    agents: tuple[str, ...] = ("demo_agent",)
    rbm_webhook_url: str = ""
    rbm_client_token: str = field(default="local-client-token", repr=False)
    delete_contract: str = "confirming"
    account_id: str = "9900001"
    application_id: str = "11111111-2222-4333-8444-555555555555"
    sms_sender: str = "+15550100001"
    sms_callback_url: str = ""
    sms_callback_user: str = "local-callback"
    sms_callback_password: str = field(default="local-callback-password", repr=False)
    oauth_client_id: str = "local-client"
    oauth_client_secret: str = field(default="local-client-secret", repr=False)

    def __post_init__(self) -> None:
        if self.delete_contract not in ("confirming", "legacy"):
            raise ValueError("delete_contract is confirming or legacy")
        if not self.agents:
            raise ValueError("agents names at least one agent")
        bare = tuple(agent.removesuffix("@rbm.goog") for agent in self.agents)
        object.__setattr__(self, "agents", bare)
