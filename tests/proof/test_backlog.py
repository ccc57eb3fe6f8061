"""A backlog is worked off, whoever refuses and whatever restarts."""

from pathlib import Path

from proof.backlog import worked_off


def test_a_backlog_outlives_refusals_and_a_restart(tmp_path: Path):
    """Twenty threads, 400 events and timers: none is lost, none twice for nothing."""
    assert worked_off(tmp_path, each=10, seed=1) == []
