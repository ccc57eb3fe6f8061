"""What nobody could take is kept, and takes effect once when it is replayed."""

from pathlib import Path

from proof.letters import broken_hour

MESSAGES = 16


def test_dead_letters_are_replayed_once(tmp_path: Path):
    """An hour without `record`: others lack nothing, a replay is one effect."""
    hour = broken_hour(tmp_path / "state", MESSAGES)
    print(f"{hour.replayed} dead letters replayed")  # noqa: T201 - the count

    assert hour.broken == []
    assert hour.replayed == MESSAGES * 3 / 2
