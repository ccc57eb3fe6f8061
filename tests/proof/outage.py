"""Carriers that hang, drip, fail, throttle and hang up, before the real process."""

import json
import re
import socket
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from random import Random

from requests import RequestException

from proof.death import POLICIES, Load, Running, Sent

MODES = ("well", "fails", "throttles", "resets", "hangs", "deaf", "drips")
"""What the carrier does to a phone's requests: one digit of its number.

`hangs` takes nothing and never answers, `deaf` does as it was told and never
answers, `drips` likewise but for a byte now and then.
"""

LEGS = ("rcs", "sms")
RETRY_AFTER = 30
DRIP = 0.3
PATIENCE = 25.0
"""`send` gives RBM ten seconds; no carrier may hold it for much longer."""

MOST_CREATES = 3 * 10
"""Three tries per ring, and rings that wait longer and longer."""

RESET = struct.pack("ii", 1, 0)
PHONE = re.compile(r"\+1555(3[0-9]{6})")


@dataclass(frozen=True)
class Asked:
    """One request to a carrier, by the messages' clock and by the machine's."""

    phone: str
    what: str
    at: float
    real: float
    mode: str

    def before(self, other: "Asked") -> float:
        """Return the seconds until the other: either clock may stand still."""
        return max(other.at - self.at, other.real - self.real)


