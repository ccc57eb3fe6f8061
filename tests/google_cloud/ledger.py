"""What a message costs on Google Cloud, counted from the services' side.

    make ledger

plays each path on the emulators, counts what was asked of them as it is billed,
and writes the table into the README. A price argument replaces the list price.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from machine import Machine
from machine.ground import ENTRY_POINTS
from stories.world import VIRTUAL, Json, World

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- ledger -->", "<!-- end -->"

PRICES = {
    "read": 0.30,
    "write": 0.90,
    "delete": 0.10,
    "task operation": 0.40,
    "publish": 0.0364,
    "delivery": 0.0364,
    "invocation": 0.40,
    "instance": 0.46,
}
"""US dollars per million, us-central1; `instance` is 100 ms of 1/6 vCPU and 256 MiB."""

COLUMNS = {
    "read": "reads",
    "write": "writes",
    "task operation": "task operations",
    "publish": "publishes",
    "delivery": "deliveries",
    "carrier call": "carrier calls",
    "invocation": "invocations",
}

PHONE = "+15551230001"


def send(world: World, phone: str) -> Json:
    return world.send(phone, messageTrafficType="TRANSACTION")


def delivered(world: World) -> None:
    """The phone receives the message and nobody opens it."""
    world.phone(PHONE, reads=False)
    send(world, PHONE)


def delivered_and_read(world: World) -> None:
    """The user opens it as well."""
    send(world, PHONE)


def fallen_back(world: World) -> None:
    """RBM says at the expiry that it withdrew the message."""
    world.phone(PHONE, online=False)
    send(world, PHONE)


def fallen_back_by_the_watch(world: World) -> None:
    """RBM says nothing at the expiry: our own timer asks, and is answered 200."""
    send(world, "+15550199006")


def unreachable(world: World) -> None:
    """RBM answers 404: the phone has no RCS."""
    world.phone(PHONE, rcs=False)
    send(world, PHONE)


def known_to_be_unreachable(world: World) -> None:
    """RBM has said so before, and is not asked."""
    send(world, PHONE)


def cancelled(world: World) -> None:
    """The app calls it back while it waits."""
    world.phone(PHONE, online=False)
    sent = send(world, PHONE)
    world.ok("DELETE", f"/v1/{sent['name']}")


PATHS: Mapping[str, Callable[[World], None]] = {
    "delivered": delivered,
    "delivered and read": delivered_and_read,
    "fallen back": fallen_back,
    "fallen back by the watch": fallen_back_by_the_watch,
    "unreachable": unreachable,
    "known to be unreachable": known_to_be_unreachable,
    "cancelled": cancelled,
}

BEFORE: Mapping[str, Callable[[World], None]] = {
    "known to be unreachable": unreachable,
}
"""What has happened by then, and is not the path's to pay."""

SETTINGS: Mapping[str, Mapping[str, str]] = {
    "known to be unreachable": {"REACH_FIRST": "true"},
}
"""What a path's deployment has switched on."""


def floor(*counts: int) -> Mapping[str, int]:
    return dict(zip(COLUMNS, counts, strict=True))


FLOORS = {
    "delivered": floor(1, 2, 2, 2, 1, 1, 3),
    "delivered and read": floor(2, 3, 2, 3, 2, 1, 5),
    "fallen back": floor(3, 4, 2, 3, 2, 2, 5),
    "fallen back by the watch": floor(4, 6, 4, 3, 2, 3, 5),
    "unreachable": floor(3, 4, 2, 3, 2, 2, 4),
    "known to be unreachable": floor(4, 4, 2, 3, 2, 1, 4),
    "cancelled": floor(1, 3, 2, 1, 0, 2, 2),
}
"""What the promises cannot do without; the README argues each."""


@contextmanager
def deployed(settings: Mapping[str, str]) -> Iterator[World]:
    """Run the six functions on emulators of their own."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        environ = os.environ | VIRTUAL.environ() | {"PLATFORM": "google"} | settings
        machine = Machine(state, environ)
        machine.start()
        log = state / "google" / "log.jsonl"
        with closing(World(machine, VIRTUAL, "confirming", log)) as world:
            yield world
        machine.stop()


def count(world: World, path: str) -> Mapping[str, int]:
    """Play a path to its end; return what was asked of whom, and how often."""
    # Whoever serves first fetches tokens and opens channels; that is not the path's.
    PATHS[path](world)
    world.elapse(4 * 3600)
    world.begin_anew()
    if path in BEFORE:
        BEFORE[path](world)
        world.elapse(4 * 3600)
    before = _counted(world)
    PATHS[path](world)
    world.elapse(4 * 3600)
    counted = _counted(world) - before
    world.begin_anew()
    return {column: counted[column] for column in COLUMNS}


def count_all() -> Mapping[str, Mapping[str, int]]:
    """Play every path. Raises MissingError where the emulators are not."""
    counted = {}
    for settings in ({}, *SETTINGS.values()):
        paths = [path for path in PATHS if SETTINGS.get(path, {}) == settings]
        with deployed(settings) as world:
            counted |= {path: count(world, path) for path in paths}
    return {path: counted[path] for path in PATHS}


def _counted(world: World) -> Counter[str]:
    machine = world.machine
    counted = Counter(machine.ground.operations)
    counted["task operation"] = machine.ground.tasks.operations().total()
    calls = machine.traffic.calls
    counted["invocation"] = sum(calls[name] for name in ENTRY_POINTS)
    counted["carrier call"] = calls["rbm"] + calls["bandwidth"]
    # Here every subscriber gets every event; there the filter keeps the rest back.
    counted["invocation"] -= calls["fallback"] + calls["record"] - counted["delivery"]
    return counted


def dollars(counts: Mapping[str, int], prices: Mapping[str, float]) -> float:
    """Return the list price of a million messages of a path."""
    billed = sum(prices.get(column, 0.0) * counts[column] for column in COLUMNS)
    # The record's own end, by TTL, and the time in which instances are busy.
    return billed + prices["delete"] + prices["instance"] * counts["invocation"]


def table(
    counted: Mapping[str, Mapping[str, int]], prices: Mapping[str, float] = PRICES
) -> Iterator[str]:
    yield f"| path | {' | '.join(COLUMNS.values())} | $ per million |"
    yield "| --- |" + " --- |" * (len(COLUMNS) + 1)
    for path, ours in counted.items():
        least = FLOORS[path]
        cells = [f"{ours[column]} / {least[column]}" for column in COLUMNS]
        cells.append(f"{dollars(ours, prices):.1f} / {dollars(least, prices):.1f}")
        yield f"| {path} | {' | '.join(cells)} |"


def written(readme: str, lines: list[str]) -> str:
    before, _, rest = readme.partition(BEGIN)
    return "\n".join([before + BEGIN, "", *lines, "", END + rest.partition(END)[2]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for what, price in PRICES.items():
        parser.add_argument(f"--{what.replace(' ', '-')}", type=float, default=price)
    given = vars(parser.parse_args())
    prices = {what: given[what.replace(" ", "_")] for what in PRICES}
    lines = list(table(count_all(), prices))
    sys.stdout.write("\n".join(lines) + "\n")
    if prices == PRICES:
        README.write_text(written(README.read_text(), lines))


if __name__ == "__main__":
    main()
