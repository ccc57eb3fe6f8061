"""Every check can fail: whatever is taken away is missed."""

import pytest

from proof.safeguards import RULES, SAFEGUARDS, Table


@pytest.mark.parametrize("name", RULES)
def test_without_a_rule_there_is_its_hole(name: str):
    """The exploration, or the simulation, finds the hole that the rule closes."""
    row = RULES[name]
    missed = row.missed()
    print(f"without {name}: {missed}")  # noqa: T201 - the shortest trace

    assert missed
    if isinstance(row, Table):
        assert missed.startswith(f"rule {row.rule}:")


@pytest.mark.parametrize("name", SAFEGUARDS)
def test_without_a_safeguard_a_promise_is_broken(name: str):
    """And the oracle sees it from outside."""
    missed = SAFEGUARDS[name].missed()
    print(f"without {name}: {missed}")  # noqa: T201 - the seed

    assert missed
