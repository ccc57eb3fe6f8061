"""The platform in memory, as the contract tests want it: threads, HTTP-like pushes."""

import json
import threading
from base64 import b64encode
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.message import Message as Headers
from random import Random
from typing import Any

from backstop.domain.times import format_time
from contracts.platform import RING, SUBSCRIPTIONS, Letter, Ring
from contracts.receiver import Receiver
from contracts.waiting import until
from simulation.memory import DEAD_AFTER, RINGS, Job, Memory, backoff

WIDTH = 8


class Turns:
    """A port whose calls take turns: the platform in memory knows one thread."""

    def __init__(self, port: object, turn: threading.RLock) -> None:
        self._port = port
        self._turn = turn

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        def call(*args: Any, **more: Any) -> Any:
            with self._turn:
                return method(*args, **more)

        return call


class Life:
    """One process: it rings and pushes until it dies, and forgets what it began."""

    def __init__(self, memory: Memory, turn: threading.RLock) -> None:
        self.memory = memory
        self.turn = turn
        self.busy: dict[int, str] = {}
        self.dead = False


class InMemory:
    """The clock moves only by hand. Jobs are done by threads, a few per lane."""

    dead_after = DEAD_AFTER

    def __init__(self) -> None:
        self._now = datetime.now(UTC).replace(microsecond=0)
        self._random = Random(1)
        self.receiver = Receiver(self.now)
        turn = threading.RLock()
        kinds = {name: frozenset(kinds) for name, kinds in SUBSCRIPTIONS.items()}
        self._life = Life(Memory(self, kinds), turn)
        self._ports = {
            name: Turns(getattr(self._life.memory, name), turn)
            for name in ("messages", "recipients", "reaches", "timers", "events")
        }
        self._threads = ThreadPoolExecutor(WIDTH * (1 + len(kinds)) * 2)
        self._ended = False
        self._pump = threading.Thread(target=self._run, daemon=True)
        self._pump.start()

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_ports"][name]
        except KeyError:
            raise AttributeError(name) from None

    def now(self) -> datetime:
        return self._now

    def move(self, by: timedelta) -> None:
        self._now += by

    def elapse(self, by: timedelta) -> None:
        target = self._now + by
        self.settle()
        while (due := self._next()) and due < target:
            self._now = max(self._now, due)
            self.settle()
        self._now = target
        self.settle()

    def settle(self) -> None:
        until(lambda: not self._life.busy and not self._due())

    def die(self) -> None:
        """Memory is the disk here: what dies is whoever was ringing."""
        old = self._life
        with old.turn:
            self._life = Life(old.memory, old.turn)
            old.dead = True

    def rings(self) -> list[Ring]:
        return [
            Ring(r.body["message"], datetime.fromisoformat(r.body["dueAt"]), r.at)
            for r in self.receiver.at(RING)
        ]

    def dead_letters(self) -> Sequence[Letter]:
        return [
            Letter(
                id=str(job.seq),
                subscription=job.lane,
                reason="refused",
                tries=job.tries,
                attributes=job.subject.attributes(),
                data=job.subject.data,
            )
            for job in self._life.memory.dead
        ]

    def replay(self, letter: Letter) -> bool:
        memory = self._life.memory
        found = [
            job
            for job in memory.dead
            if (str(job.seq), job.lane) == (letter.id, letter.subscription)
        ]
        return bool(found) and memory.revive(found[0], self._now)

    def close(self) -> None:
        for path in (RING, *(f"/{name}" for name in SUBSCRIPTIONS)):
            self.receiver.release(path)
        self._ended = True
        self._pump.join()
        self._threads.shutdown()
        self.receiver.close()

    def _due(self) -> list[Job]:
        life = self._life
        with life.turn:
            return [j for j in life.memory.due(self._now) if id(j) not in life.busy]

    def _next(self) -> datetime | None:
        with self._life.turn:
            return self._life.memory.next_at()

    def _run(self) -> None:
        pause = threading.Event()
        while not self._ended:
            life = self._life
            for job in self._due():
                with life.turn:
                    room = list(life.busy.values()).count(job.lane) < WIDTH
                    if room:
                        life.busy[id(job)] = job.lane
                if room:
                    self._threads.submit(self._deliver, life, job)
            pause.wait(0.001)

    def _deliver(self, life: Life, job: Job) -> None:
        path = RING if job.lane == RINGS else f"/{job.lane}"
        status = self.receiver.take(path, Headers(), _body(job))
        with life.turn:
            if not life.dead:
                self._answered(life.memory, job, ok=200 <= status < 300)
            life.busy.pop(id(job))

    def _answered(self, memory: Memory, job: Job, *, ok: bool) -> None:
        if ok:
            memory.finish(job)
            return
        memory.put_off(job, self._now + backoff(job, self._random.random()))
        job.tries += 1
        if job.lane != RINGS and job.tries >= DEAD_AFTER:
            memory.bury(job)


def _body(job: Job) -> bytes:
    if job.lane == RINGS:
        body: Any = {"message": job.subject, "dueAt": format_time(job.due_at)}
    else:
        body = {
            "message": {
                "data": b64encode(job.subject.data).decode(),
                "attributes": job.subject.attributes(),
                "messageId": str(job.seq),
                "publishTime": format_time(job.due_at),
            },
            "subscription": job.lane,
        }
    return json.dumps(body).encode()
