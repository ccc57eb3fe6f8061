"""What the platform would start a function with."""

import json

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from terraform import Checked

SECRETS = {"RBM_KEY", "RBM_CLIENT_TOKENS", "BANDWIDTH_SECRET", "BANDWIDTH_CALLBACKS"}


def configured(checked: Checked, function: str) -> dict:
    return checked.runs["first"].value(
        f'module.function["{function}"].google_cloudfunctions2_function.this'
    )


def environment(checked: Checked, function: str) -> dict[str, str]:
    """A function's variables as Terraform sets them, with secrets made up."""
    service = configured(checked, function)["service_config"][0]
    secrets = sample_secrets()
    held = [entry["key"] for entry in service["secret_environment_variables"]]
    return service["environment_variables"] | {name: secrets[name] for name in held}


def sample_secrets() -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "RBM_KEY": json.dumps(
            {
                "type": "service_account",
                "client_email": "rbm@example.com",
                "private_key": pem.decode(),
                "token_uri": "http://127.0.0.1:9/token",
            }
        ),
        "RBM_CLIENT_TOKENS": "new-token,old-token",
        "BANDWIDTH_SECRET": "secret",
        "BANDWIDTH_CALLBACKS": "new:password,old:password",
    }
