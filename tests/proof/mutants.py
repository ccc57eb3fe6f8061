"""What may be broken in a file: guards, verifications, the rows of the table."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import CodeType

FUNCTIONS = Path(__file__).parents[2] / "functions"

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
EXCHANGED = {"any": "all", "all": "any", "min": "max", "max": "min"}


@dataclass(frozen=True)
class Mutant:
    """One change of one place: the node of that number in the file's tree."""

    file: str
    line: int
    where: str
    what: str
    number: int
    change: Change

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.where}: {self.what}"

    @property
    def name(self) -> str:
        """Its words without the line, which moves."""
        return f"{self.file} {self.where}: {self.what}"

    @property
    def module(self) -> str:
        return self.file.removesuffix(".py").replace("/", ".")

    def code(self) -> CodeType:
        """Return what the file means with the change, its lines where they were."""
        path = FUNCTIONS / self.file
        tree = ast.parse(path.read_text())
        for number, node in enumerate(ast.walk(tree)):
            if number == self.number:
                self.change(node)
                break
        return compile(ast.fix_missing_locations(tree), str(path), "exec")


def mutants(file: str) -> Iterator[Mutant]:
    """Yield every mutant of a file, of which the path is given within `functions`."""
    tree = ast.parse((FUNCTIONS / file).read_text())
    places = dict(_places(tree, ""))
    for number, node in enumerate(ast.walk(tree)):
        for what, change in _changes(node):
            line = next(n.lineno for n in ast.walk(node) if hasattr(n, "lineno"))
            yield Mutant(file, line, places[node], what, number, change)


def _places(node: ast.AST, where: str) -> Iterator[tuple[ast.AST, str]]:
    """Yield each node with the name of the function or class that it stands in."""
    for child in ast.iter_child_nodes(node):
        inner = where
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            inner = f"{where}.{child.name}".removeprefix(".")
        yield child, inner
        yield from _places(child, inner)


def _changes(  # noqa: C901, PLR0912 - one case per kind of change
    node: ast.AST,
) -> Iterator[tuple[str, Change]]:
    match node:
        case ast.If() | ast.IfExp():
            yield f"the opposite of: if {ast.unparse(node.test)}", _negate
        case ast.BoolOp():
            for place, value in enumerate(node.values):
                if isinstance(value, ast.Constant):
                    continue  # what stands for nothing guards nothing
                what = f"without {ast.unparse(value)} in {ast.unparse(node)}"
                yield what, _drop(place)
        case ast.Compare() if type(node.ops[0]) in OPPOSITES:
            yield f"turned: {ast.unparse(node)}", _turn
        case ast.Raise():
            yield f"without {ast.unparse(node)}", _silence
        case ast.comprehension():
            for place, test in enumerate(node.ifs):
                yield f"without if {ast.unparse(test)}", _admit(place)
        case ast.Call(func=ast.Name(id="Decision"), keywords=[_, *_]):
            for place, word in enumerate(node.keywords):
                yield f"no {word.arg} in {ast.unparse(node)}", _unset(place)
        case ast.Call(func=ast.Name(id="_row"), args=[_, _, *_]):
            for place, (one, other) in enumerate(pairwise(node.args)):
                if ast.dump(one) == ast.dump(other):
                    continue
                pair = f"{ast.unparse(one)} and {ast.unparse(other)}"
                yield f"exchanged {pair} in {ast.unparse(node)}", _exchange(place)
        case ast.Call(func=ast.Name(id=name)) if name in EXCHANGED:
            yield f"{EXCHANGED[name]} for: {ast.unparse(node)}", _rename


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


def _admit(place: int) -> Change:
    def change(node: ast.AST) -> None:
        assert isinstance(node, ast.comprehension)
        del node.ifs[place]

    return change


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


def _rename(node: ast.AST) -> None:
    assert isinstance(node, ast.Call)
    assert isinstance(node.func, ast.Name)
    node.func.id = EXCHANGED[node.func.id]
