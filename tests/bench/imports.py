"""What each function imports until it can serve, and where the time goes.

    make import-times

starts a fresh interpreter per function, several times, with `-X importtime`, and
builds what its first request needs; prints the median of all imports together, the
modules counted, and the packages that cost most. Nothing may connect: a socket that
does is an error.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from machine.credentials import DEFAULTS, private_key
from machine.ground import ENTRY_POINTS

FUNCTIONS = Path(__file__).parents[2] / "functions"
ROUNDS = 5
SHOWN = 4

FRAMEWORK = """
import functions_framework.aio, functions_framework._cli
import functions_framework._http.gunicorn, uvicorn_worker
"""

LOAD = """
import socket, sys
def refuse(*_): raise AssertionError("something connects at import")
socket.socket.connect = refuse
sys.path.insert(0, {functions!r})
import {name}
from backstop import wiring
wiring._in_use[0].build({name!r})
"""


def environ(state: Path) -> dict[str, str]:
    """Return the settings of a deployment, complete and invented."""
    key = {
        "client_email": "bench@example.invalid",
        "private_key": private_key(state),
        "token_uri": "https://example.invalid/token",
    }
    return DEFAULTS | {
        "PLATFORM": "google",
        "RBM_KEY": json.dumps(key),
        "PROJECT": "demo",
        "TOPIC": "projects/demo/topics/events",
        "QUEUE": "projects/demo/locations/local/queues/watch",
        "REVOKE_URL": "https://example.invalid/revoke",
        # Insecure channels, which connect when they are first used.
        "FIRESTORE_EMULATOR_HOST": "127.0.0.1:1",
        "PUBSUB_EMULATOR_HOST": "127.0.0.1:1",
        "CLOUD_TASKS_EMULATOR_HOST": "127.0.0.1:1",
    }


def measure(name: str, settings: dict[str, str]) -> tuple[float, int, Counter[str]]:
    """Import one function afresh; return milliseconds, modules, and ms per package."""
    return _measure(LOAD.format(functions=str(FUNCTIONS), name=name), settings)


def beyond(name: str, settings: dict[str, str]) -> Counter[str]:
    """Return ms per package that one function imports beside its server."""
    load = LOAD.format(functions=str(FUNCTIONS), name=name)
    _, _, all_of_it = _measure(FRAMEWORK + load, settings)
    _, _, framework = _measure(FRAMEWORK, settings)
    packages = Counter(
        {p: us // 1000 for p, us in all_of_it.items() if p not in framework}
    )
    return +packages


def _measure(program: str, settings: dict[str, str]) -> tuple[float, int, Counter[str]]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", program],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=True,
    )
    packages: Counter[str] = Counter()
    modules = 0
    for line in done.stderr.splitlines():
        own, _, rest = line.removeprefix("import time:").partition("|")
        if not own.strip().isdigit():
            continue
        modules += 1
        module = rest.partition("|")[2].strip()
        depth = 3 if module.startswith("google.cloud.") else 2
        depth = depth if module.startswith("google.") else 1
        packages[".".join(module.split(".")[:depth])] += int(own)
    return packages.total() / 1000, modules, packages


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = environ(Path(folder))
        rows = ["| function | imports, ms (median) | modules | most of it |"]
        rows.append("| --- | --- | --- | --- |")
        for name in ENTRY_POINTS:
            rounds = [measure(name, settings) for _ in range(ROUNDS)]
            median = statistics.median(ms for ms, _, _ in rounds)
            _, modules, packages = rounds[-1]
            most = ", ".join(
                f"{package} {us / 1000:.0f}"
                for package, us in packages.most_common(SHOWN)
            )
            rows.append(f"| `{name}` | {median:.0f} | {modules} | {most} |")
        sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
