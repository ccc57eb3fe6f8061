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
from traceback import format_exc

from backstop.domain.message import Contract, Policy
from entrypoints.caller import Caller
from machine import Machine
from proof import attack, doors
from proof.backlog import THREADS, worked_off
from proof.canaries import told
from proof.clockwork import overslept, rung
from proof.death import kept, killed_again_and_again, soaked, told_to_end
from proof.letters import broken_hour
from proof.orders import begun, ends, multisets
from proof.outage import Outage
from proof.power import MISSING, compiled, losses, record
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
    "6": "On time",
    "7": "Order does not matter",
    "8": "Nobody is texted against their word",
    "9": "Only the real carriers are believed",
    "10": "Quiet about people",
    "11": "Honest about doubt",
    "kept": "Answers are kept, nothing is sent stale",
    "bug": "Nothing crashes",
    "C2": "Power loss: what was answered is flushed",
    "C5": "Ill carriers are not asked too often",
    "C6": "SIGTERM ends in grace",
    "C8": "Dead letters take effect once",
    "C10": "A soak holds on to nothing",
    "R10": "A backlog: none lost, none twice for nothing",
    "T1": "Timers: none early, missed or twice",
    "T4": "Timers slept through ring once",
    "S2": "No bit and no byte may be changed",
    "S3": "Rude requests are refused",
    "S4": "A bad entry spoils no list",
    "S5": "A replay is old news",
    "S8": "Secrets change without a gap",
    "S10": "No canary is heard",
    "S13": "One id is one message",
    "S14": "A text is a text",
}
LIVED = ("1", "2", "3", "4", "5", "7", "8", "11", "kept", "bug")
POLICIES = (Policy.PROMPT, Policy.CONFIRMED, Policy.STRICT, Policy.HEDGE)
MOST_KILLS = 1000
MOST_EXAMPLES = 100_000
MOST_FAR = 1_000_000
MOST_LETTERS = 668
MOST_OUTAGE = 600.0
MOST_SOAK = 1800.0


