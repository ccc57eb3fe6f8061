"""The service itself: Google's method names on this side, ours on the other."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from google.cloud import tasks_v2
from google.protobuf import empty_pb2

from simulator.clock import Clock

from .book import Book
from .courier import Courier
from .dispatcher import Dispatcher
from .rules import (
    Queue,
    RefusedError,
    Task,
    complete_queue,
    complete_task,
    invalid,
    micros,
)
from .signer import Signer

_SERVICE = "google.cloud.tasks.v2.CloudTasks"
_WORKERS = 32
_LARGEST_CALL = 16 * 2**20
_LARGEST_PAGE = 1000
_MICROSECOND = timedelta(microseconds=1)
_FULL = tasks_v2.Task.View.FULL
_LOST = "The service is currently unavailable."


class CloudTasks:
    """A Cloud Tasks of one's own, at a port of this machine alone.

    With a *path* its queues and tasks outlive the process, however that ends; what
    was being dispatched is dispatched again. Times are by *clock*, but for how long a
    target may take: that is real time, at most *patience* if given. `start()` and
    `stop()` once each.
    """

    def __init__(
        self,
        path: Path | None,
        clock: Clock,
        *,
        signer: Signer | None = None,
        tombstone: timedelta = timedelta(hours=24),
        patience: timedelta | None = None,
    ) -> None:
        self.port = 0
        self.signer = signer or Signer()
        self._clock = clock
        self._book = Book(path, tombstone // _MICROSECOND)
        self._courier = Courier(self.signer, patience)
        self._dispatcher = Dispatcher(self._book, clock, self._courier)
        self._calls: Counter[str] = Counter()
        self._guard = threading.Lock()
        self._delay = self._early = 0
        self._to_lose = 0
        self._workers = ThreadPoolExecutor(_WORKERS, "cloud-tasks-call")
        self._server: Any = None

    def start(self, port: int = 0) -> int:
        """Serve on loopback and ring what is due; return the port."""
        self._server = grpc.server(
            self._workers,
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", _LARGEST_CALL),
            ],
        )
        handlers = {
            name: self._handler(name, *row) for name, row in self._methods().items()
        }
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(_SERVICE, handlers),)
        )
        self.port = int(self._server.add_insecure_port(f"127.0.0.1:{port}"))
        self._server.start()
        self._dispatcher.start()
        return self.port

    def stop(self) -> None:
        """End calls and threads and close the file; this is final."""
        if self._server is not None:
            self._server.stop(None).wait()
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._dispatcher.stop()
        self._book.close()
        self._courier.close()

    def idle(self) -> bool:
        """Whether nothing may ring at this instant and nothing is being dispatched."""
        return self._dispatcher.idle()

    def next_due(self) -> datetime | None:
        """When the next task may ring; not in the future if one is under way."""
        return self._dispatcher.next_due()

    def soonest(self, queue: str, size: int) -> list[Any]:
        """Return the next *size* tasks of a queue."""
        return self._book.soonest(queue, size)

    def purge(self, queue: str) -> None:
        """Forget the tasks of a queue; their names stay taken."""
        self._book.purge(queue, self._now())

    def operations(self) -> Counter[str]:
        """How many calls of each method there were, refused ones too, and `Dispatch`es.

        Counted by this process, in memory.
        """
        with self._guard:
            return self._calls + Counter(Dispatch=self._dispatcher.dispatches)

    def create_queue(
        self,
        name: str,
        *,
        retry_config: Mapping[str, Any] | None = None,
        rate_limits: Mapping[str, Any] | None = None,
    ) -> None:
        """Have a queue with these settings, new or old, named by its full path.

        The settings are fields of Google's RetryConfig and RateLimits; durations are
        timedeltas. Tasks already there stay. ValueError for what Google would refuse.
        """
        asked = tasks_v2.Queue(
            name=name, retry_config=retry_config, rate_limits=rate_limits
        )
        try:
            self._book.set_queue(complete_queue(tasks_v2.Queue.pb(asked)))
        except RefusedError as refusal:
            raise ValueError(refusal.text) from refusal
        self._dispatcher.wake()

    # Faults

    def set_tombstone(self, length: timedelta) -> None:
        """Keep the names of ended tasks for *length*, past ones included."""
        self._book.tombstone = length // _MICROSECOND

    def duplicate(self, on: bool) -> None:  # noqa: FBT001 - reads well alone
        """Dispatch everything twice at the same time; the second answer is ignored."""
        self._dispatcher.twice = on

    def delay(self, length: timedelta) -> None:
        """Ring all tasks late by *length*; zero ends it."""
        self._delay = length // _MICROSECOND
        self._shift()

    def early(self, length: timedelta) -> None:
        """Ring all tasks early by *length*; zero ends it."""
        self._early = length // _MICROSECOND
        self._shift()

    def lose_answers(self, count: int) -> None:
        """Let the next *count* tasks be created, but the callers hear UNAVAILABLE."""
        with self._guard:
            self._to_lose = count

    def _shift(self) -> None:
        self._dispatcher.shift = self._delay - self._early
        self._dispatcher.wake()

    # Calls

    def _methods(self) -> dict[str, tuple[Any, Callable[[Any], Any]]]:
        v2 = tasks_v2
        return {
            "CreateTask": (v2.CreateTaskRequest, self._create_task),
            "DeleteTask": (v2.DeleteTaskRequest, self._delete_task),
            "GetTask": (v2.GetTaskRequest, self._get_task),
            "ListTasks": (v2.ListTasksRequest, self._list_tasks),
            "RunTask": (v2.RunTaskRequest, self._run_task),
            "CreateQueue": (v2.CreateQueueRequest, self._create_queue),
            "GetQueue": (v2.GetQueueRequest, self._get_queue),
            "DeleteQueue": (v2.DeleteQueueRequest, self._delete_queue),
            "PauseQueue": (v2.PauseQueueRequest, self._pause_queue),
            "ResumeQueue": (v2.ResumeQueueRequest, self._resume_queue),
            "PurgeQueue": (v2.PurgeQueueRequest, self._purge_queue),
        }

    def _handler(self, name: str, request: Any, answer: Callable[[Any], Any]) -> Any:
        def call(asked: Any, context: Any) -> Any:
            with self._guard:
                self._calls[name] += 1
            try:
                return answer(asked)
            except RefusedError as refusal:
                return context.abort(refusal.code, refusal.text)

        return grpc.unary_unary_rpc_method_handler(
            call,
            request_deserializer=request.pb().FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )

    def _now(self) -> int:
        return micros(self._clock.now())

    def _create_task(self, asked: Any) -> Any:
        now = self._now()
        task = complete_task(asked.parent, asked.task, now)
        self._book.add(task, now)
        self._dispatcher.wake()
        with self._guard:
            lost = self._to_lose > 0
            self._to_lose -= lost
        if lost:
            raise RefusedError(grpc.StatusCode.UNAVAILABLE, _LOST)
        return _view(task, asked.response_view)

    def _delete_task(self, asked: Any) -> Any:
        self._book.delete(asked.name, self._now())
        return empty_pb2.Empty()

    def _get_task(self, asked: Any) -> Any:
        return _view(self._book.find(asked.name, self._now()), asked.response_view)

    def _list_tasks(self, asked: Any) -> Any:
        size = min(asked.page_size or _LARGEST_PAGE, _LARGEST_PAGE)
        if size < 0 or (asked.page_token and not asked.page_token.isdecimal()):
            raise invalid("Invalid page size or page token.")
        found = self._book.page(asked.parent, int(asked.page_token or 0), size + 1)
        answer = tasks_v2.ListTasksResponse.pb()()
        answer.tasks.extend(
            _view(task, asked.response_view) for _, task in found[:size]
        )
        if len(found) > size:
            answer.next_page_token = str(found[size - 1][0])
        return answer

    def _run_task(self, asked: Any) -> Any:
        with self._book.lock:
            task = self._dispatcher.run(self._book.number(asked.name))
        return _view(task, asked.response_view)

    def _create_queue(self, asked: Any) -> Any:
        queue = complete_queue(asked.queue)
        if not queue.name.startswith(f"{asked.parent}/queues/"):
            raise invalid(f"The queue is not in '{asked.parent}'.")
        self._book.add_queue(queue, self._now())
        return queue

    def _get_queue(self, asked: Any) -> Any:
        return self._book.queue(asked.name)

    def _delete_queue(self, asked: Any) -> Any:
        self._book.delete_queue(asked.name, self._now())
        return empty_pb2.Empty()

    def _pause_queue(self, asked: Any) -> Any:
        return self._book.set_state(asked.name, Queue.State.PAUSED)

    def _resume_queue(self, asked: Any) -> Any:
        queue = self._book.set_state(asked.name, Queue.State.RUNNING)
        self._dispatcher.wake()
        return queue

    def _purge_queue(self, asked: Any) -> Any:
        return self._book.purge(asked.name, self._now())


def _view(task: Any, view: int) -> Any:
    """Return a copy as the caller wants it: with its body only in the full view."""
    shown = Task()
    shown.CopyFrom(task)
    shown.view = view or tasks_v2.Task.View.BASIC
    if shown.view != _FULL:
        shown.http_request.ClearField("body")
    return shown
