"""Settings say all that is wrong, at once, and hide what is secret."""

from datetime import timedelta
from typing import Any

import pytest

from backstop.domain.message import Contract, Policy, Traffic
from backstop.settings import Incomplete, Settings
from domain.tale import START
from machine.credentials import DEFAULTS

KEY = '{"client_email": "a@b.invalid", "private_key": "secret-key", "token_uri": "x"}'
ENVIRON = DEFAULTS | {"RBM_KEY": KEY}


def read(**changes: str) -> Settings:
    return Settings.read(ENVIRON | changes)


def test_everything_that_is_missing_is_named_at_once():
    """One start tells all there is to mend."""
    with pytest.raises(Incomplete) as wrong:
        Settings.read({})

    for name in (
        "AGENTS",
        "RBM_KEY",
        "RBM_CLIENT_TOKENS",
        "BANDWIDTH_ACCOUNT",
        "BANDWIDTH_SECRET",
        "BANDWIDTH_CALLBACKS",
    ):
        assert name in str(wrong.value)


WRONG = {
    "agents that are no JSON": {"AGENTS": "demo"},
    "an agent without senders": {"AGENTS": '{"a": {"senders": []}}'},
    "no agent": {"AGENTS": "{}"},
    "an unknown contract": {"RBM_DELETE_CONTRACT": "new"},
    "an unknown region": {"RBM_REGION": "mars"},
    "a callback without a password": {"BANDWIDTH_CALLBACKS": "user"},
    "a callback with an empty password": {"BANDWIDTH_CALLBACKS": "user:"},
    "a duration without a unit": {"GRACE": "60"},
    **{
        f"{name} of {given!r}": {name: given}
        for name in ("RBM_CLIENT_TOKENS", "BANDWIDTH_CALLBACKS")
        for given in ("", " ", ",", " , ,")
    },
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(changes: dict[str, str]):
    """A setting that cannot be meant stops the start."""
    with pytest.raises(Incomplete, match=next(iter(changes))):
        read(**changes)


def test_no_secret_is_shown():
    """Neither a traceback nor a log of the settings gives one away."""
    shown = repr(read(API_TOKEN="my-api-token"))

    for secret in (
        "secret-key",
        "local-client-token",
        "local-client-secret",
        "local-callback-password",
        "my-api-token",
    ):
        assert secret not in shown


@pytest.mark.parametrize(
    ("region", "host"), [("", ""), ("us", "us-"), ("europe", "europe-")]
)
def test_the_region_is_a_prefix_of_the_host(region: str, host: str):
    """Regional agents are reached at regional hosts."""
    wanted = f"https://{host}rcsbusinessmessaging.googleapis.com"

    assert read(RBM_REGION=region).rbm_url == wanted
    assert read(RBM_REGION=region, RBM_URL="http://x").rbm_url == "http://x"


def test_secrets_may_be_two_while_one_is_rotated():
    """Both are live, each whole, also with a space between them."""
    settings = read(RBM_CLIENT_TOKENS="old, new", BANDWIDTH_CALLBACKS="a:1, b:2:3")

    assert settings.rbm_client_tokens == (b"old", b"new")
    assert settings.bandwidth_callbacks == (("a", "1"), ("b", "2:3"))


DEADLINES = {
    Traffic.AUTHENTICATION: timedelta(seconds=60),
    Traffic.PROMOTION: timedelta(hours=24),
    Traffic.TRANSACTION: timedelta(minutes=10),
    Traffic.UNSPECIFIED: timedelta(minutes=10),
}


@pytest.mark.parametrize(("traffic", "deadline"), DEADLINES.items())
def test_the_traffic_type_chooses_the_deadline(traffic: Traffic, deadline: timedelta):
    """When the app sets none."""
    terms = _terms(read(), traffic=traffic)

    assert terms.deadline == START + deadline


def test_a_prompt_message_waits_less_for_a_lost_answer():
    """A code is of no use after a quarter of an hour."""
    prompt = _terms(read(), policy=Policy.PROMPT)
    confirmed = _terms(read(), policy=Policy.CONFIRMED)

    assert prompt.lost_answer == timedelta(seconds=30)
    assert confirmed.lost_answer == timedelta(minutes=15)


def test_terms_are_settled_by_the_settings():
    """Contract and waits come from the deployment."""
    terms = _terms(read(RBM_DELETE_CONTRACT="legacy", GRACE="90s", MARGIN="1.5s"))

    assert terms.contract is Contract.LEGACY
    assert terms.grace == timedelta(seconds=90)
    assert terms.margin == timedelta(seconds=1.5)


def _terms(settings: Settings, **choices: Any) -> Any:
    given = {"traffic": Traffic.TRANSACTION, "policy": None, "deadline": None}
    return settings.terms(**(given | choices), now=START)
