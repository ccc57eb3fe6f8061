"""The long form of every proof, and one table of what it came to."""

import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from backstop.domain.message import Contract, Policy
from entrypoints.caller import Caller
from proof import attack
from proof.death import killed_again_and_again
from proof.orders import begun, ends, multisets
from proof.safeguards import RULES, SAFEGUARDS
from proof.standstill import standstill
from proof.table import CONFIGURATIONS, explore
from proof.worlds import PAIRED, STORIES, die, pairs, singles
from simulation.run import Tally, run_wide

PROMISES = {
    "1": "Nothing is lost",
    "2": "One send per request",
    "3": "No SMS after a delivery we knew of",
    "4": "The RCS copy is called back first",
    "5": "At most one SMS",
    "7": "Order does not matter",
    "8": "Nobody is texted against their word",
    "9": "Only the real carriers are believed",
    "10": "Quiet about people",
    "11": "Honest about doubt",
    "kept": "Answers are kept, nothing is sent stale",
    "bug": "Nothing crashes",
}
LIVED = ("1", "2", "3", "4", "5", "7", "8", "11", "kept", "bug")
POLICIES = (Policy.PROMPT, Policy.CONFIRMED, Policy.STRICT, Policy.HEDGE)
ALL_STATES = 1_000_000
MOST_KILLS = 1000
MOST_EXAMPLES = 100_000


@dataclass
class Proof:
    """How often each promise was put to the test, and how often it broke."""

    size: int
    seed: int
    runs: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def tested(self, promises: Iterable[str], runs: int) -> None:
        self.runs.update(dict.fromkeys(promises, runs))

    def violated(self, promise: str, how: str) -> None:
        self.broken[promise] += 1
        say(f"\nPROMISE {promise} IS BROKEN: {how}\n")

    def judge(self, tally: Tally, where: str) -> None:
        self.tested(LIVED, tally.lives)
        for seed, name, promise, how in tally.violations:
            self.violated(promise, f"{where or f'seed {seed}'}: {name} {how}")

    def table(self) -> str:
        rows = [("promise", "runs", "violations")]
        rows += [
            (f"{key} {words}", f"{self.runs[key]:,}", f"{self.broken[key]:,}")
            for key, words in PROMISES.items()
        ]
        wide = max(len(row[0]) for row in rows)
        lines = [f"{a:<{wide}}  {b:>12}  {c:>10}" for a, b, c in rows]
        return "\n".join([*self.notes, "", *lines])


def say(words: str) -> None:
    sys.stderr.write(words)
    sys.stderr.flush()


@contextmanager
def timed(what: str) -> Iterator[Callable[[str], None]]:
    """Show how far a part has come, and how long it took."""
    began = time.monotonic()

    def show(how_far: str) -> None:
        say(f"\r{what}: {how_far}, {time.monotonic() - began:.0f} s  ")

    show("begun")
    yield show
    say("\n")


def simulate(proof: Proof, processes: int) -> None:
    began, lives, late = time.monotonic(), 0, list[float]()
    on_disk = 0
    with timed("simulated lives") as show:
        # A seed is about 1.4 lives.
        seeds = range(proof.seed, proof.seed + int(proof.size / 1.35) + 1)
        for tally in run_wide(seeds, processes):
            proof.judge(tally, "")
            lives += tally.lives
            on_disk += tally.on_disk
            late += tally.lateness
            show(f"{lives:,} of {proof.size:,}")
    pace = lives / (time.monotonic() - began)
    late.sort()
    proof.notes.append(
        f"{lives:,} lives from seed {seeds.start} to {seeds.stop - 1}, {on_disk:,} of"
        f" them on SQLite; {pace:,.0f} lives/s"
    )
    if late:
        proof.notes.append(
            "6 On time: a PROMPT SMS was asked for "
            f"{late[len(late) // 2]:.1f} s after the deadline in the middle,"
            f" {late[len(late) * 99 // 100]:.1f} s at 99%, faults included"
        )


def _die(case: tuple[str, tuple[int, ...]]) -> tuple[str, Tally]:
    name, fatal = case
    return f"{name}, dying at {fatal}", die(name, *fatal)


def crash(proof: Proof, pool: Pool) -> None:
    cases = [(name, fatal) for name in STORIES for fatal in singles(name)]
    alone = len(cases)
    cases += [(name, fatal) for name in PAIRED for fatal in pairs(name)]
    with timed("crash points") as show:
        done = pool.imap_unordered(_die, cases, chunksize=40)
        for number, (where, tally) in enumerate(done, 1):
            proof.judge(tally, where)
            if number % 200 == 0:
                show(f"{number:,} of {len(cases):,}")
    proof.notes.append(
        f"{alone:,} single crash points of {len(STORIES)} stories, all;"
        f" {len(cases) - alone:,} pairs on the fallback path, all"
    )


def _order(case: tuple[Policy, Contract, int, int]) -> tuple[str, int, int]:
    policy, contract, size, number = case
    receipts = list(multisets(size))[number]
    records, orders = ends(begun(policy, contract), receipts)
    names = " ".join(signal.kind.value for signal in receipts)
    return f"{policy}: {names}", orders, len(records)


