"""An RBM that takes in anything at the pace it is told, and remembers how it came."""

import json
import threading
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAMED = (200, {"name": "files/one"}, {})


@dataclass
class Taken:
    """A request, as far as it has come."""

    method: str
    path: str
    headers: dict[str, str]
    size: int = 0
    digest: str = ""
    raw: bytearray = field(default_factory=bytearray)


class Recorder:
    """Answers each request from a script, the last answer for ever."""

    def __init__(self):
        self.taken = []
        self.answers = [NAMED]
        self.reading = threading.Event()
        self.reading.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.recorder = self
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self._thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def last(self):
        return self.taken[-1]

    def begin_anew(self):
        self.taken.clear()
        self.answers = [NAMED]
        self.reading.set()

    def close(self):
        self.reading.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def handle_request(self):
        headers = {name.lower(): value for name, value in self.headers.items()}
        taken = Taken(self.command, self.path, headers)
        self.server.recorder.taken.append(taken)
        digest = sha256()
        for part in self._parts():
            taken.size += len(part)
            digest.update(part)
            if taken.size < 1 << 20:
                taken.raw += part
        taken.digest = digest.hexdigest()
        answers = self.server.recorder.answers
        status, body, more = answers.pop(0) if len(answers) > 1 else answers[0]
        if status == 0:
            self.close_connection = True
            self.connection.close()
            return
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = handle_request  # noqa: N815

    def _parts(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self._some(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            part = self._some(min(left, 64 * 1024))
            left -= len(part)
            yield part

    def _some(self, size):
        self.server.recorder.reading.wait(20)
        part = self.rfile.read(size)
        if len(part) < size:
            raise ConnectionError("broken off")
        return part
