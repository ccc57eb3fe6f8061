"""What the functions and the simulated carriers agree on: names and secrets."""

import json
from pathlib import Path

from backstop.settings import Settings
from simulator import Carriers

DEFAULTS = {
    "AGENTS": '{"demo_agent": {"senders": ["+15550100001"]}}',
    "RBM_CLIENT_TOKENS": "local-client-token",
    "BANDWIDTH_ACCOUNT": "9900001",
    "BANDWIDTH_APPLICATION": "11111111-2222-4333-8444-555555555555",
    "BANDWIDTH_CLIENT": "local-client",
    "BANDWIDTH_SECRET": "local-client-secret",
    "BANDWIDTH_CALLBACKS": "local-callback:local-callback-password",
}


def carrier_settings(state: Path, url: str) -> dict[str, str]:
    """Return the settings by which the functions meet the carriers simulated at *url*.

    The service account's key is made at the first start and kept in *state*.
    """
    rbm = f"{url}/simulator/rbm"
    bandwidth = f"{url}/simulator/bandwidth"
    return {
        "RBM_URL": rbm,
        "RBM_KEY": json.dumps(
            {
                "type": "service_account",
                "private_key_id": "local",
                "private_key": private_key(state),
                "client_email": "backstop@local.invalid",
                "token_uri": f"{rbm}/token",
            }
        ),
        "BANDWIDTH_URL": f"{bandwidth}/api/v2",
        "BANDWIDTH_TOKEN_URL": f"{bandwidth}/api/v1/oauth2/token",
    }


def carriers(settings: Settings, url: str) -> Carriers:
    """Return what the simulated carriers are told: the same, from their side."""
    user, password = settings.bandwidth_callbacks[0]
    agents = tuple(settings.agents)
    return Carriers(
        agents=agents,
        rbm_webhook_url=f"{url}/webhook",
        rbm_client_token=settings.rbm_client_tokens[0].decode(),
        delete_contract=settings.delete_contract.value,
        account_id=settings.bandwidth_account,
        application_id=settings.bandwidth_application,
        sms_sender=settings.agents[agents[0]].senders[0],
        sms_callback_url=f"{url}/sms_webhook",
        sms_callback_user=user,
        sms_callback_password=password,
        oauth_client_id=settings.bandwidth_client,
        oauth_client_secret=settings.bandwidth_secret,
    )


def private_key(state: Path) -> str:
    """Return the local service account's key, made at the first call."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    path = state / "rbm-key.pem"
    if not path.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        fresh = path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_bytes(pem)
        fresh.rename(path)
    return path.read_text()
