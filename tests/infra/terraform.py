"""Terraform, on a copy of what it reads. TERRAFORM names another command."""

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"

READ = ("infra", "functions", "requirements.txt", ".python-version")
LEFT = shutil.ignore_patterns(".terraform*", "*.tfstate*", "__pycache__")

UNREACHABLE = ("Failed to query available provider packages", "Failed to install")
"""How `terraform init` says that it has neither a network nor the plugins."""


def missing(what: str) -> None:
    """Say loudly what is not run; with CI=true fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


class Terraform:
    """Runs commands in the root module of *folder*, a copy of the checkout."""

    def __init__(self, folder: Path) -> None:
        self._infra = folder / "infra"
        self._command = shlex.split(os.environ.get("TERRAFORM", "terraform"))
        if not shutil.which(self._command[0]):
            missing(f"{self._command[0]} is not installed: infra/ is not checked")
        for name in READ:
            source, target = ROOT / name, folder / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=LEFT, symlinks=True)
            else:
                shutil.copy(source, target)
        # A work tree of its own, for a command that asks git where it is.
        subprocess.run(["git", "init", "--quiet", folder], check=True)
        made = self("init", "-backend=false", "-input=false", "-no-color")
        if made.returncode:
            if any(sign in made.stderr for sign in UNREACHABLE):
                missing("Terraform's plugins cannot be had: infra/ is not checked")
            pytest.fail(made.stderr)

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._command, *arguments],
            cwd=self._infra,
            # Creating asks nothing of Google, and so takes no credentials.
            env=os.environ | {"GOOGLE_OAUTH_ACCESS_TOKEN": "none"},
            capture_output=True,
            text=True,
            check=False,
        )


@dataclass
class Run:
    """What one run of `terraform test` came to."""

    status: str = ""
    plan: dict[str, Any] | None = None
    state: dict[str, Any] | None = None

    def changes(self) -> dict[str, list[str]]:
        """What the plan would do to each resource, if anything."""
        changes = {
            change["address"]: change["change"]["actions"]
            for change in self.plan["resource_changes"]
        }
        return {at: do for at, do in changes.items() if do not in (["no-op"], ["read"])}

    def planned(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Address, type and values of each resource, as far as they are known."""
        for change in self.plan["resource_changes"]:
            if change["mode"] == "managed":
                yield change["address"], change["type"], change["change"]["after"]

    def kept(self, module: dict[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """Every resource of the state."""
        module = module or self.state["root_module"]
        yield from module.get("resources", ())
        for child in module.get("child_modules", ()):
            yield from self.kept(child)

    def value(self, address: str) -> dict[str, Any]:
        return next(r["values"] for r in self.kept() if r["address"] == address)


@dataclass
class Checked:
    """All of `terraform test`."""

    runs: dict[str, Run]
    said: str

    @classmethod
    def read(cls, lines: str) -> "Checked":
        runs: dict[str, Run] = {}
        said = []
        for line in filter(None, lines.splitlines()):
            event = json.loads(line)
            run = runs.setdefault(event.get("@testrun", ""), Run())
            match event["type"]:
                case "test_run" if "status" in event["test_run"]:
                    run.status = event["test_run"]["status"]
                case "test_plan":
                    run.plan = event["test_plan"]
                case "test_state":
                    run.state = event["test_state"]
                case "diagnostic":
                    found = event["diagnostic"]
                    where = found.get("range", {"filename": "", "start": {"line": ""}})
                    said.append(
                        f"{where['filename']}:{where['start']['line']} "
                        f"{found['summary']}: {found.get('detail', '')}"
                    )
        runs.pop("", None)
        return cls(runs, "\n".join(said))
