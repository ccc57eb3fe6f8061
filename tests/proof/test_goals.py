"""Every goal has its tests, and they exist."""

import re
from pathlib import Path

import pytest

from proof.goals import EXCLUDED, GOALS
from proof.prove import PARTS

ROOT = Path(__file__).parents[2]
LAST = {"R": 13, "T": 7, "C": 10, "S": 17}


def test_every_goal_is_adopted_or_left_out_with_a_reason():
    """None is forgotten, and none is both."""
    every = {f"{kind}{n}" for kind, last in LAST.items() for n in range(1, last + 1)}

    assert GOALS.keys() | EXCLUDED.keys() == every
    assert not GOALS.keys() & EXCLUDED.keys()
    assert all(goal.tests and goal.number for goal in GOALS.values())


@pytest.mark.parametrize("name", GOALS)
def test_what_is_named_exists(name: str):
    """A test that moved is named anew; a part of the long proof as well."""
    parts = {part.__name__ for part in PARTS}

    assert set(GOALS[name].parts) <= parts
    for test in GOALS[name].tests:
        file, _, function = test.partition("::")
        source = (ROOT / file).read_text()
        assert re.search(rf"def {re.escape(function)}\b", source), test
