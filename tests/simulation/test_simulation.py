"""The promises hold in simulated worlds, whatever goes wrong in them.

Every run explores new seeds; a failure prints the story of its seed. To read it
again: `PYTHONPATH=functions:tests python -m simulation SEED`.
"""

import os
import secrets

import pytest

from simulation.options import draw
from simulation.run import live, run, tell

SHARES = 4
SEEDS = 500


@pytest.mark.parametrize("share", range(SHARES))
def test_the_promises_hold(share: int):
    """Faults on, then off: every life keeps every promise."""
    first = int(os.environ.get("SEED", "0")) or secrets.randbelow(10**9)
    seeds = range(first, first + SEEDS)
    print(f"seeds {seeds.start} to {seeds.stop - 1}")  # noqa: T201 - to replay it

    tally = run(seeds)

    told = "\n\n".join(tell(seed) for seed, *_ in tally.violations[:1])
    assert not tally.violations, f"{tally.violations[:9]}\n{told}"
    assert tally.lives >= SEEDS * 0.9
    assert len(tally.outcomes) >= 8, "hardly anything happened"


@pytest.mark.parametrize("seed", range(1, 4))
def test_a_seed_replays_exactly(seed: int):
    """The same seed tells the same story, to the microsecond."""
    assert tell(seed) == tell(seed)


@pytest.mark.parametrize("seed", [7, 8, 9, 11, 12, 13])
def test_both_platforms_tell_the_same_story(seed: int):
    """What is in memory differs in nothing from the real adapters."""
    assert draw(seed).drift == 0.0, "choose another seed: one disk has one clock"

    stories: dict[bool, list[str]] = {True: [], False: []}
    for disk, story in stories.items():
        live(seed, disk=disk, story=story)

    assert stories[True] == stories[False]
    assert len(stories[True]) > 5
