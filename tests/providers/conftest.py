from datetime import UTC, datetime
from pathlib import Path

import pytest
from canned import Canned

FIXTURES = Path(__file__).parent.parent / "fixtures"


@pytest.fixture
def carrier():
    canned = Canned()
    yield canned
    canned.close()


@pytest.fixture
def received_at():
    return datetime(2026, 11, 20, 18, 0, tzinfo=UTC)


@pytest.fixture
def recorded():
    """Read a recorded body by provider and name."""

    def read(name):
        return (FIXTURES / f"{name}.json").read_bytes().rstrip(b"\n")

    return read


@pytest.fixture(scope="session")
def private_key():
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@pytest.fixture
def service_account(private_key, carrier):
    """A service account's key, whose tokens come from the canned carrier."""
    return {
        "type": "service_account",
        "client_email": "rbm@backstop.example",
        "private_key_id": "key-1",
        "private_key": private_key,
        "token_uri": f"{carrier.url}/token",
    }
