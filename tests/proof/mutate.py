"""Breaks the table, each guard and each verification, one at a time, by program.

    python -m proof.mutate [SHARE=0.1] [SEED=…] [ONLY=word]

Every mutant lives in a temporary copy of the tree and has to be caught by the quick
tests there, those that know most of it first. They have to pass without one.
"""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from tempfile import mkdtemp

ROOT = Path(__file__).parents[2]
BACKSTOP = Path("functions/backstop")
PATIENCE = 300

DOMAIN = ("tests/domain", "tests/usecases", "tests/proof/test_orders.py")
LIVES = ("tests/proof/test_crash_points.py", "tests/simulation/test_simulation.py")
WIRES = ("tests/providers/test_rbm_wire.py", "tests/providers/test_bandwidth_wire.py")
CORE = (DOMAIN, LIVES)
LIFE = (("tests/usecases",), LIVES)

TARGETS: dict[str, tuple[tuple[str, ...], ...]] = {
    "domain/policy.py": (
        ("tests/test_readme.py::test_the_drawings_are_the_code",),
        *CORE,
    ),
    "domain/lifecycle.py": CORE,
    "domain/evidence.py": CORE,
    "domain/steps.py": CORE,
    "domain/agenda.py": CORE,
    "usecases/accept.py": LIFE,
    "usecases/handle.py": LIFE,
    "usecases/follow.py": LIFE,
    "providers/rbm/wire.py": (WIRES,),
    "providers/bandwidth/wire.py": (WIRES,),
    "edge/webhooks.py": (("tests/entrypoints",), ("tests/proof/test_attack.py",)),
}
"""What is broken, and the tests that have to notice."""

Change = Callable[[ast.AST], None]
OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    file: str
    line: int
    what: str
    source: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.what}"


def mutants(file: str) -> Iterator[Mutant]:
    """Yield every mutant of a file."""
    tree = ast.parse((ROOT / BACKSTOP / file).read_text())
    for number, node in enumerate(ast.walk(tree)):
        for what, change in _changes(node):
            changed = deepcopy(tree)
            target = next(n for i, n in enumerate(ast.walk(changed)) if i == number)
            change(target)
            source = ast.unparse(ast.fix_missing_locations(changed))
            yield Mutant(file, getattr(node, "lineno", 0), what, source)


def _changes(  # noqa: C901 - one case per kind of change
    node: ast.AST,
) -> Iterator[tuple[str, Change]]:
    match node:
        case ast.If() | ast.IfExp():
            yield f"the opposite of: if {ast.unparse(node.test)}", _negate
        case ast.BoolOp():
            for place, value in enumerate(node.values):
                yield f"without: {ast.unparse(value)}", _drop(place)
        case ast.Compare() if type(node.ops[0]) in OPPOSITES:
            yield f"turned: {ast.unparse(node)}", _turn
        case ast.Raise():
            yield f"without: {ast.unparse(node)}", _silence
        case ast.Call(func=ast.Name(id="Decision"), keywords=[_, *_]):
            for place, word in enumerate(node.keywords):
                yield f"no {word.arg} in {ast.unparse(node)}", _unset(place)
        case ast.Call(func=ast.Name(id="_row"), args=[_, _, *_]):
            for place, (one, other) in enumerate(pairwise(node.args)):
                if ast.dump(one) == ast.dump(other):
                    continue
                yield f"exchanged in {ast.unparse(node)}", _exchange(place)


def _negate(node: ast.AST) -> None:
    assert isinstance(node, (ast.If, ast.IfExp))
    node.test = ast.UnaryOp(op=ast.Not(), operand=node.test)


def _drop(place: int) -> Change:
    def change(node: ast.AST) -> None:
        assert isinstance(node, ast.BoolOp)
        neutral = isinstance(node.op, ast.And)
        node.values[place] = ast.Constant(value=neutral)

    return change


def _turn(node: ast.AST) -> None:
    assert isinstance(node, ast.Compare)
    node.ops[0] = OPPOSITES[type(node.ops[0])]()


def _silence(node: ast.AST) -> None:
    assert isinstance(node, ast.Raise)
    node.__class__ = ast.Pass  # type: ignore[assignment]


def _unset(place: int) -> Change:
    def change(node: ast.AST) -> None:
        assert isinstance(node, ast.Call)
        node.keywords[place].value = ast.Constant(value=False)

    return change


def _exchange(place: int) -> Change:
    def change(node: ast.AST) -> None:
        assert isinstance(node, ast.Call)
        args = node.args
        args[place], args[place + 1] = args[place + 1], args[place]

    return change


def survives(mutant: Mutant) -> bool:
    """Whether the quick tests are content with it."""
    copy = Path(mkdtemp(prefix="mutant-"))
    try:
        for name in ("functions", "tests"):
            shutil.copytree(
                ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        for name in ("pyproject.toml", "README.md", "Makefile"):
            shutil.copy(ROOT / name, copy)
        (copy / BACKSTOP / mutant.file).write_text(mutant.source)
        return all(_passes(copy, *tests) for tests in TARGETS[mutant.file])
    finally:
        shutil.rmtree(copy)


def _passes(copy: Path, *tests: str) -> bool:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", *tests],
            cwd=copy,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def main(arguments: list[str]) -> int:
    """List the survivors. Returns 1 if there are any."""
    given = dict(argument.split("=", 1) for argument in arguments)
    seed = int(given.get("SEED", "0")) or Random().randrange(10**9)
    every = [m for file in TARGETS for m in mutants(file)]
    every = [m for m in every if given.get("ONLY", "") in str(m)]
    share = float(given.get("SHARE", "1"))
    chosen = Random(seed).sample(every, max(1, round(len(every) * share)))
    sys.stdout.write(f"{len(chosen)} of {len(every)} mutants, SEED={seed}\n")
    survivors = 0
    files = {mutant.file for mutant in chosen}
    unhurt = [Mutant(f, 0, "", (ROOT / BACKSTOP / f).read_text()) for f in files]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        if not all(pool.map(survives, unhurt)):
            sys.stdout.write("The tests fail without a mutant as well.\n")
            return 1
        for mutant, alive in zip(chosen, pool.map(survives, chosen), strict=True):
            survivors += alive
            sys.stdout.write(f"{'SURVIVES' if alive else 'caught  '} {mutant}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{survivors} of {len(chosen)} survive.\n")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
