"""Nobody was answered who would be forgotten if the power failed now."""

import os
import secrets
from pathlib import Path

import pytest

from proof.power import FLUSH, MISSING, compiled, losses, record, records


def test_what_was_answered_survives_a_power_loss(tmp_path: Path):
    """Writes that were not flushed may be gone, torn or there, in any mixture."""
    library = compiled(tmp_path)
    if library is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(MISSING)
    seed = secrets.randbelow(10**9)
    load, journal = record(tmp_path / "state", library, sends=100, seed=seed)

    lost = list(losses(journal, load.answered, times=100, seed=seed))

    print(f"seed {seed}: {len(load.answered)} answers")  # noqa: T201 - to repeat it
    assert lost == []
    assert any(kind == FLUSH for _end, kind, *_rest in records(journal))
