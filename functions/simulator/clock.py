"""The one clock that messages live on: real, faster, paused, or jumped ahead."""

import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

# While the rate is not 1, the file is at most this many real seconds old, so that a
# restart knows how far the clock can have come.
_HEARTBEAT = 1.0


class Clock:
    """Virtual time: never backwards, not even over a restart; safe in any thread.

    It starts at real time and rate 1. With a *path* its offset and rate survive the
    process. The time in which the process is dead passes at rate 1, or not at all if
    the clock was paused.
    """

    def __init__(
        self, path: Path | None = None, wall: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._wall = wall
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._rate = self._kept_rate = 1.0
        self._anchor = self._latest = self._wall_now = wall()
        if path is not None and path.exists():
            self._resume(json.loads(path.read_text()))
        self._save()

    @property
    def rate(self) -> float:
        """Virtual seconds in a real one; 0 when paused."""
        return self._rate

    def now(self) -> datetime:
        """Return the virtual instant, aware and in UTC."""
        with self._lock:
            return _instant(self._read())

    def set_rate(self, rate: float) -> None:
        """Run at *rate* from now on; 0 pauses. ValueError if negative or no number."""
        if not math.isfinite(rate) or rate < 0:
            raise ValueError("a rate is a number from 0 upwards")
        with self._lock:
            self._read()
            self._anchor, self._wall_now = self._latest, self._wall()
            self._rate = self._kept_rate = float(rate)
            self._save()
        self._announce()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let time stand still but for jumps.

        Should the process die meanwhile, the next one goes on at the rate before.
        """
        with self._lock:
            self._anchor = self._read()
            self._wall_now, self._rate = self._wall(), 0.0
            self._save()
        self._announce()
        try:
            yield
        finally:
            self.set_rate(self._kept_rate)

    def jump_to(self, instant: datetime) -> None:
        """Move ahead to *instant* at once. An instant already past changes nothing."""
        target = _seconds(instant)
        with self._lock:
            if target <= self._read():
                return
            self._anchor, self._wall_now = target, self._wall()
            self._latest = target
            self._save()
        self._announce()

    def seconds_until(self, instant: datetime) -> float | None:
        """Real seconds until *instant* at this rate: 0.0 if past, None if paused."""
        target = _seconds(instant)
        with self._lock:
            left = target - self._read()
            if left <= 0:
                return 0.0
            return left / self._rate if self._rate else None

    def on_change(self, callback: Callable[[], None]) -> None:
        """Have *callback* called after each jump and each change of rate."""
        self._listeners.append(callback)

    def _announce(self) -> None:
        for callback in list(self._listeners):
            callback()

    def _read(self) -> float:
        wall = self._wall()
        current = self._anchor + max(wall - self._wall_now, 0.0) * self._rate
        self._latest = max(self._latest, current)
        if self._rate not in (0.0, 1.0) and wall - self._wall_now > _HEARTBEAT:
            self._anchor, self._wall_now = self._latest, wall
            self._save()
        return self._latest

    def _resume(self, saved: dict[str, float]) -> None:
        gone = max(self._wall_now - saved["wall"], 0.0)
        self._rate = self._kept_rate = saved["rate"]
        # Until the next heartbeat was due the process may have lived at its own rate.
        alive = gone if self._rate == 0 else min(gone, _HEARTBEAT)
        dead = 0.0 if self._rate == 0 else gone - alive
        self._anchor = self._latest = saved["virtual"] + alive * self._rate + dead

    def _save(self) -> None:
        if self._path is None:
            return
        state = {"virtual": self._anchor, "wall": self._wall_now}
        # Who reads along needs to know the rate now; who resumes, the rate before.
        state |= {"rate": self._kept_rate, "running": self._rate}
        draft = self._path.with_name(self._path.name + ".new")
        draft.write_text(json.dumps(state))
        draft.replace(self._path)


def _instant(seconds: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def _seconds(instant: datetime) -> float:
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return instant.timestamp()
