"""Other people's servers, where they are installed. `make peers` tells how."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.servers import ROOT, running
from machine.emulators import free_port
from machine.servers import Leash

PEERS = Path(__file__).parent / "peers"


class AbsentError(Exception):
    """A peer is not installed. The text says what to do."""


def program(name: str, package: str) -> str:
    """Return where a program of Debian's is. Raises AbsentError."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if not found:
        raise AbsentError(f"did not run; apt-get install {package}")
    return found


def environment(name: str) -> Path:
    """Return the programs of an environment of its own. Raises AbsentError."""
    made = ROOT / f".venv-{name}" / "made"
    if not made.exists():
        raise AbsentError(f"did not run; make {made.parent.name}/made")
    return made.parent / "bin"


@contextmanager
def redis() -> Iterator[int]:
    """Run Redis with its usual durability, a flush each second; yield its port."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        words = [program("redis-server", "redis-server"), "--port", str(port)]
        words += ["--bind", "127.0.0.1", "--dir", folder, "--save", ""]
        words += ["--appendonly", "yes", "--loglevel", "warning"]
        with running(words, port, ask=b"PING\r\n"):
            yield port


@contextmanager
def process(
    words: list[str], environ: Mapping[str, str], folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a peer's process quietly, and kill it: nobody waits for its backlog."""
    leash = Leash()
    with (folder / "log").open("ab") as log:
        begun = subprocess.Popen(
            words,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), **environ},
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        leash.hold(begun.pid)
        yield begun
    finally:
        begun.kill()
        begun.wait()
        leash.drop()
