"""What Terraform and the code must agree on."""

import json
import re
import sys
from datetime import timedelta
from importlib import import_module

import pytest
from environment import SECRETS, configured, environment
from terraform import INFRA, ROOT, Checked

from backstop import wiring
from backstop.adapters.google import firestore, reaches, tasks
from backstop.domain.event import Kind
from backstop.settings import NEEDS, Settings, read_place
from backstop.usecases.actions import SEND_TIMEOUT

FUNCTIONS = tuple(NEEDS)

KINDS = {"fallback": {Kind.EXPIRY, Kind.DUE}, "record": {Kind.RECEIPT, Kind.INBOUND}}


def test_the_functions_are_the_codes(checked: Checked) -> None:
    planned = {
        values["build_config"][0]["entry_point"]
        for _, kind, values in checked.runs["the_example"].planned()
        if kind == "google_cloudfunctions2_function"
    }

    assert set(FUNCTIONS) == planned


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_gets_all_that_it_needs_and_no_other_secret(
    checked: Checked, function: str
) -> None:
    given = environment(checked, function)

    assert Settings.read(given, function=function)
    assert read_place(given, function=function)
    assert NEEDS[function] & SECRETS == SECRETS & given.keys()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_setting_that_is_given_is_one_that_exists(
    checked: Checked, function: str
) -> None:
    documented = re.findall(
        r"^(?:# )?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE
    )

    assert environment(checked, function).keys() <= set(documented)


def test_a_timing_is_one_of_the_codes(checked: Checked) -> None:
    declared = (INFRA / "variables.tf").read_text()
    timing = re.search(r'variable "timing".*?\n\}', declared, re.DOTALL)[0]
    names = re.findall(r"(\w+) += optional\(string\)", timing)
    documented = (ROOT / ".env.example").read_text()

    assert names
    assert all(f"{name.upper()}=" in documented for name in names)


def test_the_runtime_is_the_python_of_these_tests(checked: Checked) -> None:
    major, minor = sys.version_info[:2]
    named = (ROOT / ".python-version").read_text().strip()

    assert f"{major}.{minor}" == named
    for function in FUNCTIONS:
        runtime = configured(checked, function)["build_config"][0]["runtime"]
        assert f"python{major}{minor}" == runtime


def test_an_instance_takes_as_many_requests_as_it_has_calls(checked: Checked) -> None:
    for function in FUNCTIONS:
        service = configured(checked, function)["service_config"][0]
        assert service["max_instance_request_concurrency"] == wiring.POOL


def test_requests_end_when_the_code_expects_it(checked: Checked) -> None:
    def timeout(function: str) -> timedelta:
        service = configured(checked, function)["service_config"][0]
        return timedelta(seconds=service["timeout_seconds"])

    assert timeout("send") == SEND_TIMEOUT
    assert timeout("revoke") == tasks.ANSWER_WAIT


@pytest.mark.parametrize("subscriber", KINDS)
def test_a_subscription_passes_what_its_function_takes(
    checked: Checked, subscriber: str
) -> None:
    subscription = checked.runs["first"].value(
        f'google_pubsub_subscription.push["{subscriber}"]'
    )
    alternatives = subscription["filter"].split(" OR ")
    kinds = [re.fullmatch(r'attributes\.kind = "(\w+)"', a)[1] for a in alternatives]

    assert KINDS[subscriber] == set(kinds)
    assert len(kinds) == len(set(kinds))


def test_every_field_of_a_document_is_queried_or_has_no_index() -> None:
    """A field that is neither would cost an index entry with every write."""
    declared = json.loads((INFRA / "firestore.json").read_text())
    adapters = ROOT / "functions" / "backstop" / "adapters" / "google"
    source = "".join(
        (adapters / module).read_text() for module in ("firestore.py", "reaches.py")
    )
    stored = set(re.findall(r'"(\w+)": ', source)) - {"__name__"}
    indexed = {field for index in declared["indexes"] for field, _ in index["fields"]}
    known = indexed.union(*declared["unindexed"].values()) - {"__name__"}

    assert stored == known
    collections = {firestore.MESSAGES, firestore.RECIPIENTS, reaches.REACH}
    assert collections == declared["unindexed"].keys()
    assert declared["ttl"] == {
        firestore.MESSAGES: "expireAt",
        reaches.REACH: "expireAt",
    }


def test_the_metrics_count_what_the_code_logs() -> None:
    """Terraform's names of lines and fields are those of the code's catalogue."""
    catalogue = import_module("backstop.logs").CATALOGUE
    metrics = json.loads((INFRA / "metrics.json").read_text())
    for name, metric in metrics.items():
        fields = {*metric["labels"], *metric.get("where", ()), metric.get("value")}
        fields.discard(None)
        # A line without fields would reach Cloud Logging as plain text.
        assert catalogue[metric["log"]], f"{name}: {metric['log']} has no field"
        assert fields <= catalogue[metric["log"]], name
