"""Webhooks on a disk that takes 2 ms longer for every flush.

The floor commits once per request, which is bound by the disk; ours must not be.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from bench.load import load
from bench.rows import Effort, Row, ratio
from bench.servers import BENCH, embedded, function
from bench.signed import delivered
from machine.credentials import DEFAULTS

CONNECTIONS = 32
TIMES = 5.0
"""The goal: group commits against commits per request."""


def rows(effort: Effort) -> Iterable[Row]:
    compiler = shutil.which("cc")
    if not compiler:
        return [Row(what="a slow disk", remark="not measured: no C compiler, `cc`")]
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "slow_flush.so"
        source = str(BENCH / "slow_flush.c")
        command = [compiler, "-shared", "-fPIC", "-o", str(library), source, "-ldl"]
        subprocess.run(command, check=True)
        return [_measure(effort, folder, {"LD_PRELOAD": str(library)})]


def _measure(effort: Effort, folder: str, slow: dict[str, str]) -> Row:
    durable = BENCH / "floors" / "durable.py"
    least = {"FLOOR_DB": f"{folder}/floor.db", "FLOOR_GROUP": "1"}
    ours: list[float] = []
    floor: list[float] = []
    with (
        function(durable, "durable", DEFAULTS | slow | least) as single,
        embedded(environ=slow) as grouped,
    ):
        for _ in range(effort.rounds(4, 2)):
            for server, rates in ((single, floor), (grouped, ours)):
                seconds = effort.of(3, 1)
                done = load(
                    server.port, delivered, connections=CONNECTIONS, seconds=seconds
                )
                rates.append(done.rate)
    times = ratio(ours, floor)
    return Row(
        what=f"verified, durable webhooks, 2 ms more per flush, {CONNECTIONS} at once",
        unit="/s",
        values=ours,
        ratio=times,
        floor="a commit per request",
        goal=f"at least {TIMES:.0f} x",
        met=times >= TIMES,
    )
