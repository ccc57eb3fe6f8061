"""Breaks the table, each guard and each verification, one at a time, by program.

    make mutate [SHARE=0.1] [SEED=…] [ONLY=word]

Every mutant lives in a process of its own, forked from this one, which has read all
that is not ours beforehand: there its module means something else. Tests of
`make test` have to notice, those first that noticed most of that file before. They
have to pass without a mutant. Those that nothing can notice are in `explained.py`.
"""

import os
import shutil
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory, mkdtemp
from time import monotonic
from types import CodeType
from typing import NoReturn

import pytest

from proof.explained import EXPLAINED
from proof.mutants import FUNCTIONS, Mutant, mutants

ROOT = Path(__file__).parents[2]
AT_ONCE = os.cpu_count() or 1
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made there
"""Where no test has to wait for a disk, if there is such a place."""

QUIETLY = ("-qx", "--tb=no", "-W", "ignore::pytest.PytestAssertRewriteWarning")

WORK, PATIENCE = 20, 120
"""Seconds that a test may work and take: a mutant may well go round in circles."""

LIFE = (
    "tests/usecases/test_races.py",
    "tests/usecases/test_listen.py",
    "tests/usecases/test_crashes.py",
    "tests/simulation/test_simulation.py",
    "tests/proof/test_crash_points.py",
)
CORE = (
    "tests/domain/test_rules.py",
    "tests/domain/test_lifecycle.py",
    "tests/proof/test_orders.py",
    *LIFE,
)
WORDS = ("tests/usecases/test_words.py", "tests/usecases/test_listen.py")
WIRES = ("tests/providers/test_rbm_wire.py", "tests/providers/test_bandwidth_wire.py")
RBM = ("tests/providers/test_rbm_client.py", "tests/providers/test_rbm_beside.py")
BANDWIDTH = ("tests/providers/test_bandwidth_client.py",)
ORDERS = (
    "tests/entrypoints/test_send_refusals.py",
    "tests/entrypoints/test_send_leniency.py",
)
WEBHOOKS = (
    "tests/entrypoints/test_webhook_entry.py",
    "tests/entrypoints/test_sms_webhook_entry.py",
    "tests/proof/test_attack.py",
)
TRIGGERS = "tests/entrypoints/test_trigger_entries.py"
TRAFFIC = "tests/entrypoints/test_traffic.py"
BUSY = "tests/entrypoints/test_busy_machine.py"
TOKENS = "tests/entrypoints/test_api_token.py"

TARGETS: dict[str, tuple[str, ...]] = {
    "backstop/domain/policy.py": (
        "tests/test_readme.py::test_the_drawings_are_the_code",
        *CORE,
    ),
    "backstop/domain/lifecycle.py": CORE,
    "backstop/domain/evidence.py": CORE,
    "backstop/domain/steps.py": CORE,
    "backstop/domain/agenda.py": CORE,
    "backstop/usecases/accept.py": LIFE,
    "backstop/usecases/actions.py": LIFE,
    "backstop/usecases/handle.py": LIFE,
    "backstop/usecases/follow.py": LIFE,
    "backstop/providers/rbm/wire.py": WIRES,
    "backstop/providers/bandwidth/wire.py": WIRES,
    "backstop/providers/rbm/client.py": RBM,
    "backstop/providers/bandwidth/client.py": BANDWIDTH,
    "backstop/domain/message.py": CORE,
    "backstop/domain/consent.py": ("tests/domain/test_consent.py",),
    "backstop/domain/keywords.py": ("tests/domain/test_keywords.py",),
    "backstop/usecases/consent.py": LIFE,
    "backstop/usecases/listen.py": WORDS,
    "backstop/usecases/reach.py": ("tests/usecases/test_known_phones.py",),
    "backstop/edge/webhooks.py": WEBHOOKS,
    "backstop/edge/order.py": ORDERS,
    "backstop/edge/triggers.py": (TRIGGERS, TOKENS),
    "backstop/edge/api.py Api._admit": (TOKENS,),
    "machine/traffic.py Traffic._entry": (TRAFFIC,),
    "machine/traffic.py Traffic._refusal": (TRAFFIC,),
    "machine/traffic.py Traffic._accept": (BUSY,),
    "machine/traffic.py _is_new": (BUSY,),
}
"""What is broken, and the tests that have to notice."""

FOREIGN = ("hypothesis", "msgspec", "starlette.applications", "requests")
"""What takes long to be read, is none of ours and starts nothing."""


@dataclass(frozen=True)
class Trial:
    """Tests that are run with a mutant in the place of its module, or without any."""

    tests: tuple[str, ...]
    mutant: Mutant | None = None


