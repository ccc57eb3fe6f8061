"""Rings and events by the thousand on the real dispatcher, and a restart among them.

None is lost. Within one life whatever was not refused comes exactly once, and the
next life repeats no more than each lane had in hand when the first one ended.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from backstop.adapters.embedded.dispatcher import TAKEN
from backstop.domain.message import message_key
from contracts.embedded import Embedded
from contracts.events_contract import event
from contracts.platform import RING
from contracts.waiting import at_once, until

THREADS = 20
REFUSED = 10
"""One in so many is refused once, in each lane others."""

LATER = timedelta(seconds=10)
AFTER_REFUSALS = timedelta(minutes=1)
PATIENCE = 300.0


class Lane:
    """Takes what comes to one path: half of it, and the rest after the restart."""

    def __init__(self, wanted: list[str], chance: Random) -> None:
        self.wanted = set(wanted)
        self.refused = set(chance.sample(wanted, len(wanted) // REFUSED))
        self.shut = threading.Event()
        self.restarted = threading.Event()
        self._unrefused = dict.fromkeys(self.refused, 503)
        self._came = count(1)

    def __call__(self, body: Any) -> int:
        if next(self._came) > len(self.wanted) // 2:
            self.shut.set()
            self.restarted.wait()
        return self._unrefused.pop(_name(body), 200)


class Backlog:
    """So many events and timers *each* of the threads makes, on one platform."""

    def __init__(self, folder: Path, each: int, seed: int) -> None:
        chance = Random(seed)
        numbers = range(THREADS * each)
        self.platform = Embedded(folder)
        self._events = [f"e-{n}" for n in numbers]
        self._timers = [str(message_key("backlog", str(n))) for n in numbers]
        self._lanes = {
            RING: Lane(self._timers, chance),
            "/everything": Lane(self._events, chance),
            "/receipts": Lane(self._events, chance),
        }
        for path, lane in self._lanes.items():
            self.platform.receiver.always(path, lane)

    def run(self) -> None:
        """Make all of it, half of the timers for later; restart in the midst of it."""
        platform = self.platform
        at_once([lambda n=n: self._make(n) for n in range(THREADS)])
        platform.move(LATER)
        for lane in self._lanes.values():
            lane.shut.wait(PATIENCE)
        platform.die()
        for lane in self._lanes.values():
            lane.restarted.set()
        until(platform.life.dispatcher.idle, within=PATIENCE)
        platform.move(AFTER_REFUSALS)
        until(platform.life.dispatcher.idle, within=PATIENCE)

    def _make(self, thread: int) -> None:
        now = self.platform.now()
        for number in range(thread, len(self._events), THREADS):
            self.platform.events.publish(event(self._events[number]))
            later = number // THREADS % 2 * LATER
            self.platform.timers.arm(self._timers[number], at=now + later)

    def wrong(self) -> Iterator[str]:
        for path, lane in self._lanes.items():
            came = Counter(
                (request.headers["authorization"], _name(request.body))
                for request in self.platform.receiver.at(path)
            )
            taken = {
                _name(body)
                for where, body, status in self.platform.receiver.answered
                if (where, status) == (path, 200)
            }
            twice = [
                name
                for (_life, name), times in came.items()
                if times > 1 + (name in lane.refused)
            ]
            lives = Counter(name for _life, name in came)
            repeated = [n for n in lives.keys() - lane.refused if lives[n] > 1]
            if lost := len(lane.wanted - taken):
                yield f"{lost} of {path} were lost"
            if twice:
                yield f"{len(twice)} of {path} came twice for no reason"
            if len(repeated) > TAKEN:
                yield f"the restart repeated {len(repeated)} of {path}"

    def close(self) -> None:
        for lane in self._lanes.values():
            lane.restarted.set()
        self.platform.close()


def _name(body: Any) -> str:
    told = body["message"]
    return str(told if isinstance(told, str) else told["attributes"]["ce-id"])


def worked_off(folder: Path, *, each: int, seed: int) -> list[str]:
    """Return what was wrong with 20 times *each* events, and as many timers."""
    backlog = Backlog(folder, each, seed)
    try:
        backlog.run()
        return list(backlog.wrong())
    finally:
        backlog.close()
