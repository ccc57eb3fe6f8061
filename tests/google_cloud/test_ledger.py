"""What the README says of a message's cost is what is counted."""

import pytest

from google_cloud.ledger import (
    BEGIN,
    COLUMNS,
    END,
    PATHS,
    README,
    SETTINGS,
    count,
    table,
)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_asks_for_what_the_table_says_and_no_more(request, path):
    """Whoever adds an operation has to say so, and why: `make ledger`."""
    world = request.getfixturevalue("knowing" if path in SETTINGS else "deployment")
    (row,) = list(table({path: count(world, path)}))[2:]

    assert row in README.read_text().partition(BEGIN)[2].partition(END)[0]


def test_every_counter_moves(deployment):
    """A counter that stands still would hide what is added."""
    counted = count(deployment, "fallen back by the watch")

    assert all(counted[column] > 0 for column in COLUMNS)
