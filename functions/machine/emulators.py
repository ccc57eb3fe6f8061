"""Google's own emulators, started as processes of ours."""

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

import urllib3

PATIENCE = 60.0
JAVA = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Duser.language=en")


class MissingError(Exception):
    """A part that this machine lacks; the text says how to get it."""


class Emulator(str):
    """Host and port of an emulator that can be stopped for a while.

    It keeps its data in memory, so that stopping is all that may be done to it.
    """

    __slots__ = ("group",)
    group: int

    def __new__(cls, address: str, group: int) -> Self:
        emulator = super().__new__(cls, address)
        emulator.group = group
        return emulator

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let it answer nobody meanwhile."""
        os.killpg(self.group, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.group, signal.SIGCONT)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def firestore() -> Iterator[Emulator]:
    """Run the Firestore emulator. Raises MissingError."""
    jar = _jar("cloud-firestore-emulator/cloud-firestore-emulator.jar")
    if jar is None or not shutil.which("java"):
        raise _missing("Firestore")
    port, websocket = free_port(), free_port()
    main = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
    command = ["java", *JAVA, "-Xmx512m", "-cp", str(jar), main]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with _running([*command, "--websocket_port", str(websocket)], port) as address:
        yield address


@contextmanager
def pubsub() -> Iterator[Emulator]:
    """Run the Pub/Sub emulator. Raises MissingError."""
    jar = _jar("pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar")
    if jar is None or not shutil.which("java"):
        raise _missing("Pub/Sub")
    port = free_port()
    command = ["java", *JAVA, "-Xmx256m", "-jar", str(jar)]
    command += ["--host=127.0.0.1", f"--port={port}"]
    with _running(command, port) as address:
        yield address


def _missing(what: str) -> MissingError:
    return MissingError(
        f"The {what} emulator is not here: install Java and the Google Cloud CLI, then"
        " `gcloud components install cloud-firestore-emulator pubsub-emulator`"
    )


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
                if process.poll() is not None or time.monotonic() > end:
                    raise MissingError("an emulator did not start") from None
                time.sleep(0.05)
        yield Emulator(address, process.pid)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
