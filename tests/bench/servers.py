"""Servers to measure: each a process group of its own, ended whatever happens."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from machine.credentials import DEFAULTS, carrier_settings
from machine.emulators import free_port
from machine.servers import Leash

ROOT = Path(__file__).parents[2]
BENCH = Path(__file__).parent
FUNCTIONS = ROOT / "functions"
STARTING = 30.0
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")

ASK = b"GET /robots.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
"""What the framework answers by itself."""


@dataclass(frozen=True)
class Server:
    """A server that runs. `pid` is its process group too.

    `answer` is the beginning of its first, and came so many seconds after its start.
    """

    port: int
    pid: int
    answer: bytes
    answered_after: float

    def cpu(self) -> float:
        """Return the seconds of CPU that it and its children have used."""
        return sum(int(t) for stat in _group(self.pid) for t in stat[11:13]) / TICKS

    def rss(self) -> int:
        """Return the bytes in memory of its largest process: the worker."""
        return max((int(stat[21]) * PAGE for stat in _group(self.pid)), default=0)


@contextmanager
def function(
    source: Path,
    target: str,
    environ: Mapping[str, str] | None = None,
    *,
    ask: bytes = ASK,
) -> Iterator[Server]:
    """Run a function in functions-framework's production server, as deployed."""
    port = free_port()
    with running(command(source, target, port), port, environ, ask=ask) as server:
        yield server


def command(source: Path, target: str, port: int) -> list[str]:
    """Return how functions-framework is started for a function."""
    return [
        *(sys.executable, "-m", "functions_framework"),
        *(f"--source={source}", f"--target={target}"),
        *("--host=127.0.0.1", f"--port={port}"),
    ]


@contextmanager
def running(
    words: list[str],
    port: int,
    environ: Mapping[str, str] | None = None,
    *,
    ask: bytes = ASK,
) -> Iterator[Server]:
    """Run *words*, a server on *port*, and wait until it answers *ask*.

    *environ* is all that it is told beside its paths. Raises TimeoutError.
    """
    leash = Leash()
    begun = time.perf_counter()
    process = subprocess.Popen(
        words,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{FUNCTIONS}:{BENCH.parent}",
            **(environ or {}),
        },
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        leash.hold(process.pid)
        first = until_answered(process, port, ask)
        yield Server(port, process.pid, first, time.perf_counter() - begun)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        leash.drop()


def until_answered(process: subprocess.Popen[bytes], port: int, ask: bytes) -> bytes:
    """Ask until there is an answer, whatever it is. Raises TimeoutError."""
    end = time.monotonic() + STARTING
    while not (first := answer(port, ask)):
        if process.poll() is not None or time.monotonic() > end:
            raise TimeoutError(f"{process.args} did not start")
        time.sleep(0.001)
    return first


def answer(port: int, ask: bytes) -> bytes:
    """Return the beginning of the answer, empty if nobody listens."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(ask)
        return line.recv(65536)
    return b""


@contextmanager
def hello() -> Iterator[Server]:
    """The framework, and nothing else."""
    with function(BENCH / "floors" / "hello.py", "hello") as server:
        yield server


@contextmanager
def durable() -> Iterator[Server]:
    """The floor of what is answered durably: verify, parse, one group commit."""
    with tempfile.TemporaryDirectory() as folder:
        environ = DEFAULTS | {"FLOOR_DB": f"{folder}/floor.db"}
        with function(BENCH / "floors" / "durable.py", "durable", environ) as server:
            yield server


@contextmanager
def carrier() -> Iterator[Server]:
    """Both carriers, canned."""
    port = free_port()
    words = [sys.executable, str(BENCH / "floors" / "carrier.py"), str(port)]
    with running(words, port) as server:
        yield server


@contextmanager
def embedded(
    *,
    state: Path | None = None,
    carriers: Server | None = None,
    dispatch: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Our embedded platform behind the same server as the floors.

    See `bench.embedded`. Without *carriers* nobody answers its requests.
    """
    with tempfile.TemporaryDirectory() as folder:
        state, port = state or Path(folder), free_port()
        asked = f"http://127.0.0.1:{carriers.port if carriers else 1}"
        settings = DEFAULTS | carrier_settings(state, asked) | dict(environ or {})
        settings |= {"STATE": str(state)}
        if dispatch:
            settings["DISPATCH"] = "1"
        words = command(BENCH / "embedded.py", "embedded", port)
        # Answered by the function itself, which is then built.
        built = ASK.replace(b"/robots.txt", b"/webhook")
        with running(words, port, settings, ask=built) as server:
            yield server


def _group(group: int) -> list[list[str]]:
    """Return the fields of /proc/PID/stat, from the state on, of a whole group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if fields[2] == str(group):
                found.append(fields)
    return found
