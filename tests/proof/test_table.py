"""No state of the table has a hole; `make prove` explores further."""

import pytest

from proof.table import CONFIGURATIONS, Configuration, explore

STATES = 400


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids="-".join)
def test_the_table_has_no_hole(configuration: Configuration):
    """No dead end, no state that waits without a timer, no claim too many."""
    found = explore(configuration, STATES)
    print(found)  # noqa: T201 - the counts

    assert not found.hole, f"{found.hole}: {' -> '.join(found.trace)}"
    assert found.states > STATES
    assert found.claims <= (1 if configuration[0] in {"STRICT", "NONE"} else 2)
