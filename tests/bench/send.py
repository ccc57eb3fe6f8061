"""Part 3: messages accepted durably, timer, record and RBM's answer, per second.

The floor is the same server with one group commit and one call to the same carrier,
all by hand. Jasmin and Kannel accept in the same rounds, and flush nothing.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from operator import attrgetter
from pathlib import Path

from bench.gateways import Requests, jasmin, kannel
from bench.load import Load, http, load
from bench.others import AbsentError
from bench.rows import Effort, Row, ratio, say
from bench.servers import BENCH, Server, carrier, embedded, function
from machine.credentials import DEFAULTS, carrier_settings

CONNECTIONS = 32
TEXT = "Your table at eight is booked. Reply 1 to confirm, or 2 to cancel."
BODY = json.dumps(
    {
        "contentMessage": {"text": TEXT},
        "messageTrafficType": "TRANSACTION",
        "ttl": "600s",
        "metadata": {"order": "108"},
    }
).encode()

OURS, FLOOR = "ours", "one group commit, one call"
PEERS = {"Jasmin": jasmin, "Kannel": kannel}
GOALS = {"Jasmin": 1.3}


def rows(effort: Effort) -> Iterator[Row]:
    seconds = effort.of(4, 2)
    with ExitStack() as stack:
        rbm = stack.enter_context(carrier())
        subject = stack.enter_context(embedded(carriers=rbm, dispatch=True))
        floor = stack.enter_context(accepting(rbm))
        asked = {
            OURS: (subject.port, messages),
            FLOOR: (floor.port, messages),
        }
        for name, gateway in PEERS.items():
            try:
                port, requests = stack.enter_context(gateway(TEXT))
            except AbsentError as absent:
                yield Row(what=name, remark=str(absent))
            else:
                asked[name] = (port, lambda _run, requests=requests: requests)
        done: dict[str, list[Load]] = {name: [] for name in asked}
        for number in range(effort.rounds(6, 2)):
            for name, (port, requests) in asked.items():
                done[name].append(run(port, requests(f"r{number}"), seconds))
            rates = [f"{name} {loads[-1].rate:,.0f}/s" for name, loads in done.items()]
            say(", ".join(rates))
    yield from judged(done)


def judged(done: dict[str, list[Load]]) -> Iterator[Row]:
    ours, floor = done.pop(OURS), done.pop(FLOOR)
    rates = [one.rate for one in ours]
    share = ratio(rates, [one.rate for one in floor])
    yield Row(
        what=f"sends accepted durably, {CONNECTIONS} connections",
        unit="/s",
        values=rates,
        ratio=share,
        floor=FLOOR,
        goal=">= 0.50",
        met=share >= 0.5,
    )
    for share_of, get in (("p50", attrgetter("p50")), ("p99", attrgetter("p99"))):
        values = [get(one) * 1e3 for one in ours]
        yield Row(
            what=f"the same, {share_of}",
            unit="ms",
            values=values,
            ratio=ratio(values, [get(one) * 1e3 for one in floor]),
            floor="the floor's",
        )
    for name, theirs in done.items():
        times = ratio(rates, [one.rate for one in theirs])
        least = GOALS.get(name)
        yield Row(
            what=f"{name}, {CONNECTIONS} connections, nothing flushed",
            unit="/s",
            values=[one.rate for one in theirs],
            ratio=times,
            floor="it are ours",
            goal=f">= {least}" if least else "",
            met=times >= least if least else None,
        )


@contextmanager
def accepting(rbm: Server) -> Iterator[Server]:
    """The floor, with a file and a carrier."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environ = {
            **DEFAULTS,
            **carrier_settings(folder, f"http://127.0.0.1:{rbm.port}"),
            "FLOOR_DB": str(folder / "floor.db"),
        }
        source = BENCH / "floors" / "accepting.py"
        with function(source, "accepting", environ) as server:
            yield server


def messages(prefix: str) -> Requests:
    """Return what makes sends, each a message of its own."""
    headers = {"Content-Type": "application/json"}

    def request(number: int) -> bytes:
        phone = f"+1555{number % 10_000_000:07}"
        path = f"/v1/phones/{phone}/agentMessages?messageId={prefix}-{number}"
        return http("POST", path, headers, BODY)

    return request


def run(port: int, requests: Requests, seconds: float) -> Load:
    """Load a server for so long. Raises OSError if it did not do its part."""
    done = load(port, requests, connections=CONNECTIONS, seconds=seconds)
    if done.bad:
        raise OSError(f"{done.bad} of {done.requests} were refused")
    return done
