import re
import shutil

import pytest

from entrypoints.caller import CLIENT_TOKEN, CREDENTIALS, WORDS, Caller
from machine import Machine
from machine.credentials import private_key

SECRETS = (
    WORDS,
    CLIENT_TOKEN,
    *CREDENTIALS,
    "second-live-token",
    "second-password",
    "the-api-token",
    "Bearer",
    "Basic ",
    "PRIVATE KEY",
)
PHONE = re.compile(r"1555[0-9]{7}")


@pytest.fixture(scope="session")
def rbm_key(tmp_path_factory):
    """One service account's key for all: making it takes long."""
    state = tmp_path_factory.mktemp("key")
    private_key(state)
    return state / "rbm-key.pem"


@pytest.fixture(scope="module")
def environ():
    """What a module sets differently from the defaults."""
    return {}


@pytest.fixture(scope="module")
def local(tmp_path_factory, rbm_key, environ):
    """A whole Backstop at a standstill, for all tests of a module.

    Whatever they did to it, no line that it logged says anything about people.
    """
    state = tmp_path_factory.mktemp("state")
    shutil.copy(rbm_key, state)
    local = Machine(state, environ)
    local.clock.set_rate(0)
    local.start()
    yield local
    local.stop()
    log = (state / "log.jsonl").read_text()
    assert [line for line in log.splitlines() if tells(line)] == []


@pytest.fixture(scope="module")
def call(local):
    return Caller(local)


def tells(line):
    """Tell whether a log line holds a secret, or a whole phone number."""
    return bool(PHONE.search(line)) or any(secret in line for secret in SECRETS)
