"""What a part of the benchmark answers with, and how the answers are shown."""

import os
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table.

    `values` are repeated measurements in `unit`; `ratio` is the median of the
    ratios to the floor, each of two neighbours in time; `met` is None where there is
    no goal. A row without values says in `remark` why.
    """

    what: str
    unit: str = ""
    values: Sequence[float] = ()
    ratio: float | None = None
    floor: str = ""
    goal: str = ""
    met: bool | None = None
    remark: str = ""


@dataclass(frozen=True)
class Effort:
    """How long a part may take: `short` is for a look, the other for the README."""

    short: bool

    def of(self, full: float, short: float) -> float:
        return short if self.short else full

    def rounds(self, full: int, short: int) -> int:
        return short if self.short else full


def say(line: str) -> None:
    """Show progress, beside the table."""
    sys.stderr.write(f"  {line}\n")
    sys.stderr.flush()


def ratio(subject: Iterable[float], floor: Iterable[float]) -> float:
    """Return the median ratio of measurements that were taken in turn."""
    return statistics.median(s / f for s, f in zip(subject, floor, strict=True))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile of *values*, which need no order."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def calibrate() -> float:
    """Return microseconds for a fixed piece of Python: how fast the machine is now."""
    best = float("inf")
    for _ in range(5):
        begun = perf_counter()
        total = 0
        for number in range(200_000):
            total += number & 7
        best = min(best, perf_counter() - begun)
    return best * 1e6


def machine() -> str:
    """Return what the numbers were taken on, in a line."""
    info = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (info.read_text().splitlines() if info.exists() else ())
        if line.startswith("model name")
    ]
    release = os.uname()
    python = ".".join(map(str, sys.version_info[:3]))
    name = names[0] if names else release.machine
    return f"{os.cpu_count()} x {name}, {release.sysname}, Python {python}"


def table(rows: Iterable[Row]) -> str:
    """Return *rows* as one table in Markdown."""
    lines = [
        "| what | median | spread | ratio | goal | met |",
        "| --- | ---: | ---: | ---: | --- | --- |",
    ]
    verdicts: Mapping[bool | None, str] = {True: "yes", False: "**no**", None: ""}
    for row in rows:
        middle = ""
        if row.values:
            middle = f"{_figure(statistics.median(row.values))} {row.unit}".strip()
        spread = (
            f"{_figure(min(row.values))} to {_figure(max(row.values))}"
            if len(row.values) > 1
            else ""
        )
        of = f" of {row.floor}" if row.floor else ""
        shown = "" if row.ratio is None else f"{row.ratio:.2f}{of}"
        what = f"{row.what}: {row.remark}" if row.remark else row.what
        cells = (what, middle, spread, shown, row.goal, verdicts[row.met])
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _figure(value: float) -> str:
    """Three figures that matter, no more."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