def order(proof: Proof, pool: Pool) -> None:
    chance = Random(proof.seed)
    fours, sixes = len(list(multisets(4))), len(list(multisets(6)))
    some = chance.sample(range(sixes), min(sixes, max(4, proof.size // 2000)))
    cases = [
        (policy, contract, size, number)
        for policy in POLICIES
        for contract in Contract
        for size, numbers in ((4, range(fours)), (6, some))
        for number in numbers
    ]
    total = 0
    with timed("orders of receipts") as show:
        for where, orders, records in pool.imap_unordered(_order, cases, chunksize=8):
            total += orders
            if records != 1:
                proof.violated("7", f"{where} ends in {records} records")
            show(f"{total:,}")
    proof.tested(("7",), total)
    proof.notes.append(f"{total:,} orders of four and six receipts, one of them twice")


def explored(proof: Proof, pool: Pool) -> None:
    most = None if proof.size >= ALL_STATES else proof.size // 10
    states = steps = 0
    with timed("states of the table") as show:
        cases = [(configuration, most) for configuration in CONFIGURATIONS]
        for found in pool.starmap(explore, cases, chunksize=1):
            states += found.states
            steps += found.steps
            if found.hole:
                trace = " -> ".join(found.trace)
                proof.violated("1", f"{found.hole}: {trace}")
            show(f"{states:,}")
    proof.tested(("1", "3", "4", "5"), steps)
    every = "every" if most is None else "the nearest"
    proof.notes.append(f"{states:,} states of the table ({every}), {steps:,} steps")


def take_away(proof: Proof) -> None:
    with timed("safeguards taken away") as show:
        rows = {**RULES, **SAFEGUARDS}
        for number, (name, row) in enumerate(rows.items(), 1):
            missed = row.missed()
            show(f"{number} of {len(rows)}")
            say(f"\n  without {name}: {missed or 'NOTHING'}\n")
            if not missed:
                proof.violated("bug", f"nothing misses {name}")
    proof.notes.append(f"{len(rows)} rules and safeguards taken away, each was missed")


def kill(proof: Proof) -> None:
    kills = max(3, min(MOST_KILLS, proof.size // 200))
    with timed(f"{kills} kills of the real process"), TemporaryDirectory() as folder:
        load, files = killed_again_and_again(
            Path(folder) / "state", kills=kills, seed=proof.seed
        )
        for how in load.broken():
            proof.violated(*_split(how))
        for _ in range(files):
            proof.violated("1", "a killed process left a file that is not whole")
        load.running.kill()
    accepted = sum(sent.accepted for sent in load.sent)
    proof.tested(("1", "2", "5", "11"), accepted)
    slowest = load.running.slowest_start
    proof.notes.append(
        f"{kills:,} kills, {accepted:,} messages accepted meanwhile, none lost;"
        f" slowest start {slowest:.1f} s"
    )


def _split(how: str) -> tuple[str, str]:
    promise, _, words = how.partition(": ")
    return promise, words


def attacked(proof: Proof) -> None:
    examples = max(50, min(MOST_EXAMPLES, proof.size // 20))
    forged = 0
    with TemporaryDirectory() as folder, standstill(Path(folder)) as machine:
        call = Caller(machine)
        with timed("forgeries"):
            before = call.left_behind()
            for one in (
                *attack.forged_signatures(),
                *attack.forged_bodies(),
                *attack.forged_credentials(),
            ):
                answer = attack.attempt(call, one)
                forged += answer is not None
                if answer and answer.status not in {400, 401, 403, 431}:
                    proof.violated("9", f"{one[0]} was answered {answer.status}")
            if call.left_behind() != before:
                proof.violated("9", "something forged left something behind")
        for door, (originals, check) in attack.FUZZED.items():
            with timed(f"mutants at {door}"):
                try:
                    attack.fuzz(originals, examples, check(call))
                except AssertionError as error:
                    proof.violated("bug", f"{door}: {error}")
        log = (Path(folder) / "log.jsonl").read_text()
    for word in ("canary", "local-client-token", "local-callback-password"):
        if word in log:
            proof.violated("10", f"{word} stands in the log")
    if '"crash"' in log:
        proof.violated("bug", "the log tells of a crash")
    proof.tested(("9",), forged)
    proof.tested(("10", "bug"), examples * len(attack.FUZZED))
    proof.notes.append(
        f"{forged} forgeries, {examples * len(attack.FUZZED):,} mutated payloads"
    )


def main(arguments: list[str]) -> int:
    """Prove. Returns 1 if any promise was broken."""
    given = dict(argument.split("=", 1) for argument in arguments)
    size = int(given.get("N", "20000"))
    seed = int(given.get("SEED", "0")) or Random().randrange(10**9)
    processes = int(given.get("PROCESSES", "0")) or os.cpu_count() or 1
    proof = Proof(size, seed)
    began = time.monotonic()
    simulate(proof, processes)
    with get_context("spawn").Pool(processes) as pool:
        crash(proof, pool)
        order(proof, pool)
        explored(proof, pool)
    take_away(proof)
    kill(proof)
    attacked(proof)
    minutes = (time.monotonic() - began) / 60
    sys.stdout.write(f"{proof.table()}\n\n{minutes:.1f} minutes.\n")
    shutil.rmtree(".hypothesis", ignore_errors=True)
    return 1 if proof.broken.total() else 0
