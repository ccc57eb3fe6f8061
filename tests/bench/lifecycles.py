"""Whole fallbacks through the running machine, at a rate that is offered to it.

Phones are offline and RBM says nothing at the expiry, so that every message goes the
longest way: it is accepted and sent by RCS, its timer rings, it is revoked, its SMS
falls due, is claimed and sent, the receipt comes, and the outcome is told. All of it
is read off the machine's own log.
"""

import json
import sys
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Timer

import urllib3

from bench.load import http
from bench.offer import Offer, offer
from bench.rows import Effort, Row, percentile, say
from bench.servers import FUNCTIONS, ROOT, Server, running
from machine.credentials import carrier_settings
from machine.emulators import free_port
from simulator.phones import Phones
from simulator.state import Store

RATE = 200
LATEST = 1.0
"""The goals: lifecycles per second, and seconds from a timer's instant to its SMS."""

TTL, MARGIN = 10.0, 1.0
"""The shortest deadline that the API takes."""


BODY = json.dumps(
    {
        "contentMessage": {"text": "Your table is ready"},
        "messageTrafficType": "AUTHENTICATION",
        "ttl": f"{TTL}s",
        "fallback": {"policy": "PROMPT"},
    }
).encode()


def rows(effort: Effort) -> Iterable[Row]:
    seconds = effort.of(60, 4)
    for what, world in WORLDS.items():
        say(what)
        with tempfile.TemporaryDirectory() as folder:
            with world(Path(folder)) as server:
                offered, busy = _offered(server, seconds)
            told = read(Path(folder) / "log.jsonl")
        yield from shown(what, seconds, offered, told, busy)


def _offered(server: Server, seconds: float) -> tuple[Offer, float]:
    """Offer the load; return what came of it, and the server's seconds of CPU.

    These count from the first deadline on: then all of the way is gone at once.
    """
    busy: list[float] = []
    first = Timer(TTL + MARGIN, lambda: busy.append(server.cpu()))
    first.start()
    offered = offer(server.port, request, RATE, TTL + MARGIN + seconds)
    first.join()
    return offered, server.cpu() - busy[0]


def request(number: int) -> bytes:
    path = f"/v1/phones/{_phone(number)}/agentMessages?messageId=bench-{number}"
    return http("POST", path, {"Content-Type": "application/json"}, BODY)


def _phone(number: int) -> str:
    return f"+{15552000000 + number}"


@dataclass(frozen=True)
class Told:
    """Instants that the log tells, each list in order, and each SMS's lateness."""

    accepted: list[float]
    ended: list[float]
    late: list[tuple[float, float]]

    def owed(self, at: float) -> int:
        """Return how many fell due before that instant and had not ended."""
        due = bisect_right(self.accepted, at - TTL - MARGIN)
        return due - bisect_right(self.ended, at)


def read(log: Path) -> Told:
    told = Told([], [], [])
    for line in log.read_text().splitlines():
        said = json.loads(line)
        at = datetime.fromisoformat(said["time"]).timestamp()
        if said["message"] == "accepted":
            told.accepted.append(at)
        elif said["message"] == "outcome" and said["outcome"] == "DELIVERED_SMS":
            told.ended.append(at)
        elif said["message"] == "sms_request":
            told.late.append((at, said["lateSeconds"] - MARGIN))
    return told


def shown(
    what: str, seconds: float, offered: Offer, told: Told, busy: float
) -> Iterator[Row]:
    begun = told.accepted[0] + TTL + MARGIN
    ended = [at - begun for at in told.ended if at < begun + seconds]
    paces = _paces(ended, seconds)
    middle, end = told.owed(begun + seconds / 2), told.owed(begun + seconds)
    late = [late for at, late in told.late if at < begun + seconds]
    yield Row(
        what=f"whole fallbacks, {what}",
        unit="/s",
        values=paces,
        goal=f"{RATE}/s for {seconds:.0f} s, backlog flat",
        met=len(ended) >= RATE * seconds * 0.99 and end <= middle + RATE / 10,
        remark=f"{RATE}/s offered, {offered.bad} refused, {middle} owed in the"
        f" middle, {end} at the end; {1e3 * busy / max(len(ended), 1):.1f} ms of CPU"
        " each",
    )
    yield Row(
        what=f"from the timer's instant to the SMS request, p99, {what}",
        unit="ms",
        values=[1e3 * percentile(late or [float("inf")], 0.99)],
        goal=f"at most {LATEST * 1e3:.0f} ms",
        met=percentile(late or [float("inf")], 0.99) <= LATEST,
        remark=f"p50 {1e3 * percentile(late or [float('inf')], 0.5):.1f} ms",
    )


def _paces(ended: list[float], seconds: float, parts: int = 5) -> list[float]:
    """Return how many ended per second, in each part of the time."""
    part = seconds / parts
    return [
        sum(n * part <= at < (n + 1) * part for at in ended) / part
        for n in range(parts)
    ]


@contextmanager
def together(state: Path) -> Iterator[Server]:
    """All of it in one process, as `make run` has it."""
    _offline(state)
    with _machine(state) as server:
        _settle(server, server)
        yield server


@contextmanager
def lean(state: Path) -> Iterator[Server]:
    """Carriers that answer without thought, and send the receipt."""
    port, ours = free_port(), free_port()
    words = [sys.executable, str(ROOT / "tests/bench/floors/receipts.py")]
    words += [str(port), f"http://127.0.0.1:{ours}/sms_webhook"]
    with running(words, port) as carriers:
        meeting = carrier_settings(state, _url(carriers))
        with _machine(state, meeting, port=ours) as server:
            yield server


WORLDS: Mapping[str, Callable[[Path], AbstractContextManager[Server]]] = {
    "simulators in the same process": together,
    "canned carriers in a process beside it": lean,
}


@contextmanager
def _machine(
    state: Path, environ: Mapping[str, str] | None = None, *, port: int = 0
) -> Iterator[Server]:
    port = port or free_port()
    own = {"PORT": str(port), "STATE": str(state), "MARGIN": f"{MARGIN}s"}
    words = [sys.executable, str(FUNCTIONS / "local.py")]
    with running(words, port, {**own, **(environ or {})}) as server:
        yield server


def _url(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


def _offline(state: Path) -> None:
    """Let all phones that will be written to have no data connection."""
    store = Store(state / "simulator.db")
    phones = Phones(store)
    with store.transaction():
        for number in range(int(RATE * 90)):
            phones.update(_phone(number), {"online": False})
    store.close()


def _settle(carriers: Server, ours: Server) -> None:
    """Let the carriers call *ours*, be quick, and be silent at the expiry."""
    for carrier, settings in {
        "rbm": {"drop": "events", "webhookUrl": f"{_url(ours)}/webhook"},
        "bandwidth": {
            "segmentsPerSecond": 1_000_000,
            "callbackUrl": f"{_url(ours)}/sms_webhook",
        },
    }.items():
        url = f"{_url(carriers)}/simulator/carriers/{carrier}"
        answer = urllib3.request("PUT", url, json=settings)
        assert answer.status == 200, answer.data
