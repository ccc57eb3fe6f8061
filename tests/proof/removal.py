"""Takes a safeguard away while the program runs, and puts it back."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from inspect import getsource
from textwrap import dedent
from types import FunctionType


class Moved(Exception):  # noqa: N818 - named for what happened
    """The words that were to be taken away are no longer there."""


@dataclass(frozen=True)
class Cut:
    """In *place*, `package.module:function`, *old* becomes *new*."""

    place: str
    old: str
    new: str


@contextmanager
def without(*cuts: Cut) -> Iterator[None]:
    """Run with these words changed, whoever holds the functions. Raises Moved."""
    with ExitStack() as stack:
        for cut in cuts:
            stack.enter_context(_changed(cut))
        yield


@contextmanager
def _changed(cut: Cut) -> Iterator[None]:
    module, _, name = cut.place.partition(":")
    owner, _, method = name.partition(".")
    found = getattr(import_module(module), owner)
    function: FunctionType = getattr(found, method) if method else found
    source = dedent(getsource(function))
    if cut.old not in source:
        raise Moved(f"{cut.place} no longer says {cut.old!r}")
    space: dict[str, FunctionType] = {}
    exec(source.replace(cut.old, cut.new), function.__globals__, space)  # noqa: S102
    before = function.__code__
    function.__code__ = space[method or owner].__code__
    try:
        yield
    finally:
        function.__code__ = before
