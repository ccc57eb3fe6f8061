"""SIGKILL under load, full disks, broken files and jumping clocks lose nothing."""

import json
import secrets
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from proof.death import Load, Running, killed_again_and_again, soaked, told_to_end

KILLS = 10


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path / "state")
    yield running
    running.kill()


@pytest.fixture
def load(running: Running) -> Load:
    return Load(running, Random(1))


def test_killed_again_and_again(tmp_path: Path):
    """Every accepted message has its outcome, and no phone got what it should not."""
    seed = secrets.randbelow(10**9)
    load, broken_files = killed_again_and_again(
        tmp_path / "state", kills=KILLS, seed=seed
    )
    broken = load.broken()
    load.running.kill()
    slowest = load.running.slowest_start
    print(f"seed {seed}: {len(load.sent)} sent, slowest start {slowest:.1f} s")  # noqa: T201

    assert broken == []
    assert broken_files == 0
    assert sum(sent.accepted for sent in load.sent) > KILLS


def test_told_to_end_under_load(tmp_path: Path):
    """SIGTERM: what is under way is finished or safely repeated, and it ends well."""
    load, wrong = told_to_end(tmp_path / "state", times=1, seed=1)
    load.running.kill()
    print(f"slowest end {load.running.slowest_end:.1f} s")  # noqa: T201 - the figure

    assert wrong == []
    assert any(sent.accepted for sent in load.sent)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks into /proc")
def test_nothing_is_held_for_ever(tmp_path: Path):
    """Pools fill, but no file and no thread stays behind for every message."""
    load, uses = soaked(tmp_path / "state", seconds=2, seed=1)
    load.running.kill()
    few = len(load.sent) / 4

    assert uses[-1].files - uses[0].files < few
    assert uses[-1].threads - uses[0].threads < few


def test_a_full_disk_is_refused_and_survived(running: Running, load: Load):
    """No 200 without a record; what was accepted goes on when there is room."""
    assert not running.start(largest_file=400_000)
    while load.send():
        assert len(load.sent) < 2000, "the disk never became full"
    refused = load.refusals[-1] if load.refusals else ""
    running.kill()
    assert not running.start()
    load.again()

    assert refused.startswith("503"), refused
    assert "Traceback" not in refused
    assert load.broken() == []


def test_a_locked_file_is_waited_out(running: Running, load: Load):
    """Somebody else holds the file for longer than we wait for it."""
    assert not running.start()
    with sqlite3.connect(running.state / "backstop.db") as other:
        other.execute("BEGIN IMMEDIATE")
        assert not load.send()
        other.rollback()
    other.close()
    assert load.refusals[-1].startswith("503")
    load.again()

    assert load.broken() == []


def test_a_truncated_file_is_no_success(running: Running, load: Load):
    """What is not whole is refused, at the start or with every request."""
    assert not running.start()
    for _ in range(20):
        load.send()
    running.kill(signal.SIGINT)
    database = running.state / "backstop.db"
    whole = database.read_bytes()
    database.write_bytes(whole[: len(whole) // 2])

    said = running.start()

    assert "Traceback" not in said
    if not said:
        for _ in range(5):
            assert not load.send()
        assert all(refusal.startswith("503") for refusal in load.refusals)


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_jumps(running: Running, load: Load, hours: int):
    """An hour each way, while nobody looks: late at worst, never lost."""
    assert not running.start()
    for _ in range(12):
        load.send()
    running.kill()
    file = running.state / "clock.json"
    kept = json.loads(file.read_text())
    kept["virtual"] += 3600 * hours
    file.write_text(json.dumps(kept))
    assert not running.start()

    assert load.broken() == []