class Front(ThreadingHTTPServer):
    """Stands before the simulated carriers, well or ill."""

    request_queue_size = 256
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.target = ""
        self.asked: list[Asked] = []
        self.well = threading.Event()
        self.well.set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self.well.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever hangs up is the subject of a test, not its failure."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Front

    def _any(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        told = PHONE.search(self.path + raw.decode())
        assert told
        digits, sms = told[1], "/bandwidth/" in self.path
        ill = LEGS[int(digits[2])] == ("sms" if sms else "rcs")
        mode = MODES[int(digits[1])] if ill and not self.server.well.is_set() else ""
        what = "sms" if sms else self.command
        now = (self._now(), time.monotonic())
        self.server.asked.append(Asked(told[0], what, *now, mode))
        getattr(self, f"_{mode or 'well'}")(raw)

    do_POST = do_DELETE = do_GET = _any  # noqa: N815 - their names

    def _well(self, raw: bytes) -> None:
        status, headers, body = self._forward(raw)
        self.send_response(status)
        for name in ("content-type", "retry-after"):
            if name in headers:
                self.send_header(name, headers[name])
        self._end(body)

    def _hangs(self, raw: bytes) -> None:
        self.server.well.wait()
        self.close_connection = True

    def _deaf(self, raw: bytes) -> None:
        self._forward(raw)
        self._hangs(raw)

    def _drips(self, raw: bytes) -> None:
        self._forward(raw)
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not self.server.well.wait(DRIP):
            self.wfile.write(b"z")
        self.close_connection = True

    def _fails(self, raw: bytes) -> None:
        self.send_response(500)
        self._end(b"{}")

    def _throttles(self, raw: bytes) -> None:
        self.send_response(429)
        self.send_header("Retry-After", str(RETRY_AFTER))
        self._end(b"{}")

    def _resets(self, raw: bytes) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.close_connection = True

    def _end(self, body: bytes) -> None:
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _forward(self, raw: bytes) -> tuple[int, object, bytes]:
        held = ("host", "content-length", "connection")
        kept = {k: v for k, v in self.headers.items() if k.lower() not in held}
        connection = HTTPConnection(self.server.target, timeout=PATIENCE)
        try:
            connection.request(self.command, self.path, raw, kept)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def _now(self) -> float:
        connection = HTTPConnection(self.server.target, timeout=PATIENCE)
        try:
            connection.request("GET", "/simulator/clock")
            told = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return datetime.fromisoformat(told["now"]).timestamp()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        """Nothing to tell."""


class Outage:
    """The real process, whose carriers fall ill, each phone's in its own way."""

    def __init__(self, state: Path) -> None:
        self.front = Front()
        front = f"{self.front.url}/simulator"
        self.running = Running(
            state,
            {"RBM_URL": f"{front}/rbm", "BANDWIDTH_URL": f"{front}/bandwidth/api/v2"},
        )
        self.load = Load(self.running, Random(1))
        self.slowest = 0.0

    def suffer(self, *, seconds: float, each: int) -> list[str]:
        """Be ill for so long; return every promise that broke, healed or not.

        *each* is how many messages there are of a mode, leg, policy and deadline.
        """
        said = self.running.start()
        assert not said, said
        self.front.target = self.running.url.removeprefix("http://")
        for leg, phone in (("rcs", {}), ("sms", {"rcs": False})):
            for sent in self._messages(leg, each):
                self.load.sent.append(sent)
                if phone:
                    self.running.call("PUT", f"/simulator/phones/{sent.phone}", phone)
        # Tokens are fetched, so that an illness meets the requests themselves.
        for leg in LEGS:
            self._send(self._healthy(leg))
        self.front.well.clear()
        began = time.monotonic()
        with ThreadPoolExecutor(len(self.load.sent)) as apps:
            list(apps.map(self._send, self.load.sent))
        broken = list(self._neighbours())
        while time.monotonic() < began + seconds:
            self.running.call("GET", "/simulator/clock")
            self.front.well.wait(0.5)
        self.front.well.set()
        broken += list(self._unanswered())
        broken += self.load.broken()
        return broken + list(self._asked_too_often())

    def close(self) -> None:
        self.front.close()
        self.running.kill()

    def _messages(self, leg: str, each: int) -> Iterator[Sent]:
        for digit, _mode in enumerate(MODES):
            for number in range(2 * len(POLICIES) * each):
                phone = f"+15553{digit}{LEGS.index(leg)}{number:04}"
                policy = POLICIES[number % len(POLICIES)]
                ttl = "600s" if number % 8 < len(POLICIES) else "6s"
                yield Sent(f"{phone[5:]}-{ttl}", phone, policy, ttl)

    def _healthy(self, leg: str) -> Sent:
        return next(s for s in self.load.sent if s.phone[7] == str(LEGS.index(leg)))

    def _send(self, sent: Sent) -> None:
        began = time.monotonic()
        try:
            self.load._try(sent)
        except RequestException:
            self.load.refusals.append("nothing")
        self.slowest = max(self.slowest, time.monotonic() - began)

    def _neighbours(self) -> Iterator[str]:
        """Whose carrier is well has nothing to wait for."""
        for sent in self.load.sent:
            if MODES[int(sent.phone[6])] == "well":
                path = f"/v1/phones/{sent.phone}/agentMessages/{sent.name}"
                told = self.running.call("GET", path).json()["delivery"]
                if told["outcome"] == "PENDING" and sent.phone[7] == "0":
                    yield f"6: {sent.name} waits for others' carriers"

    def _unanswered(self) -> Iterator[str]:
        for refusal in self.load.refusals:
            yield f"1: an outage was passed on: {refusal[:7]}"
        if self.slowest > PATIENCE:
            yield f"6: an app waited {self.slowest:.0f} s for its answer"

    def _asked_too_often(self) -> Iterator[str]:
        asked: defaultdict[tuple[str, str], list[Asked]] = defaultdict(list)
        for one in self.front.asked:
            asked[one.phone, one.what].append(one)
        policies = {sent.phone: sent.policy for sent in self.load.sent}
        for (phone, what), times in asked.items():
            mode = MODES[int(phone[6])]
            if what == "sms" and mode != "throttles":
                if len(times) > (1 if policies[phone] == "STRICT" else 2):
                    yield f"5: {len(times)} requests for one SMS of a carrier: {mode}"
            elif len(times) > MOST_CREATES:
                yield f"C5: {len(times)} times {what} of one message: {mode}"
            if mode == "throttles":
                for one, next_one in pairwise(times):
                    gap = one.before(next_one)
                    # What left before the answer was there is another matter.
                    if one.mode and gap < RETRY_AFTER - 0.5 and what != "DELETE":
                        yield f"C5: asked again {gap:.1f} s after a 429"