class Mutated(SourceFileLoader):
    """Finds one module, and gives it another meaning."""

    def __init__(self, mutant: Mutant) -> None:
        super().__init__(mutant.module, str(FUNCTIONS / mutant.file))
        self._mutant = mutant

    def find_spec(
        self, fullname: str, _path: object = None, _target: object = None
    ) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        return spec_from_file_location(fullname, self.path, loader=self)

    def get_code(self, _fullname: str) -> CodeType:
        return self._mutant.code()


class Witness:
    """Runs those tests first that noticed most, and writes down the one that runs."""

    def __init__(self, noticed: Counter[str], running: Path) -> None:
        self._noticed = noticed
        self._running = running

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: -self._noticed[item.nodeid])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        _limit()
        self._running.write_text(nodeid)


def every() -> Iterator[Trial]:
    """Yield a trial of each mutant of each target."""
    for target, tests in TARGETS.items():
        file, _, where = target.partition(" ")
        for mutant in mutants(file):
            if mutant.where.startswith(where):
                yield Trial(tests, mutant)


def results(trials: Iterable[Trial]) -> Iterator[tuple[Trial, str]]:
    """Yield each trial as it ends, with the test that failed, "" if all passed."""
    noticed: defaultdict[str, Counter[str]] = defaultdict(Counter)
    waiting = iter(trials)
    under_way: dict[int, tuple[Trial, Path]] = {}
    memory = MEMORY if MEMORY.is_dir() else None
    with TemporaryDirectory(prefix="mutants-", dir=memory) as folder:
        try:
            while True:
                for trial in islice(waiting, AT_ONCE - len(under_way)):
                    place = Path(mkdtemp(dir=folder))
                    file = trial.mutant.file if trial.mutant else ""
                    pid = os.fork()
                    if not pid:
                        _live(trial, noticed[file], place)
                    under_way[pid] = trial, place
                if not under_way:
                    return
                pid, status = os.wait()
                trial, place = under_way.pop(pid)
                _kill(pid)
                failed = (place / "running").read_text() if status else ""
                if trial.mutant:
                    noticed[trial.mutant.file][failed] += 1
                shutil.rmtree(place, ignore_errors=True)
                yield trial, failed
        finally:
            for pid in under_way:
                _kill(pid)


def _live(trial: Trial, noticed: Counter[str], place: Path) -> NoReturn:
    """Be the process that tries it: its answer is that of pytest."""
    os.setsid()
    os.chdir(ROOT)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(place / "hypothesis")
    running = place / "running"
    running.write_text("collection")
    _limit()
    if trial.mutant:
        sys.meta_path.insert(0, Mutated(trial.mutant))
    how = (*QUIETLY, f"--basetemp={place / 'tmp'}")
    code = pytest.main([*how, *trial.tests], plugins=[Witness(noticed, running)])
    os._exit(code)


def _limit() -> None:
    """Let what comes next end this process if it takes too long."""
    signal.setitimer(signal.ITIMER_PROF, WORK)
    signal.alarm(PATIENCE)


def _kill(pid: int) -> None:
    """End a trial with whatever it has started."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def main(arguments: list[str]) -> int:
    """List the survivors. Returns 1 if there are any that nobody has explained."""
    given = dict(argument.split("=", 1) for argument in arguments)
    seed = int(given.get("SEED") or 0) or Random().randrange(10**9)
    trials = list(every())
    only = [t for t in trials if given.get("ONLY", "") in str(t.mutant)]
    share = float(given.get("SHARE") or 1)
    chosen = Random(seed).sample(only, max(1, round(len(only) * share)))
    _say(f"{len(chosen)} of {len(trials)} mutants, SEED={seed}")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for name in FOREIGN:
        import_module(name)
    begun = monotonic()
    unhurt = sorted({test for trial in chosen for test in trial.tests})
    for _trial, failed in results(Trial((test,)) for test in unhurt):
        if failed:
            _say(f"{failed} fails without a mutant as well.")
            return 1
    told = Counter(_verdict(*result) for result in results(chosen))
    names = {str(trial.mutant and trial.mutant.name) for trial in trials}
    for name in EXPLAINED.keys() - names:
        _say(f"GONE      {name}")
    minutes = (monotonic() - begun) / 60
    explained = f"{told['explained']} more are explained"
    _say(f"{told['SURVIVES']} of {len(chosen)} survive, {explained}. {minutes:.1f} min")
    return 1 if told["SURVIVES"] or told["NOTICED"] or EXPLAINED.keys() - names else 0


def _verdict(trial: Trial, failed: str) -> str:
    """Say what became of a mutant. An explained one that was noticed is a mistake."""
    mutant = trial.mutant
    assert mutant
    explained = mutant.name in EXPLAINED
    if failed:
        verdict = "NOTICED" if explained else "caught"
    else:
        verdict = "explained" if explained else "SURVIVES"
    _say(f"{verdict:9} {mutant}{failed and f' by {failed}'}")
    return verdict


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
