"""Terraform's own checks of infra/, and what its plans say about change."""

import os
import shlex
import subprocess

import pytest
from terraform import INFRA, Checked, Terraform


def test_the_layout_is_terraforms_own(terraform: Terraform) -> None:
    unformatted = terraform("fmt", "-check", "-recursive", "-list=true")

    assert (unformatted.returncode, unformatted.stdout) == (0, "")


def test_every_run_holds(checked: Checked) -> None:
    assert not checked.said, checked.said
    assert {"pass"} == {run.status for run in checked.runs.values()}


def test_what_is_tested_is_the_example() -> None:
    """Terraform reads a test's variables from beside it."""
    beside = INFRA / "tests" / "example.auto.tfvars"

    assert beside.resolve() == INFRA / "example.tfvars"


def test_every_attribute_exists() -> None:
    checker = shlex.split(os.environ.get("CHECK_TERRAFORM", ""))
    if not checker:
        pytest.skip("CHECK_TERRAFORM names no checker: `terraform validate` does it")
    checked = subprocess.run(
        [*checker, INFRA], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stdout


def test_a_plan_after_an_apply_is_empty(checked: Checked) -> None:
    assert checked.runs["again"].changes() == {}


def test_a_setting_touches_its_function_alone(checked: Checked) -> None:
    fallback = 'module.function["fallback"].google_cloudfunctions2_function.this'

    assert {fallback: ["update"]} == checked.runs["another_setting"].changes()


def test_a_secrets_version_touches_its_holder_alone(checked: Checked) -> None:
    webhook = 'module.function["webhook"].google_cloudfunctions2_function.this'

    assert {webhook: ["update"]} == checked.runs["another_secret"].changes()


def test_a_subscriber_touches_nobody_else(checked: Checked) -> None:
    changes = checked.runs["another_subscriber"].changes()

    assert {("create",)} == {tuple(actions) for actions in changes.values()}
    assert all('["crm"]' in address for address in changes)
