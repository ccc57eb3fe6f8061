"""SIGKILL under load, full disks, broken files and jumping clocks lose nothing."""

import secrets
import signal
import sqlite3
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from backstop.domain.times import parse_time
from proof.death import (
    Load,
    Running,
    kept,
    killed_again_and_again,
    soaked,
    told_to_end,
)

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
    load, lefts = killed_again_and_again(tmp_path / "state", kills=KILLS, seed=seed)
    broken = load.broken()
    load.running.kill()
    slowest = load.running.slowest_start
    falling = sum(left.falling for left in lefts)
    print(  # noqa: T201 - to repeat it
        f"seed {seed}: {len(load.sent)} sent, {falling} met falling back,"
        f" slowest start {slowest:.1f} s"
    )

    assert broken == []
    assert all(left.whole for left in lefts)
    assert falling
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
    """Pools fill, but no file, no thread and no memory is kept of every message."""
    load, uses = soaked(tmp_path / "state", seconds=2, seed=1)
    load.running.kill()
    note, wrong = kept(uses)
    print(note)  # noqa: T201 - the figures

    assert wrong == []


def assert_refused(load: Load) -> None:
    """Whatever was refused may be asked again soon, and nobody is told our code."""
    assert load.refusals
    for refusal in load.refusals:
        assert refusal.startswith("503 1: "), refusal
        assert "Traceback" not in refusal


@pytest.mark.skipif(sys.platform != "linux", reason="sets a limit while it runs")
def test_a_full_disk_is_refused_and_survived(running: Running, load: Load):
    """No 200 without a record; when there is room, all goes on without a restart."""
    assert not running.start()
    running.limit(400_000)
    while load.send():
        assert len(load.sent) < 200, "the disk never became full"
    for _ in range(5):
        assert not load.send()
    running.limit()
    load.again()

    assert_refused(load)
    assert all(sent.accepted for sent in load.sent)
    assert load.broken() == []


def test_a_locked_file_is_waited_out(running: Running, load: Load):
    """Somebody else holds the file for longer than we wait for it."""
    assert not running.start()
    with sqlite3.connect(running.state / "backstop.db") as other:
        other.execute("BEGIN IMMEDIATE")
        assert not load.send()
        other.rollback()
    other.close()
    load.again()

    assert_refused(load)
    assert load.broken() == []


def test_a_permission_lost_while_it_runs(running: Running, load: Load):
    """It keeps what it has open, and the next start says what it lacks."""
    assert not running.start()
    for _ in range(4):
        assert load.send()
    for file in (*running.state.iterdir(), running.state):
        file.chmod(0)
    for _ in range(8):
        assert load.send()
    running.kill()
    said = running.start()
    running.state.chmod(0o700)
    for file in running.state.iterdir():
        file.chmod(0o600)
    assert not running.start()

    assert said.startswith(f"STATE {running.state} cannot be used: [Errno 13] ")
    assert load.broken() == []


@pytest.mark.parametrize("what", ["the folder", "the one above it", "the file"])
def test_a_state_that_may_not_be_written(running: Running, what: str):
    """It says so in one sentence, and ends."""
    if what != "the one above it":
        running.state.mkdir()
    if what == "the file":
        (running.state / "backstop.db").touch(mode=0o400)
    else:
        folder = running.state if what == "the folder" else running.state.parent
        folder.chmod(0o500)

    said = running.start()

    assert said.startswith(f"STATE {running.state} cannot be used: [Errno 13] ")
    assert said.count("\n") == 1
    assert said.endswith("[1]")


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
        assert_refused(load)


def test_a_clock_that_jumps(tmp_path: Path):
    """Hours ahead and back, under load and while it is dead: late at worst."""
    off = tmp_path / "off"
    program = Path(__file__).with_name("off_clock.py")
    running = Running(tmp_path / "state", {"OFF": str(off)}, program=program)
    load = Load(running, Random(1))

    def jump_to(hour: int) -> None:
        draft = off.with_suffix(".new")
        draft.write_text(str(3600 * hour))
        draft.replace(off)

    def now() -> datetime:
        return parse_time(running.call("GET", "/simulator/clock").json()["now"])

    jump_to(0)
    assert not running.start()
    moved = []
    with ThreadPoolExecutor(4) as apps:
        for number, _ in enumerate(apps.map(lambda _: load.send(), range(100))):
            if number in {30, 65}:
                before = now()
                jump_to(1 if number == 30 else -1)
                moved.append((now() - before) // timedelta(hours=1))
    for hour in (-2, 1):
        running.kill()
        jump_to(hour)
        assert not running.start()
    broken = load.broken()
    running.kill()

    # Backward, Backstop's clock waits for the machine's.
    assert moved == [1, 0]
    assert all(sent.accepted for sent in load.sent)
    assert broken == []
