"""Google's own emulators, started by the tests that need them."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest
import urllib3

PATIENCE = 60.0
JAVA = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Duser.language=en")


class Emulator(str):
    """Host and port of an emulator that can be stopped for a while.

    It keeps its data in memory, so that stopping is all a test may do to it.
    """

    __slots__ = ("_group",)

    def __new__(cls, address: str, group: int) -> Self:
        emulator = super().__new__(cls, address)
        emulator._group = group
        return emulator

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let it answer nobody meanwhile."""
        os.killpg(self._group, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._group, signal.SIGCONT)


def missing(what: str) -> None:
    """Say loudly what is not run, and how to get it; with CI=true fail."""
    sentence = (
        f"{what} is not here: install Java and the Google Cloud CLI, then"
        " `gcloud components install cloud-firestore-emulator pubsub-emulator`"
    )
    if os.environ.get("CI") == "true":
        pytest.fail(sentence)
    pytest.skip(sentence)


def _jar(pattern: str) -> Path | None:
    """Return the emulator's jar, found beside `gcloud`."""
    command = shutil.which("gcloud")
    roots = [Path(command).resolve().parents[1]] if command else []
    roots += [
        Path(root) for root in os.environ.get("CLOUDSDK_ROOT", "").split() if root
    ]
    for root in roots:
        for found in sorted(root.glob(f"platform/{pattern}")):
            return found
    return None


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def _running(command: list[str], port: int) -> Iterator[Emulator]:
    process = subprocess.Popen(  # noqa: S603 - Google's own program
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"127.0.0.1:{port}"
    end = time.monotonic() + PATIENCE
    try:
        while True:
            try:
                urllib3.request("GET", f"http://{address}/", retries=False, timeout=2)
                break
            except urllib3.exceptions.HTTPError:
                assert process.poll() is None, "the emulator ended"
                assert time.monotonic() < end, "the emulator does not answer"
                time.sleep(0.05)
        yield Emulator(address, process.pid)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def firestore() -> Iterator[Emulator]:
    """Run the Firestore emulator. Yields host and port."""
    jar = _jar("cloud-firestore-emulator/cloud-firestore-emulator.jar")
    if jar is None or not shutil.which("java"):
        missing("The Firestore emulator")
    port, websocket = _free_port(), _free_port()
    main = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
    command = ["java", *JAVA, "-Xmx512m", "-cp", str(jar), main]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with _running([*command, "--websocket_port", str(websocket)], port) as address:
        yield address


@contextmanager
def pubsub() -> Iterator[Emulator]:
    """Run the Pub/Sub emulator. Yields host and port."""
    jar = _jar("pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar")
    if jar is None or not shutil.which("java"):
        missing("The Pub/Sub emulator")
    port = _free_port()
    command = ["java", *JAVA, "-Xmx256m", "-jar", str(jar)]
    command += ["--host=127.0.0.1", f"--port={port}"]
    with _running(command, port) as address:
        yield address
