"""How many simulated lives a second the proof lives through and judges."""

import os
from collections.abc import Iterable
from multiprocessing import get_context
from time import perf_counter

from bench.rows import Effort, Row, ratio
from simulation.run import run

SHARE = 400
"""Seeds that one process lives through at a time."""


def rows(effort: Effort) -> Iterable[Row]:
    """Alternate between one process and as many as there are cores."""
    cores = os.cpu_count() or 1
    alone: list[float] = []
    together: list[float] = []
    with get_context("spawn").Pool(cores) as pool:
        # Whoever runs first imports.
        pool.map(run, [range(1)] * cores, chunksize=1)

        def pace(processes: int, seed: int) -> float:
            shares = [
                range(seed + n * SHARE, seed + (n + 1) * SHARE)
                for n in range(processes)
            ]
            begun = perf_counter()
            lives = sum(tally.lives for tally in pool.map(run, shares, chunksize=1))
            return lives / (perf_counter() - begun)

        for number in range(effort.rounds(6, 2)):
            seed = 1 + number * SHARE * cores
            alone.append(pace(1, seed))
            together.append(pace(cores, seed))
    return [
        Row(what="simulated lives, one process", unit="/s", values=alone),
        Row(
            what=f"simulated lives, {cores} processes",
            unit="/s",
            values=together,
            ratio=ratio(together, alone),
            floor="one process",
        ),
    ]
