"""cloudbuild.yaml: what it runs is there, and what is applied was checked."""

import json
import os
import re
import runpy
import subprocess
from pathlib import Path

import pytest
import yaml
from terraform import INFRA, ROOT, Checked

BUILD = yaml.safe_load((ROOT / "cloudbuild.yaml").read_text())
STEPS = {step["id"]: step for step in BUILD["steps"]}


def before(step: str) -> set[str]:
    """Every step that has ended well when *step* begins."""
    direct = set(STEPS[step]["waitFor"]) - {"-"}
    return direct.union(*map(before, direct))


def test_nothing_is_applied_unchecked() -> None:
    checks = {"lint", "types", "unit", "stories", "infra", "plan"}

    assert before("apply") >= checks
    assert not checks & set().union(*(before(check) for check in checks))
    assert "apply" in before("smoke")


def test_the_kept_plan_is_what_is_applied() -> None:
    assert "-out=plan" in STEPS["plan"]["args"][-1]
    assert "apply -input=false plan" in STEPS["apply"]["args"][-1]


def test_images_are_pinned_and_the_python_is_ours() -> None:
    python = (ROOT / ".python-version").read_text().strip()
    for step in BUILD["steps"]:
        name, _, tag = step["name"].rpartition(":")
        assert re.match(r"\d+\.\d+\.\d+", tag), step["id"]
        assert name != "python" or tag.startswith(f"{python}."), step["id"]


def test_a_build_that_names_an_account_says_where_its_log_goes() -> None:
    assert "backstop-deployer@" in BUILD["serviceAccount"]
    assert BUILD["options"]["logging"] == "CLOUD_LOGGING_ONLY"


def test_the_trigger_gives_what_the_build_takes(checked: Checked) -> None:
    trigger = next(
        values
        for _, kind, values in checked.runs["everything"].planned()
        if kind == "google_cloudbuild_trigger"
    )
    text = (ROOT / "cloudbuild.yaml").read_text()

    assert BUILD["substitutions"].keys() == trigger["substitutions"].keys()
    assert set(re.findall(r"\$\{(_\w+)\}", text)) == BUILD["substitutions"].keys()
    assert (ROOT / trigger["filename"]).exists()


def test_steps_run_the_recipes_that_developers_run() -> None:
    makefile = (ROOT / "Makefile").read_text()
    makefile = makefile.replace("$(VENV)", ".venv")
    for step in BUILD["steps"]:
        if step["entrypoint"] == "make":
            targets = [word for word in step["args"] if "=" not in word]
            for target in targets:
                assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE)


@pytest.mark.parametrize(("token", "works"), [("old-token", True), ("other", False)])
def test_the_smoke_check_shakes_hands(
    started: dict[str, str], tmp_path: Path, token: str, *, works: bool
) -> None:
    """Run as it stands, against the webhook of the archive; only gcloud is a fake."""
    script = STEPS["smoke"]["args"][-1]
    for name, value in {"${_TESTER}": "", "$BUILD_ID": "build"}.items():
        script = script.replace(name, value)
    gcloud = tmp_path / "gcloud"
    gcloud.write_text(f"#!/bin/sh\necho {token},new-token\n")
    gcloud.chmod(0o755)
    (tmp_path / "webhook_url").write_text(started["webhook"])
    (tmp_path / "smoke.json").write_text(json.dumps({"client_tokens": "any"}))

    smoked = subprocess.run(
        ["bash", *STEPS["smoke"]["args"][:-1], script.replace("$$", "$")],
        cwd=tmp_path,
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert works == (smoked.returncode == 0), smoked.stderr
    assert works == ("the webhook shakes hands" in smoked.stdout)


def test_every_variable_is_explained_and_shown() -> None:
    declared = (INFRA / "variables.tf").read_text()
    variables = re.findall(
        r'^variable "(\w+)" \{\n  description = "', declared, re.MULTILINE
    )
    example = (INFRA / "example.tfvars").read_text()

    assert len(variables) == declared.count("\nvariable ") + 1
    for variable in variables:
        assert re.search(rf"^(# )?{variable} += ", example, re.MULTILINE), variable


def test_the_cost_on_the_page_is_the_computed_one() -> None:
    computed = runpy.run_path(str(INFRA / "cost.py"))["table"]()

    assert computed in (INFRA / "README.md").read_text()
