"""What a million messages cost on Google Cloud at list prices, by path.

    PYTHONPATH=functions:tests .venv/bin/python -m bench.cost --write=0.90 --ms=100

Operations are counted by the ledger, on Google's emulators. Every price is an
argument, in US dollars per million; the defaults are the list's, beyond the free
tiers, without logs and without what carriers charge.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping
from math import ceil

from bench.rows import Effort, Row, table
from google_cloud import ledger
from machine import MissingError

REGIONS = {"us-central1": 1.0, "nam5": 2.0}
"""What Firestore costs there, as a multiple."""

FIRESTORE = ("read", "write", "delete")

PER_VCPU_SECOND, PER_GIB_SECOND = 24.0, 2.5

FLOORS: Mapping[str, Mapping[str, int]] = {
    "delivered": {
        "write": 2,
        "task operation": 2,
        "publish": 1,
        "delivery": 1,
        "invocation": 2,
    },
    "fallen back": {
        "read": 1,
        "write": 4,
        "task operation": 2,
        "publish": 2,
        "delivery": 2,
        "invocation": 3,
    },
}
"""The least anybody has argued for, promises like ours or not: 4.5 and 7.5 dollars.

Where there is none, it is the ledger's: the least that our promises allow.
"""

GOALS: Mapping[str, Mapping[str, int]] = {
    "delivered": {"write": 2, "read": 1, "task operation": 2},
    "fallen back": {"write": 6, "read": 4, "task operation": 4},
    "fallen back by the watch": {"write": 6, "read": 4, "task operation": 4},
}

SHOWN = ("write", "read", "task operation", "invocation")

TWILIO = 8300.0
"""Dollars for a million SMS segments or RCS texts in the US, as published."""


def rows(_effort: Effort) -> Iterable[Row]:
    return priced(arguments([]))


def priced(prices: Mapping[str, float]) -> Iterable[Row]:
    try:
        counted = ledger.count_all()
    except MissingError as error:
        return [Row(what="cost", remark=f"not counted: {error}")]
    return [_row(path, counts, prices) for path, counts in counted.items()]


def _row(path: str, counts: Mapping[str, int], prices: Mapping[str, float]) -> Row:
    ours = ledger.dollars(counts, prices)
    least = FLOORS.get(path, ledger.FLOORS[path])
    floor = ledger.dollars({**dict.fromkeys(ledger.COLUMNS, 0), **least}, prices)
    goal = GOALS.get(path, {})
    shown = {what: counts[what] for what in SHOWN}
    return Row(
        what=f"a million messages, {path}",
        unit="$",
        values=[ours],
        ratio=ours / floor,
        floor=f"${floor:.1f}",
        goal=f"at most {_words(goal)}" if goal else "",
        met=all(counts[what] <= most for what, most in goal.items()) if goal else None,
        remark=f"{_words(shown)}; {ours / TWILIO:.2%} of Twilio's fee",
    )


def _words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{ledger.COLUMNS[what]} {n}" for what, n in counts.items())


def arguments(words: list[str]) -> Mapping[str, float]:
    """Return the prices that *words* ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    for what, price in ledger.PRICES.items():
        if what != "instance":
            parser.add_argument(
                f"--{what.replace(' ', '-')}", type=float, default=price
            )
    parser.add_argument("--region", choices=REGIONS, default="us-central1")
    parser.add_argument("--ms", type=float, default=100, help="per invocation, busy")
    parser.add_argument("--vcpu", type=float, default=1 / 6)
    parser.add_argument("--gib", type=float, default=0.25)
    given = vars(parser.parse_args(words))
    prices: dict[str, float] = {
        what: given[what.replace(" ", "_")]
        for what in ledger.PRICES
        if what != "instance"
    }
    for what in FIRESTORE:
        prices[what] *= REGIONS[given["region"]]
    # Billed in steps of 100 ms.
    seconds = ceil(given["ms"] / 100) / 10
    second = given["vcpu"] * PER_VCPU_SECOND + given["gib"] * PER_GIB_SECOND
    return prices | {"instance": seconds * second}


if __name__ == "__main__":
    sys.stdout.write(table(priced(arguments(sys.argv[1:]))) + "\n")
