"""The README says what is so."""

import re
from pathlib import Path

from backstop.settings import Settings, read_place
from domain.drawing import README, redrawn

ROOT = README.parent
TEXT = README.read_text()


def test_the_drawings_are_the_code():
    """`make drawing` would change nothing: decision table and reserved numbers."""
    assert redrawn(TEXT) == TEXT


def test_every_promise_names_tests_that_exist():
    """A promise points at what checks it."""
    section = TEXT.partition("## What it promises")[2].partition("\n## ")[0]
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", section)
    assert len(named) >= 11
    for path, test in named:
        assert test in (ROOT / path).read_text(), f"{path}::{test}"


def test_every_path_in_the_map_exists():
    """The map of the code shows what is there."""
    section = TEXT.partition("## Map of the code")[2].partition("\n## ")[0]
    for path in re.findall(r"^\| `([\w./]+)`", section, re.MULTILINE):
        assert (ROOT / path).exists(), path


class _Asked(dict[str, str]):
    """An environment that remembers which names it was asked for."""

    def __init__(self, given: dict[str, str]) -> None:
        super().__init__(given)
        self.names: set[str] = set()

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        self.names.add(name)
        return super().get(name, default)


def test_the_example_environment_is_complete():
    """`.env.example` has every setting, and only those, and is a valid one."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    given = dict(
        line.removeprefix("# ").split("=", 1)
        for line in lines
        if re.match(r"(# )?[A-Z_]+=", line)
    )
    asked = _Asked({name: value.strip("'") for name, value in given.items()})
    Settings.read(asked)
    read_place(asked, function="send")

    assert asked.names == set(given) - {"PLATFORM"}


def test_no_path_of_a_machine_stands_in_the_readme():
    """What a newcomer reads is true on every machine."""
    assert str(Path.home()) not in TEXT
