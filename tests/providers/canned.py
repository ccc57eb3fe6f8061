"""A carrier that answers from a script, over loopback, and remembers requests."""

import json
import socket
import struct
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Answer:
    """What to say to one request; bytes as they are, anything else as JSON."""

    status: int = 200
    body: object = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content(self):
        return (
            self.body
            if isinstance(self.body, bytes)
            else json.dumps(self.body).encode()
        )


RESET = Answer(-1)
SILENCE = Answer(-2)
DRIPPING = "x-dripping"
"""A header: its value comes a byte at a time, the rest of the answer after it."""

DRIP = 0.1


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class Canned:
    """Serves each path prefix from its own script; the last answer stays."""

    def __init__(self):
        self.requests = []
        self._scripts = {}
        self._released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self._thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    def script(self, prefix, *answers):
        self._scripts[prefix] = deque(answers)

    def seen(self, prefix):
        return [r for r in self.requests if r.path.startswith(prefix)]

    def close(self):
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, path):
        prefix = next(p for p in self._scripts if path.startswith(p))
        script = self._scripts[prefix]
        return script.popleft() if len(script) > 1 else script[0]

    def _handler(canned):  # noqa: C901, N805 - the handler's own self is below
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *args):
                pass

            def handle_request(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                canned.requests.append(
                    Request(self.command, self.path, _lower(self.headers), body)
                )
                answer = canned._answer(self.path)
                if answer is RESET:
                    self._reset()
                elif answer is SILENCE:
                    canned._released.wait(10)
                    self._reset()
                else:
                    self._send(answer)

            do_GET = do_POST = do_DELETE = handle_request  # noqa: N815

            def _send(self, answer):
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    if name == DRIPPING:
                        self._drip(value)
                    else:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            def _drip(self, value):
                self.flush_headers()
                self.wfile.write(b"X-Slow: ")
                for byte in value.encode():
                    canned._released.wait(DRIP)
                    self.wfile.write(bytes((byte,)))
                self.wfile.write(b"\r\n")

            def _reset(self):
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.close_connection = True
                self.connection.close()

        return Handler


def _lower(headers):
    return {name.lower(): value for name, value in headers.items()}
