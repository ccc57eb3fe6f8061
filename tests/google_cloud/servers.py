"""One function's production server, alone."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from machine.emulators import free_port

FUNCTIONS = Path(__file__).parents[2] / "functions"
PATIENCE = 60.0


def start_alone(name: str, environ: Mapping[str, str]) -> tuple[int, str]:
    """Start a function's server with *environ* alone; return how it ended."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "functions_framework"),
            *(f"--source={FUNCTIONS / name}.py", f"--target={name}"),
            *("--host=127.0.0.1", f"--port={free_port()}"),
        ],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, done.stderr
