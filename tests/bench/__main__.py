"""Measure everything, side by side, and print one table.

    make bench [SHORT=1] [ONLY=webhook,timers]

Nothing else should run on the machine. Each part alternates between what it measures
and the floor beside it; the calibration before and after shows whether the machine
itself kept its pace.
"""

import sys
from importlib import import_module
from time import monotonic

from bench.rows import Effort, Row, calibrate, machine, say, table

PARTS = (
    "cold_start",
    "webhook",
    "send",
    "timers",
    "bus",
    "lifecycles",
    "growth",
    "slow_disk",
    "recovery",
    "cost",
    "proof_speed",
)


def main(words: list[str]) -> int:
    """Run the parts. Returns 1 where a goal was missed."""
    given = dict(word.partition("=")[::2] for word in words)
    effort = Effort(short=bool(given.get("SHORT")))
    chosen = given.get("ONLY") or ",".join(PARTS)
    rows: list[Row] = []
    begun, before = monotonic(), calibrate()
    for name in chosen.split(","):
        say(f"{name} ({monotonic() - begun:.0f} s)")
        rows += import_module(f"bench.{name}").rows(effort)
    after = calibrate()
    sys.stdout.write(
        f"{table(rows)}\n\n{machine()}; calibration {before:,.0f} us before,"
        f" {after:,.0f} us after; {monotonic() - begun:.0f} s in all.\n"
    )
    return 0 if all(row.met is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