@dataclass
class Proof:
    """How often each promise was put to the test, and how often it broke."""

    size: int
    seed: int
    processes: int
    runs: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def tested(self, promises: Iterable[str], runs: int) -> None:
        self.runs.update(dict.fromkeys(promises, runs))

    def violated(self, promise: str, how: str) -> None:
        self.broken[promise] += 1
        say(f"\nPROMISE {promise} IS BROKEN: {how}\n")

    def pool(self) -> Pool:
        return get_context("spawn").Pool(self.processes)

    def judge(self, tally: Tally, where: str) -> None:
        self.tested(LIVED, tally.lives)
        for seed, name, promise, how in tally.violations:
            self.violated(promise, f"{where or f'seed {seed}'}: {name} {how}")

    def part(self, goal: str, runs: int, wrong: Iterable[str], note: str = "") -> None:
        """Count the runs of one goal, and what went wrong in them.

        What begins with a promise's number broke that promise.
        """
        self.tested((goal,), runs)
        for how in wrong:
            promise, sign, words = how.partition(": ")
            named = bool(sign) and promise in PROMISES
            self.violated(*((promise, words) if named else (goal, how)))
        if note:
            self.notes.append(f"{goal} {note}")

    def table(self) -> str:
        rows = [("promise", "runs", "violations")]
        rows += [
            (f"{key} {words}", f"{self.runs[key]:,}", f"{self.broken[key]:,}")
            for key, words in PROMISES.items()
            if self.runs[key] or self.broken[key]
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
    show("done")
    say("\n")


def simulate(proof: Proof) -> None:
    began, lives, late = time.monotonic(), 0, list[float]()
    on_disk, met = 0, Counter[str]()
    with timed("simulated lives") as show:
        # A seed is about 1.4 lives.
        seeds = range(proof.seed, proof.seed + int(proof.size / 1.35) + 1)
        for tally in run_wide(seeds, proof.processes):
            proof.judge(tally, "")
            lives += tally.lives
            on_disk += tally.on_disk
            late += tally.lateness
            met += tally.met
            show(f"{lives:,} of {proof.size:,}")
    pace = lives / (time.monotonic() - began)
    late.sort()
    proof.notes.append(
        f"{lives:,} lives from seed {seeds.start} to {seeds.stop - 1}, {on_disk:,} of"
        f" them on SQLite; {pace:,.0f} lives/s"
    )
    proof.notes += [
        f"{count:,} of them met {what}" for what, count in sorted(met.items())
    ]
    if late:
        proof.notes.append(
            "6 On time: a PROMPT SMS was asked for "
            f"{late[len(late) // 2]:.1f} s after the deadline in the middle,"
            f" {late[len(late) * 99 // 100]:.1f} s at 99%, faults included"
        )


def _die(case: tuple[str, tuple[int, ...], bool]) -> tuple[str, Tally]:
    name, fatal, disk = case
    return f"{name}, dying at {fatal}", die(name, *fatal, disk=disk)


def crash(proof: Proof) -> None:
    alone = [(name, fatal) for name in STORIES for fatal in singles(name)]
    twice = [(name, fatal) for name in PAIRED for fatal in pairs(name)]
    cases = [
        *((*case, False) for case in alone + twice),
        *((*case, True) for case in alone),
    ]
    with timed("crash points") as show, proof.pool() as pool:
        done = pool.imap_unordered(_die, cases, chunksize=40)
        for number, (where, tally) in enumerate(done, 1):
            proof.judge(tally, where)
            if number % 200 == 0:
                show(f"{number:,} of {len(cases):,}")
    proof.notes.append(
        f"{len(alone):,} single crash points of {len(STORIES)} stories, all, in memory"
        f" and on SQLite; {len(twice):,} pairs on the fallback path, all"
    )


def _order(case: tuple[Policy, Contract, int, int]) -> tuple[str, int, int]:
    policy, contract, size, number = case
    receipts = list(multisets(size))[number]
    records, orders = ends(begun(policy, contract), receipts)
    names = " ".join(signal.kind.value for signal in receipts)
    return f"{policy}: {names}", orders, len(records)


def order(proof: Proof) -> None:
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
    with timed("orders of receipts") as show, proof.pool() as pool:
        for where, orders, records in pool.imap_unordered(_order, cases, chunksize=8):
            total += orders
            if records != 1:
                proof.violated("7", f"{where} ends in {records} records")
            show(f"{total:,}")
    proof.tested(("7",), total)
    proof.notes.append(f"{total:,} orders of four and six receipts, one of them twice")


def explored(proof: Proof) -> None:
    most = proof.size // 10
    states = steps = whole = 0
    with timed("states of the table") as show, proof.pool() as pool:
        cases = [(configuration, most) for configuration in CONFIGURATIONS]
        for found in pool.starmap(explore, cases, chunksize=1):
            states += found.states
            steps += found.steps
            whole += found.whole
            if found.hole:
                trace = " -> ".join(found.trace)
                proof.violated("1", f"{found.hole}: {trace}")
            show(f"{states:,}")
    proof.tested(("1", "3", "4", "5"), steps)
    proof.notes.append(
        f"{states:,} states of the table, {steps:,} steps: all that {whole} of"
        f" {len(CONFIGURATIONS)} configurations have, and the nearest of the others"
    )


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
    kills = _runs(proof.size // 200, 3, MOST_KILLS)
    with timed(f"{kills} kills of the real process"), TemporaryDirectory() as folder:
        load, lefts = killed_again_and_again(
            Path(folder) / "state", kills=kills, seed=proof.seed
        )
        for how in load.broken():
            proof.violated(*_split(how))
        for _ in [left for left in lefts if not left.whole]:
            proof.violated("1", "a killed process left a file that is not whole")
        load.running.kill()
    accepted = sum(sent.accepted for sent in load.sent)
    proof.tested(("1", "2", "5", "11"), accepted)
    slowest = load.running.slowest_start
    proof.notes.append(
        f"{kills:,} kills, {accepted:,} messages accepted meanwhile, none lost;"
        f" {sum(left.falling for left in lefts) // kills} falling back at each;"
        f" slowest start {slowest:.1f} s"
    )


def _split(how: str) -> tuple[str, str]:
    promise, _, words = how.partition(": ")
    return promise, words


def attacked(proof: Proof) -> None:
    examples = _runs(proof.size // 20, 50, MOST_EXAMPLES)
    with TemporaryDirectory() as folder, standstill(Path(folder)) as machine:
        call = Caller(machine)
        with timed("forgeries"):
            forged, wrong = attack.refused(
                call,
                (
                    *attack.forged_signatures(),
                    *attack.forged_bodies(),
                    *attack.forged_credentials(),
                ),
            )
            for how in wrong:
                proof.violated("9", how)
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
        f"{forged} forgeries, {examples * len(attack.FUZZED):,} mutated payloads;"
        f" slowest answer {call.slowest:.1f} s"
    )


def changed(proof: Proof) -> None:
    """Each bit, and bytes cut off, added and exchanged, of what RBM signed."""
    others = _runs(proof.size // 4, 5000, 100_000)
    with timed("changed bits and bytes"):
        believed = list(attack.believed_changes(others, proof.seed))
    proof.part("S2", attack.FLIPS + others, believed)


def at_the_doors(proof: Proof) -> None:
    """Each in a Backstop of its own: what one leaves behind is not another's."""
    size, seed = proof.size, proof.seed
    rounds: dict[str, tuple[int, Callable[[Machine, int, Path], Iterable[str]]]] = {
        "S4": (_runs(size // 100, 80, 1000), lambda m, n, _log: doors.lists(m, n)),
        "S5": (
            _runs(size // 400, 15, 3000),
            lambda m, n, _log: doors.replayed(m, n, seed),
        ),
        "S13": (_runs(size // 20, 100, 1000), lambda m, n, _log: doors.repeated(m, n)),
        "S14": (
            _runs(size // 40, 60, 5000),
            lambda m, n, log: doors.injected(m, n, seed, log),
        ),
    }
    for goal, (runs, tried) in rounds.items():
        with (
            timed(f"{goal} {PROMISES[goal]}"),
            TemporaryDirectory() as folder,
            standstill(Path(folder)) as machine,
        ):
            wrong = list(tried(machine, runs, Path(folder) / "log.jsonl"))
            proof.part(goal, runs, wrong)
    requests = _runs(size // 40, doors.ROUND, 100_000)
    with timed("S3 rude requests"), standstill() as machine:
        call = Caller(machine)
        wrong = list(doors.rude(call, requests))
    proof.part("S3", requests, wrong, f"slowest answer {call.slowest:.1f} s")
    requests = _runs(size // 4, 120, 10_000)
    with timed("S8 secrets change"), TemporaryDirectory() as folder:
        wrong = list(doors.rotated(Path(folder), requests))
    proof.part("S8", requests, wrong)


def _runs(wanted: int, least: int, most: int) -> int:
    return max(least, min(most, wanted))


def listened(proof: Proof) -> None:
    lives = _runs(proof.size // 160, 27, 10_000)
    with timed(f"{lives:,} lives full of canaries"), TemporaryDirectory() as folder:
        heard, lived = told(Path(folder), lives, proof.seed)
    proof.part("S10", lived, heard)


def tick(proof: Proof) -> None:
    far = min(MOST_FAR, proof.size * 10)
    burst = _runs(proof.size // 10, 200, 2000)
    with timed(f"timers among {far:,}"), TemporaryDirectory() as folder:
        wrong, late = rung(Path(folder), far=far, burst=burst, steady=2 * burst)
    proof.part(
        "T1",
        3 * burst,
        wrong,
        f"{burst:,} at one instant and {2 * burst:,} in a row, before {far:,} of next"
        f" month; 99 of 100 within {late * 1000:.0f} ms",
    )
    with timed("timers slept through"), TemporaryDirectory() as folder:
        wrong = overslept(Path(folder), burst)
    proof.part("T4", 2 * burst, wrong)


def queue(proof: Proof) -> None:
    each = _runs(proof.size // 100, 10, 200)
    with timed("a backlog and a restart"), TemporaryDirectory() as folder:
        wrong = worked_off(Path(folder), each=each, seed=proof.seed)
    total = THREADS * each
    note = f"{total:,} events and {total:,} timers of {THREADS} threads, one restart"
    proof.part("R10", 2 * total, wrong, note)


def lose_power(proof: Proof) -> None:
    sends = _runs(proof.size // 100, 100, 1000)
    times = _runs(proof.size // 50, 100, 1000)
    with timed(f"{times:,} power losses"), TemporaryDirectory() as folder:
        library = compiled(Path(folder))
        if library is None:
            proof.notes.append(f"C2 {MISSING}")
            return
        load, journal = record(
            Path(folder) / "state", library, sends=sends, seed=proof.seed
        )
        wrong = list(losses(journal, load.answered, times=times, seed=proof.seed))
    proof.part("C2", times, wrong, f"{len(load.answered):,} answers, {times:,} losses")


def fall_ill(proof: Proof) -> None:
    seconds = min(MOST_OUTAGE, proof.size / 1000)
    with timed(f"carriers ill for {seconds:.0f} s"), TemporaryDirectory() as folder:
        outage = Outage(Path(folder) / "state")
        try:
            wrong = outage.suffer(seconds=seconds, each=1)
        finally:
            outage.close()
    note = f"{seconds:.0f} s of illness; slowest answer {outage.slowest:.1f} s"
    proof.part("C5", len(outage.load.sent), wrong, note)


def end(proof: Proof) -> None:
    times = _runs(proof.size // 10_000, 1, 100)
    with timed(f"{times} SIGTERMs under load"), TemporaryDirectory() as folder:
        load, wrong = told_to_end(Path(folder) / "state", times=times, seed=proof.seed)
        load.running.kill()
    note = f"slowest end {load.running.slowest_end:.1f} s"
    proof.part("C6", len(load.sent), wrong, note)


def soak(proof: Proof) -> None:
    seconds = min(MOST_SOAK, proof.size / 2000)
    if not Path("/proc/self").exists():
        proof.notes.append("C10 NOT tested: there is no /proc here")
        return
    with timed(f"a soak of {seconds:.0f} s"), TemporaryDirectory() as folder:
        load, uses = soaked(Path(folder) / "state", seconds=seconds, seed=proof.seed)
        load.running.kill()
    note, wrong = kept(uses)
    proof.part("C10", len(load.sent), wrong, note)


def replay(proof: Proof) -> None:
    messages = _runs(proof.size // 160, 16, MOST_LETTERS)
    with timed("an hour without record"), TemporaryDirectory() as folder:
        hour = broken_hour(Path(folder) / "state", messages)
    note = f"{hour.replayed:,} dead letters replayed, twice"
    proof.part("C8", hour.replayed, hour.broken, note)


PARTS: tuple[Callable[[Proof], None], ...] = (
    *(simulate, crash, order, explored, take_away, kill, attacked, changed),
    *(at_the_doors, listened, tick, queue, lose_power, fall_ill, end, soak, replay),
)


def main(arguments: list[str]) -> int:
    """Prove, or ONLY=some,parts. Returns 1 if any promise was broken."""
    given = dict(argument.split("=", 1) for argument in arguments)
    size = int(given.get("N", "20000"))
    seed = int(given.get("SEED") or 0) or Random().randrange(10**9)
    processes = int(given.get("PROCESSES", "0")) or os.cpu_count() or 1
    parts = {part.__name__: part for part in PARTS}
    chosen = (given.get("ONLY") or ",".join(parts)).split(",")
    proof = Proof(size, seed, processes)
    began = time.monotonic()
    for name in chosen:
        try:
            parts[name](proof)
        except Exception:  # noqa: BLE001 - what the other parts found is told all the same
            proof.tested(("bug",), 1)
            proof.violated("bug", f"{name}: {format_exc()}")
    minutes = (time.monotonic() - began) / 60
    sys.stdout.write(f"SEED={seed}\n{proof.table()}\n\n{minutes:.1f} minutes.\n")
    shutil.rmtree(".hypothesis", ignore_errors=True)
    return 1 if proof.broken.total() else 0
