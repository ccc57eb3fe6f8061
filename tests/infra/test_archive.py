"""The archive, as the platform would unpack, install and start it."""

import compileall
import os
import subprocess
from pathlib import Path

import pytest
import requests
from terraform import ROOT, Checked

from backstop.settings import NEEDS


def test_the_archive_holds_what_is_deployed_and_nothing_else(unpacked: Path) -> None:
    files = {str(f.relative_to(unpacked)) for f in unpacked.rglob("*") if f.is_file()}
    package = (ROOT / "functions" / "backstop").rglob("*")

    assert files == {
        "requirements.txt",
        *(f"functions/{function}.py" for function in NEEDS),
        *(
            str(file.relative_to(ROOT))
            for file in package
            if file.is_file() and "__pycache__" not in file.parts
        ),
    }


def test_every_file_of_the_archive_compiles(unpacked: Path) -> None:
    """One that does not would fail the build of all six."""
    assert compileall.compile_dir(unpacked, quiet=1)


def test_the_archive_is_named_after_its_content(checked: Checked) -> None:
    planned = {
        address: values for address, _, values in checked.runs["the_example"].planned()
    }
    kept = checked.runs["first"]
    archive = kept.value("data.archive_file.source")
    name = f"backstop-{archive['output_sha256'][:16]}.zip"

    assert name == planned["google_storage_bucket_object.source"]["name"]
    assert name == kept.value("google_storage_bucket_object.source")["name"]


ANSWERS = {
    "send": ("GET", "/v1/nothing", None, 404, '"NOT_FOUND"'),
    "webhook": (
        "POST",
        "/",
        {"clientToken": "old-token", "secret": "shaken"},
        200,
        "shaken",
    ),
    "sms_webhook": ("POST", "/", [], 401, "not verified"),
    "revoke": ("POST", "/", {"nothing": "of use"}, 400, "INVALID_ARGUMENT"),
    "fallback": ("POST", "/", {"nothing": "of use"}, 400, "INVALID_ARGUMENT"),
    "record": ("POST", "/", {"nothing": "of use"}, 400, "INVALID_ARGUMENT"),
}


@pytest.mark.parametrize("function", ANSWERS)
def test_a_function_starts_from_the_archive(
    started: dict[str, str], function: str
) -> None:
    method, path, body, status, text = ANSWERS[function]
    answer = requests.request(method, started[function] + path, json=body, timeout=60)

    assert (status, True) == (answer.status_code, text in answer.text), answer.text


@pytest.mark.parametrize("function", NEEDS)
def test_a_function_without_its_settings_does_not_start(
    unpacked: Path, installed: Path, function: str
) -> None:
    bare = {"PLATFORM": "google", "PATH": os.environ["PATH"]}
    loading = (
        "from functions_framework.aio import create_asgi_app;"
        f"create_asgi_app({function!r}, 'functions/{function}.py')"
    )
    stopped = subprocess.run(
        [installed / "python", "-c", loading],
        cwd=unpacked,
        env=bare,
        capture_output=True,
        text=True,
        check=False,
    )

    assert stopped.returncode
    assert "is missing" in stopped.stderr
