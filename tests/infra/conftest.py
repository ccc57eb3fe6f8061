import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from environment import environment
from terraform import ROOT, Checked, Terraform

from backstop.settings import NEEDS

PATIENCE = 60.0

NOWHERE = "127.0.0.1:9"
"""Where no service is: a function starts and answers before it needs one."""


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    return Terraform(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="session")
def checked(terraform: Terraform) -> Checked:
    """Everything in infra/tests, run once for all that look at it."""
    done = terraform("test", "-json", "-verbose")
    try:
        checked = Checked.read(done.stdout)
    except ValueError:
        pytest.fail(done.stdout + done.stderr)
    if not {run.status for run in checked.runs.values()} <= {"pass", "fail"}:
        pytest.fail(checked.said)
    return checked


@pytest.fixture(scope="session")
def unpacked(checked: Checked, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive's files in an empty folder, as Terraform would zip them."""
    folder = tmp_path_factory.mktemp("archive")
    archive = checked.runs["first"].value("data.archive_file.source")
    for entry in archive["source"]:
        target = folder / entry["filename"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(entry["content"])
    return folder


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with nothing but requirements.txt in it."""
    made = ROOT / ".venv-deployed"
    if not (made / "made").exists():
        made = tmp_path_factory.mktemp("deployed")
        run(sys.executable, "-m", "venv", made)
        pip = [made / "bin" / "python", "-I", "-m", "pip", "--quiet"]
        run(*pip, "install", "-r", ROOT / "requirements.txt")
    return made / "bin"


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True)


@pytest.fixture(scope="session")
def started(
    checked: Checked, unpacked: Path, installed: Path
) -> Iterator[dict[str, str]]:
    """All six, each in a server of its own with its own variables, by address."""
    ports = {function: free_port() for function in NEEDS}
    servers = [
        subprocess.Popen(
            [installed / "functions-framework"],
            cwd=unpacked,
            env={
                "PATH": os.environ["PATH"],
                "FUNCTION_TARGET": function,
                "FUNCTION_SOURCE": f"functions/{function}.py",
                "PORT": str(port),
                "FIRESTORE_EMULATOR_HOST": NOWHERE,
                "PUBSUB_EMULATOR_HOST": NOWHERE,
                "CLOUD_TASKS_EMULATOR_HOST": NOWHERE,
                **environment(checked, function),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for function, port in ports.items()
    ]
    try:
        for server, port in zip(servers, ports.values(), strict=True):
            until_listening(server, port)
        yield {f: f"http://127.0.0.1:{port}" for f, port in ports.items()}
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            server.communicate(timeout=PATIENCE)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def until_listening(server: subprocess.Popen[str], port: int) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    server.kill()
    pytest.fail(server.communicate()[0])
