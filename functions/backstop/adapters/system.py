"""The machine's own clock, randomness and log."""

import json
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from random import Random
from typing import TextIO

import msgspec

from backstop.logs import CATALOGUE
from backstop.ports import Log
from backstop.tracing import traceparent


class SystemClock:
    """Real time. It only ever runs at its own pace."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def seconds_until(self, instant: datetime) -> float | None:
        return max(0.0, (instant - self.now()).total_seconds())

    def on_change(self, callback: Callable[[], None]) -> None:
        """Nothing to announce."""


class SharedClock:
    """The movable clock of one machine, read from the file that its owner keeps."""

    def __init__(self, path: str) -> None:
        self._path = path

    def now(self) -> datetime:
        with open(self._path) as file:  # noqa: PTH123 - the lighter import
            kept = json.load(file)
        passed = max(time.time() - kept["wall"], 0.0) * kept["running"]
        return datetime.fromtimestamp(kept["virtual"] + passed, UTC)


class SystemRandom:
    """Numbers of its own: nobody else's draws are disturbed."""

    @cached_property
    def random(self) -> Callable[[], float]:
        # Seeded when first asked: whom a server forks before that is not its twin.
        return Random().random

    def new_id(self) -> str:
        return str(uuid.uuid4())


class JsonLog:
    """One JSON line per decision, in Cloud Logging's field names.

    *project* is where a trace is looked up; there is none on a machine of one's own.
    """

    def __init__(self, stream: TextIO, project: str = "") -> None:
        self._stream = stream
        self._traces = f"projects/{project}/traces/" if project else ""

    def __call__(self, message: str, fields: Mapping[str, object]) -> None:
        line = {
            "time": datetime.now(UTC).isoformat(),
            "severity": "INFO",
            "message": message,
            **fields,
        }
        parent = traceparent()
        if parent:
            _version, trace, span, _flags = parent.split("-")
            line["logging.googleapis.com/trace"] = self._traces + trace
            line["logging.googleapis.com/spanId"] = span
        self._stream.write(msgspec.json.encode(line).decode() + "\n")
        self._stream.flush()


class JsonHandler(logging.Handler):
    """Hands what our own modules say through `logging` to a `JsonLog`.

    A foreign library's words may hold URLs, and so phone numbers: nothing of
    theirs is passed on.
    """

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        given = CATALOGUE.get(message, frozenset()) & record.__dict__.keys()
        fields = {name: record.__dict__[name] for name in sorted(given)}
        self._log(message, {"severity": record.levelname, **fields})


def take_over(log: Log) -> None:
    """Let *log* alone write what our own modules say, for as long as we run."""
    ours = logging.getLogger("backstop")
    ours.addHandler(JsonHandler(log))
    ours.propagate = False
