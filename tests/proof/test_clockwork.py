"""In a burst, one after the other and among far ones: each once, none early."""

from pathlib import Path

from proof.clockwork import overslept, rung


def test_each_of_many_timers_rings_once_and_none_early(tmp_path: Path):
    """A burst and a steady stream, before a crowd that waits for next month."""
    wrong, late = rung(tmp_path, far=20_000, burst=200, steady=200)
    print(f"99 of 100 within {late * 1000:.0f} ms")  # noqa: T201 - the figure

    assert wrong == []


def test_what_was_slept_through_rings_once(tmp_path: Path):
    """The whole service was down from before the first instant to long after."""
    assert overslept(tmp_path, 100) == []
