"""Stands before one of Google's emulators and knows each call there is."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import urllib3

WORKERS = 64
PATIENCE = 2.5
"""Seconds: nobody waits longer for one publication."""

LARGEST = ("grpc.max_receive_message_length", 16 * 2**20)

Answered = Callable[[str, bytes, list[bytes]], None]
"""Told of each call that succeeded: method, request, answers, all as on the wire."""


class Relay(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Hands calls to *target*, host and port, in the bytes in which they came.

    Calls with one request, that is; nothing of ours streams requests. `answered` is
    told before the caller is.
    """

    def __init__(self, target: str, answered: Answered) -> None:
        self._answered = answered
        self._guard = threading.Lock()
        self._open = 0
        self._channel = grpc.insecure_channel(target, options=[LARGEST])
        self._workers = ThreadPoolExecutor(WORKERS, "relay")
        self._server = grpc.server(self._workers, options=[LARGEST])
        self._server.add_generic_rpc_handlers((self,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def stop(self) -> None:
        self._server.stop(None).wait()
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._channel.close()

    def idle(self) -> bool:
        """Whether no call is under way."""
        return self._open == 0

    def service(self, call: Any) -> Any:
        """Return the handler of any method; part of gRPC's own interface."""
        forward = self._channel.unary_stream(call.method)
        method = call.method.rpartition("/")[2]

        def handle(request: bytes, context: Any) -> Iterator[bytes]:
            self._count(1)
            try:
                metadata = [
                    (name, value)
                    for name, value in context.invocation_metadata()
                    if not name.startswith(("grpc-", "user-agent"))
                ]
                answers = list(
                    forward(
                        request, timeout=context.time_remaining(), metadata=metadata
                    )
                )
                self._answered(method, request, answers)
            except grpc.RpcError as error:
                context.set_trailing_metadata(error.trailing_metadata() or ())
                context.abort(error.code(), error.details())
            finally:
                self._count(-1)
            yield from answers

        return grpc.unary_stream_rpc_method_handler(handle)

    def _count(self, by: int) -> None:
        with self._guard:
            self._open += by


class RestRelay:
    """The same for calls over REST: POST alone, and a status beside the answer.

    `answered` is told of those with status 200: path, request, answer.
    """

    def __init__(
        self, target: str, answered: Callable[[str, bytes, bytes], None]
    ) -> None:
        self.target = f"http://{target}"
        self.answered = answered
        self.http = urllib3.PoolManager(maxsize=WORKERS, retries=False)
        self._guard = threading.Lock()
        self._open = 0
        self._server = _RestServer(("127.0.0.1", 0), _RestCall)
        self._server.relay = self
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.http.clear()

    def idle(self) -> bool:
        """Whether no call is under way."""
        return self._open == 0

    def count(self, by: int) -> None:
        with self._guard:
            self._open += by


class _RestServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = WORKERS
    relay: RestRelay

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever hangs up has stopped waiting."""


class _RestCall(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _RestServer

    def do_POST(self) -> None:
        relay = self.server.relay
        relay.count(1)
        try:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, content = self._ask(relay, body)
        finally:
            relay.count(-1)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _ask(self, relay: RestRelay, body: bytes) -> tuple[int, bytes]:
        try:
            answer = relay.http.request(
                "POST",
                relay.target + self.path,
                body=body,
                headers={"Content-Type": "application/json"},
                timeout=PATIENCE,
            )
        except urllib3.exceptions.HTTPError:
            return 503, b""
        if answer.status == 200:  # noqa: PLR2004 - HTTP's own word
            relay.answered(self.path, body, answer.data)
        return answer.status, answer.data

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
        """Nothing to tell."""
