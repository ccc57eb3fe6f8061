import gc
import os
import shutil
from pathlib import Path
from random import Random

import pytest

MEMORY_DISK = Path("/dev/shm")  # noqa: S108 - names below it are pytest's
ROOM = 1 << 30
"""Bytes that must be free there: a container's may hold no more than 64 MB."""

LONGEST = (
    "google_cloud/test_deployed.py",
    "proof/test_death.py",
    "console/test_console.py",
)
"""They wait for other processes: begun last, they would be waited for alone."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--real-time",
        action="store_true",
        help="tell the stories by the machine's own clock",
    )


def pytest_configure() -> None:
    """Write what tests write to memory: waiting for a disk's flushes proves nothing.

    That they are asked for is counted where it matters, in `proof/power.py`.
    """
    if MEMORY_DISK.is_dir() and shutil.disk_usage(MEMORY_DISK).free > ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY_DISK))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files; the others stay in their order."""
    items.sort(key=lambda item: not str(item.path).endswith(LONGEST))


def pytest_collection_finish() -> None:
    """Keep what was collected out of each later search for garbage: it stays."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def seed() -> int:
    """Draw where a test's chances begin, so that every run tries something new.

    What a failed test printed is shown with it, and `SEED=…` replays it.
    """
    drawn = int(os.environ.get("SEED", "0")) or Random().randrange(1, 10**9)
    print("SEED =", drawn)  # noqa: T201 - shown when it fails
    return drawn
