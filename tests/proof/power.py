"""Power loss: whatever was not flushed may be gone, and nobody was told of it.

A small library (power.c) keeps a journal of what the running system writes into its
database and when it flushed. Afterwards the power fails at any record of it: each
file has all that was flushed, and of the rest what chance leaves, whole or torn.
"""

import os
import shutil
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from backstop.domain.message import message_key
from proof.death import Load, Running, Sent

SOURCE = Path(__file__).with_name("power.c")
MISSING = (
    "No C compiler for Linux is here (apt-get install gcc libc6-dev): whether what"
    " was answered survives a power loss is NOT tested"
)
FILES = ("backstop.db", "backstop.db-wal")
HEAD = struct.Struct("<BBQI")
WRITE, TRUNCATE, FLUSH = 1, 2, 3
SECTOR = 512
MEMORY_DISK = "/dev/shm"  # noqa: S108 - for speed; any folder would do


def compiled(folder: Path) -> Path | None:
    """Return the library, None where nothing compiles C for Linux."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        return None
    library = folder / "power.so"
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", library, SOURCE, "-ldl"]
    subprocess.run(command, check=True)
    return library


class Noting(Load):
    """Apps that look, once they are answered, how far the journal has come."""

    journal: Path
    answered: dict[str, int]

    def _try(self, sent: Sent) -> None:
        super()._try(sent)
        if sent.accepted:
            self.answered[sent.name] = self.journal.stat().st_size


@dataclass
class Disk:
    """One file: what is on it for good, and what was written since."""

    durable: bytearray = field(default_factory=bytearray)
    since: list[tuple[int, int, bytes]] = field(default_factory=list)

    def flush(self) -> None:
        for change in self.since:
            _apply(self.durable, *change)
        self.since.clear()

    def after_a_loss(self, chance: Random) -> bytes:
        """Return what is found when the power is back."""
        found = bytearray(self.durable)
        kept = chance.choice((0.0, 0.5, 0.9, 1.0))
        for kind, offset, data in self.since:
            if chance.random() < kept:
                torn = data
                if kind == WRITE and chance.random() < 0.2:
                    torn = data[: chance.randrange(0, len(data) + 1, SECTOR)]
                _apply(found, kind, offset, torn)
        return bytes(found)


def _apply(file: bytearray, kind: int, offset: int, data: bytes) -> None:
    if kind == TRUNCATE:
        del file[offset:]
        file.extend(bytes(offset - len(file)))
        return
    file.extend(bytes(max(0, offset + len(data) - len(file))))
    file[offset : offset + len(data)] = data


def record(state: Path, library: Path, *, sends: int, seed: int) -> tuple[Noting, Path]:
    """Let apps send so much, and return when they were answered, and the journal."""
    journal = state.with_name("power.journal")
    environ = {"LD_PRELOAD": str(library), "POWER_JOURNAL": str(journal)}
    load = Noting(Running(state, environ), Random(seed))
    load.journal, load.answered = journal, {}
    said = load.running.start()
    assert not said, said
    while len(load.answered) < sends:
        load.run(0.5, how=None)
    load.running.kill()
    return load, journal


def records(journal: Path) -> Iterator[tuple[int, int, int, int, bytes]]:
    """Yield where each record ends, its kind, file, offset and bytes."""
    raw = journal.read_bytes()
    at = 0
    while at < len(raw):
        kind, file, offset, length = HEAD.unpack_from(raw, at)
        at += HEAD.size
        yield at + length, kind, file, offset, raw[at : at + length]
        at += length


def losses(
    journal: Path, answered: dict[str, int], *, times: int, seed: int
) -> Iterator[str]:
    """Lose the power so often, and yield every answer that was not kept."""
    chance = Random(seed)
    disks = [Disk(), Disk()]
    ends = [end for end, *_rest in records(journal)]
    begin = next(n for n, end in enumerate(ends) if end >= min(answered.values()))
    cuts = sorted(chance.choices(range(begin, len(ends)), k=times))
    with TemporaryDirectory(dir=_folder()) as folder:
        for number, (end, kind, file, offset, data) in enumerate(records(journal)):
            if kind == FLUSH:
                disks[file].flush()
            else:
                disks[file].since.append((kind, offset, data))
            while cuts and cuts[0] == number:
                cuts.pop(0)
                known = {name for name, at in answered.items() if at <= end}
                for name, disk in zip(FILES, disks, strict=True):
                    Path(folder, name).write_bytes(disk.after_a_loss(chance))
                yield from _wrong(Path(folder), known)


def _wrong(folder: Path, known: set[str]) -> Iterator[str]:
    database = sqlite3.connect(folder / FILES[0])
    try:
        [(verdict,)] = database.execute("PRAGMA integrity_check")
        if verdict != "ok":
            yield f"the file is not whole: {verdict[:60]}"
        kept = {row[0] for row in database.execute("SELECT id FROM messages")}
        lost = {name for name in known if message_key("demo_agent", name) not in kept}
        if lost:
            yield f"{len(lost)} of {len(known)} answers were not kept"
        [(unwatched,)] = database.execute(
            "SELECT count(*) FROM messages WHERE open"
            " AND id NOT IN (SELECT message FROM timers)"
        )
        if unwatched:
            yield f"{unwatched} open messages have no timer"
    except sqlite3.DatabaseError as error:
        yield f"the file cannot be read: {error}"
    finally:
        database.close()
        for left in folder.iterdir():
            left.unlink()


def _folder() -> str | None:
    return MEMORY_DISK if os.access(MEMORY_DISK, os.W_OK) else None
