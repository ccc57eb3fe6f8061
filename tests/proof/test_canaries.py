"""Whatever goes wrong, nothing of people is told where it does not belong."""

from pathlib import Path

from proof.canaries import FAULTS, told


def test_no_canary_is_heard(tmp_path: Path, seed: int):
    """In no log at any level, no error, no reason, no name; crashes included."""
    heard, lives = told(tmp_path / "state", 24, seed, faults=FAULTS[:4:3])
    print(f"{lives} lives")  # noqa: T201 - the count

    assert heard == []
