"""Good entries in bad company, two secrets at once, replays, repeats, odd texts."""

from pathlib import Path

import pytest

from entrypoints.caller import Caller
from machine import Machine
from proof import doors
from proof.standstill import standstill


@pytest.fixture
def machine(tmp_path: Path):
    with standstill(tmp_path / "state") as machine:
        yield machine


def test_a_bad_entry_spoils_no_list(machine: Machine):
    """Each bad entry at each of its places, once."""
    assert list(doors.lists(machine, 4 * len(doors.BAD))) == []


def test_a_secret_is_changed_without_a_gap(tmp_path: Path):
    """Nothing valid is refused meanwhile, nothing retired believed afterwards."""
    assert list(doors.rotated(tmp_path / "state", 120)) == []


def test_what_was_captured_has_no_second_effect(machine: Machine, seed: int):
    """After a second, an hour and eight days, shuffled."""
    assert list(doors.replayed(machine, 15, seed)) == []


def test_one_id_is_one_message(machine: Machine):
    """At once, with another body, for another phone, a day later."""
    assert list(doors.repeated(machine, 100)) == []


def test_a_text_is_a_text(machine: Machine, tmp_path: Path, seed: int):
    """Control bytes, templates and paths arrive as they are, and forge no line."""
    log = tmp_path / "state" / "log.jsonl"
    assert list(doors.injected(machine, 60, seed, log)) == []


def test_rudeness_is_refused(machine: Machine):
    """Odd methods, wrong lengths, depths and bombs: no 5xx, and it goes on."""
    assert list(doors.rude(Caller(machine), 1)) == []
