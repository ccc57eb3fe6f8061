"""Runs seeds, and tells the story of one that broke a promise."""

import gc
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from traceback import format_exc

from simulation.facts import Facts
from simulation.options import Options, draw
from simulation.oracle import judge
from simulation.world import START, Spinning, World

ON_DISK = 100
"""One seed in so many lives on the real SQLite adapters."""

SHARE = 250
"""Seeds that one process lives through before it reports."""

MEMORY_DISK = "/dev/shm"  # noqa: S108 - for speed; any folder would do


@dataclass
class Tally:
    """What many lives came to."""

    lives: int = 0
    on_disk: int = 0
    violations: list[tuple[int, str, str, str]] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    texts: Counter[int] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    lateness: list[float] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        self.lives += other.lives
        self.on_disk += other.on_disk
        self.violations += other.violations
        self.outcomes += other.outcomes
        self.texts += other.texts
        self.met += other.met
        self.lateness += other.lateness


def live(
    seed: int, *, disk: bool | None = None, story: list[str] | None = None
) -> Tally:
    """Live through one seed and judge it."""
    return live_through(
        draw(seed), disk=seed % ON_DISK == 0 if disk is None else disk, story=story
    )


def live_through(
    options: Options,
    *,
    disk: bool = False,
    story: list[str] | None = None,
    fatal: frozenset[int] = frozenset(),
) -> Tally:
    """Live through one world, on the real SQLite adapters or in memory."""
    if not disk:
        return live_in(World(options, story=story, fatal=fatal))
    memory = MEMORY_DISK if Path(MEMORY_DISK).is_dir() else None
    with TemporaryDirectory(prefix="simulation-", dir=memory) as folder:
        return live_in(World(options, disk=folder, story=story, fatal=fatal))


def live_in(world: World) -> Tally:
    """Live through one world and judge it."""
    options = world.options
    tally = Tally()
    try:
        world.live()
    except Spinning as error:
        tally.violations.append((options.seed, "", "1", f"it spins: {error}"))
    except Exception:  # noqa: BLE001 - whatever is raised is a defect to report
        tally.violations.append((options.seed, "", "bug", format_exc()))
    finally:
        world.platform.close()
    if world.left_over:
        tally.violations.append(
            (options.seed, "", "1", f"{world.left_over} jobs left in the calm")
        )
    if world.dead_letters:
        tally.violations.append((options.seed, "", "1", "a dead letter"))
    for name, facts in world.facts.items():
        tally.lives += facts.stored_at is not None
        for promise, how in judge(facts, world.consents, START):
            tally.violations.append((options.seed, name, promise, how))
        if facts.plan.policy == "PROMPT" and facts.texts and facts.shown:
            deadline = datetime.fromisoformat(facts.shown["expireTime"])
            late = (facts.texts[0].begun - deadline).total_seconds()
            if late >= 0:
                tally.lateness.append(late)
        last = facts.outcomes.get(max(facts.outcomes, default=0), {"-"})
        tally.outcomes[min(last)] += 1
        tally.texts[sum(text.taken for text in facts.texts)] += 1
        tally.met.update(_met(facts, options))
    tally.on_disk = tally.lives if hasattr(world.platform, "path") else 0
    return tally


def _met(facts: Facts, options: Options) -> Iterator[str]:
    """Yield what a message met of that which a proof should have met often."""
    strict = " under STRICT" if facts.plan.policy == "STRICT" else ""
    if facts.deletes and facts.rcs_at and facts.rcs_at > facts.deletes[0]:
        yield f"delivered by RCS after its DELETE{strict}"
    if any(text.taken and text.answer == "lost" for text in facts.texts):
        yield f"SMS taken, its answer lost{strict}"
    if options.stalls:
        yield "a world where workers may stand still for minutes"
    if options.redelivered:
        yield "a world where rings and pushes come late, twice or unheard"
    if options.out_of_reach:
        yield "a phone that RCS was said not to reach"
    if options.drift:
        yield "a world where clocks differ"


def run(seeds: Iterable[int]) -> Tally:
    """Live through *seeds*, in this process."""
    tally = Tally()
    # Nothing here lives long enough to be worth collecting in between.
    gc.disable()
    try:
        for seed in seeds:
            tally.add(live(seed))
    finally:
        gc.enable()
        gc.collect()
    return tally


def run_wide(seeds: range, processes: int) -> Iterator[Tally]:
    """Live through *seeds* in several processes, and yield as shares are done."""
    shares = [seeds[n : n + SHARE] for n in range(0, len(seeds), SHARE)]
    with get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(run, shares)


def tell(seed: int, *, disk: bool | None = None) -> str:
    """Return the story of *seed* in plain words, and how it ends."""
    story: list[str] = []
    tally = live(seed, disk=disk, story=story)
    ends = [
        f"PROMISE {promise} IS BROKEN for {name}: {how}"
        for _seed, name, promise, how in tally.violations
    ]
    return "\n".join([str(draw(seed)), *story, *(ends or ["All promises held."])])
