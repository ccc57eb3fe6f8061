"""A whole Backstop whose time stands still, to be tried from outside."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

from machine import Machine
from machine.credentials import private_key


@contextmanager
def standstill(
    state: Path | None = None, environ: Mapping[str, str] | None = None
) -> Iterator[Machine]:
    """Run one, in a folder of its own unless one is given."""
    with TemporaryDirectory() as folder:
        state = state or Path(folder)
        state.mkdir(exist_ok=True)
        (state / "rbm-key.pem").write_text(_key())
        machine = Machine(state, environ or {})
        machine.clock.set_rate(0)
        machine.start()
        try:
            yield machine
        finally:
            machine.stop()


@cache
def _key() -> str:
    """One service account's key for all: making it takes long."""
    folder = mkdtemp()
    try:
        return private_key(Path(folder))
    finally:
        shutil.rmtree(folder)
