"""Wherever the process dies, once or twice, the promises hold."""

import secrets

import pytest

from proof.worlds import PAIRED, STORIES, calls, die, pairs, singles, tell

SHARE = 10
"""One in so many is tried here of all pairs, and of all moments on SQLite."""


@pytest.mark.parametrize("name", STORIES)
def test_every_crash_point(name: str):
    """One run per call that crosses a port, dying just before and just after it."""
    for fatal in singles(name):
        tally = die(name, *fatal)
        assert not tally.violations, f"{tally.violations}\n{tell(name, *fatal)}"


@pytest.mark.parametrize("name", PAIRED)
def test_pairs_of_crash_points(name: str):
    """The recovery from one death may die as well; `make prove` tries every pair."""
    for fatal in list(pairs(name))[secrets.randbelow(SHARE) :: SHARE]:
        tally = die(name, *fatal)
        assert not tally.violations, f"{tally.violations}\n{tell(name, *fatal)}"


@pytest.mark.parametrize("name", STORIES)
def test_crash_points_on_disk(name: str):
    """The real store keeps what it said that it keeps; `make prove` tries them all."""
    for fatal in list(singles(name))[secrets.randbelow(SHARE) :: SHARE]:
        tally = die(name, *fatal, disk=True)
        assert not tally.violations, f"{tally.violations}\n{tell(name, *fatal)}"


def test_there_are_enough_of_them():
    """A story that lost its calls would prove nothing."""
    assert sum(2 * len(calls(name)) for name in STORIES) >= 400
    assert sum(len(list(pairs(name))) for name in PAIRED) >= 2000
    assert all("the SMS request" in calls(name) for name in PAIRED)
