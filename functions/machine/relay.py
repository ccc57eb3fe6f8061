"""Stands before one of Google's emulators and knows each call there is."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

WORKERS = 64
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
