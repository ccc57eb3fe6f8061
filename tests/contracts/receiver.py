"""What rings and events are delivered to: a server on loopback with a script."""

import json
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.message import Message as Headers
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SILENCE = 0
"""Instead of a status: the connection ends without an answer."""


@dataclass(frozen=True)
class Received:
    """One request, and the instant of the messages' clock at which it came."""

    path: str
    headers: Headers
    body: Any
    at: datetime


class Receiver:
    """Answers 200 unless told otherwise, and remembers every request and answer."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.received: list[Received] = []
        self.answered: list[tuple[str, Any, int]] = []
        self._now = now
        self._next: defaultdict[str, deque[int]] = defaultdict(deque)
        self._rules: dict[str, Callable[[Any], int]] = {}
        self._held: dict[str, threading.Event] = {}
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def at(self, path: str) -> list[Received]:
        return [received for received in self.received if received.path == path]

    def answer(self, path: str, *statuses: int) -> None:
        """Answer the next requests to *path* so, one after the other."""
        self._next[path].extend(statuses)

    def always(self, path: str, status: int | Callable[[Any], int]) -> None:
        """Answer every further request so; a function is asked about the body."""
        self._rules[path] = status if callable(status) else lambda _body: status

    def refuses(self, path: str, body: Any) -> bool:
        """Whether *body* will be refused there for as long as nothing is changed."""
        return self._rules.get(path, lambda _body: 200)(body) >= 300

    def hold(self, path: str) -> None:
        """Let requests to *path* wait for `release`."""
        self._held[path] = threading.Event()

    def release(self, path: str) -> None:
        held = self._held.pop(path, None)
        if held:
            held.set()

    def take(self, path: str, headers: Headers, raw: bytes) -> int:
        """Remember a request. Returns how to answer it."""
        body = json.loads(raw)
        held = self._held.get(path)
        self.received.append(Received(path, headers, body, self._now()))
        if held:
            held.wait()
        try:
            status = self._next[path].popleft()
        except IndexError:
            status = self._rules.get(path, lambda _body: 200)(body)
        self.answered.append((path, body, status))
        return status

    def close(self) -> None:
        for path in list(self._held):
            self.release(path)
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever hangs up on us is the subject of a test, not its failure."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        status = self.server.receiver.take(self.path, self.headers, raw)
        if status == SILENCE:
            self.close_connection = True
            return
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("location", f"{self.server.receiver.url}/elsewhere")
        if status != 204:
            self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
        """Nothing to tell."""
