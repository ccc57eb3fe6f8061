import base64
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from google.api_core import exceptions
from google.cloud.tasks_v2 import CloudTasksClient
from google.cloud.tasks_v2.services.cloud_tasks.transports import (
    CloudTasksGrpcTransport,
)
from google.cloud.tasks_v2.types import HttpMethod, Queue, Task

from simulator.cloud_tasks import CloudTasks

PARENT = "projects/p/locations/l"
QUEUE = f"{PARENT}/queues/q"
OTHER = f"{PARENT}/queues/other"
PATIENCE = 10
SOURCES = str(Path(__file__).parents[2] / "functions")
NO_QUEUE = (
    "Queue does not exist. If you just created the queue,"
    " wait at least a minute for the queue to initialize."
)
STEADY = {
    "min_backoff": timedelta(seconds=1),
    "max_backoff": timedelta(seconds=1),
    "max_attempts": -1,
}


def seconds(count):
    return timedelta(seconds=count)


def until(claim):
    """Poll for *claim*; fail when it does not come true."""
    ends = time.monotonic() + PATIENCE
    while not (found := claim()):
        assert time.monotonic() < ends, "never came true"
        time.sleep(0.001)
    return found


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        target = self.server.target
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        target.arrive(self.command, self.path, self.headers, body)
        if self.path == "/held":
            target.gate.wait(PATIENCE)
        status, headers = target.answers.pop(0) if target.answers else (200, {})
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 - not our names

    def log_message(self, *_):
        pass


class Listener(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

    def handle_error(self, *_):
        """Nobody waits for the answer any more: some tests want that."""


class Target:
    """Where tasks go; its answers can be scripted and /held waits for the gate."""

    def __init__(self, clock):
        self.clock = clock
        self.requests = []
        self.times = []
        self.answers = []
        self.gate = threading.Event()
        self._lock = threading.Lock()
        self._server = Listener(("127.0.0.1", 0), Handler)
        self._server.target = self
        self.base = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self._thread.start()

    def arrive(self, *request):
        with self._lock:
            self.requests.append(request)
            self.times.append(self.clock.now())

    def header(self, name):
        """The values of an X-CloudTasks header, request by request."""
        return [headers[f"X-CloudTasks-{name}"] for _, _, headers, _ in self.requests]

    def close(self):
        self.gate.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Cloud:
    """A server with one queue, the official client, and a clock moved by hand."""

    def __init__(self, path, clock, target, **options):
        self.clock = clock
        self.target = target
        self.tasks = CloudTasks(path, clock, **options)
        self.tasks.create_queue(QUEUE)
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.tasks.start()}")
        self.client = CloudTasksClient(
            transport=CloudTasksGrpcTransport(channel=self.channel)
        )

    def close(self):
        self.channel.close()
        self.tasks.stop()

    def queue(self, retry=None, **rates):
        self.tasks.create_queue(QUEUE, retry_config=retry, rate_limits=rates)

    def create(self, name=None, *, after=None, path="/ring", queue=QUEUE, **fields):
        task = {"http_request": {"url": self.target.base + path}} | fields
        if name:
            task["name"] = f"{queue}/tasks/{name}"
        if after is not None:
            task["schedule_time"] = self.clock.now() + after
        return self.client.create_task(parent=queue, task=task, retry=None)

    def get(self, name="t"):
        return self.client.get_task(name=f"{QUEUE}/tasks/{name}")

    def delete(self, name="t"):
        self.client.delete_task(name=f"{QUEUE}/tasks/{name}", retry=None)

    def run(self, name="t"):
        return self.client.run_task(name=f"{QUEUE}/tasks/{name}")

    def names(self):
        return [task.name.rpartition("/")[2] for task in self.waiting()]

    def waiting(self):
        return list(self.client.list_tasks(parent=QUEUE))

    def settle(self):
        until(self.tasks.idle)

    def advance(self, length):
        """Let everything due within *length* happen, each at its instant."""
        ends = self.clock.now() + length
        self.settle()
        while (due := self.tasks.next_due()) is not None and due <= ends:
            self.clock.jump_to(due)
            self.settle()
        self.clock.jump_to(ends)

    def arrivals(self, count):
        return until(lambda: len(self.target.requests) >= count)


@pytest.fixture
def target(clock):
    target = Target(clock)
    yield target
    target.close()


@pytest.fixture
def clouds(clock, target):
    """Open a server; opening another one closes the last."""
    opened = []

    def open_cloud(path=None, **options):
        if opened:
            opened.pop().close()
        opened.append(Cloud(path, clock, target, **options))
        return opened[-1]

    yield open_cloud
    target.gate.set()
    for cloud in opened:
        cloud.close()


@pytest.fixture
def cloud(clouds):
    return clouds()


class TestNames:
    def test_a_queue_must_exist(self, cloud):
        with pytest.raises(exceptions.NotFound) as caught:
            cloud.create("t", queue=OTHER)

        assert caught.value.message == NO_QUEUE

    def test_a_name_in_use_is_refused(self, cloud):
        cloud.create("t", after=seconds(60))

        with pytest.raises(exceptions.AlreadyExists) as caught:
            cloud.create("t")
        assert caught.value.message == "Requested entity already exists"

    @pytest.mark.parametrize("end", ["finished", "deleted", "purged"])
    def test_a_name_is_kept_after_its_task(self, cloud, end):
        cloud.create("t", after=seconds(60))
        if end == "deleted":
            cloud.delete()
        elif end == "purged":
            cloud.client.purge_queue(name=QUEUE)
        cloud.advance(timedelta(hours=23))
        with pytest.raises(exceptions.AlreadyExists):
            cloud.create("t")
        cloud.advance(timedelta(hours=1, seconds=61))

        assert cloud.create("t").name == f"{QUEUE}/tasks/t"

    def test_names_can_be_free_at_once(self, clouds):
        cloud = clouds(tombstone=timedelta(0))
        cloud.create("t", after=seconds(60))
        cloud.delete()
        cloud.create("t")

        cloud.settle()
        assert cloud.target.header("TaskName") == ["t"]

    def test_how_long_names_are_kept_can_change(self, cloud):
        cloud.tasks.set_tombstone(timedelta(hours=1))
        cloud.create("t")
        cloud.advance(timedelta(minutes=59))
        with pytest.raises(exceptions.AlreadyExists):
            cloud.create("t")
        cloud.advance(timedelta(minutes=1))

        cloud.create("t")

    def test_a_missing_name_is_made(self, cloud):
        first, second = (cloud.create(after=seconds(60)).name for _ in range(2))

        assert first != second
        assert first.removeprefix(f"{QUEUE}/tasks/").isdecimal()


class TestAbsence:
    @pytest.mark.parametrize("call", ["get", "delete", "run"])
    def test_an_unknown_task_is_not_found(self, cloud, call):
        with pytest.raises(exceptions.NotFound) as caught:
            getattr(cloud, call)()

        assert caught.value.message == "Requested entity was not found."

    def test_a_finished_task_is_said_to_have_been(self, cloud):
        cloud.create("t")
        cloud.settle()

        with pytest.raises(exceptions.NotFound, match="existed recently"):
            cloud.get()
        for call in (cloud.delete, cloud.run):
            with pytest.raises(exceptions.NotFound, match="was not found"):
                call()

    def test_other_methods_are_unimplemented(self, cloud):
        with pytest.raises(exceptions.MethodNotImplemented):
            cloud.client.list_queues(parent=PARENT)


INVALID = {
    "too far ahead": {"schedule_time": timedelta(days=30, seconds=1)},
    "too large": {"http_request": {"url": "http://h", "body": b"." * 2**20}},
    "deadline too short": {"dispatch_deadline": timedelta(seconds=14)},
    "deadline too long": {"dispatch_deadline": timedelta(minutes=30, seconds=1)},
    "no url": {"http_request": {}},
    "no scheme": {"http_request": {"url": "host/path"}},
    "long url": {"http_request": {"url": "http://h/" + "p" * 2083}},
    "large headers": {
        "http_request": {"url": "http://h", "headers": {"X-A": "a" * 82_000}}
    },
    "body of a GET": {
        "http_request": {"url": "http://h", "http_method": "GET", "body": b"b"}
    },
    "bad name": {"name": f"{QUEUE}/tasks/a b"},
    "long name": {"name": f"{QUEUE}/tasks/" + "n" * 501},
    "another queue's name": {"name": f"{OTHER}/tasks/t"},
}


class TestLimits:
    @pytest.mark.parametrize("fields", INVALID.values(), ids=INVALID)
    def test_invalid_tasks_are_refused(self, cloud, fields):
        fields = dict(fields)
        if "schedule_time" in fields:
            fields["schedule_time"] += cloud.clock.now()

        with pytest.raises(exceptions.InvalidArgument):
            cloud.create(**fields)
        assert cloud.names() == []

    def test_the_limits_themselves_are_allowed(self, cloud):
        url = cloud.target.base + "/ring"
        name = "-_9" + "n" * 497
        body = b"." * (2**20 - 1000)
        cloud.create(
            name,
            after=timedelta(days=30),
            http_request={"url": url, "body": body},
            dispatch_deadline=timedelta(minutes=30),
        )
        cloud.create("t", after=seconds(1), dispatch_deadline=seconds(15))

        assert cloud.names() == [name, "t"]

    def test_a_long_body_arrives(self, cloud):
        body = b"." * (2**20 - 1000)
        cloud.create(http_request={"url": cloud.target.base, "body": body})
        cloud.settle()

        assert cloud.target.requests[0][3] == body


class TestQueues:
    def test_defaults(self, cloud):
        queue = cloud.client.get_queue(name=QUEUE)

        assert queue.state is Queue.State.RUNNING
        assert queue.rate_limits.max_dispatches_per_second == 500
        assert queue.rate_limits.max_concurrent_dispatches == 1000
        assert queue.retry_config.max_attempts == 100
        assert queue.retry_config.min_backoff == seconds(0.1)
        assert queue.retry_config.max_backoff == seconds(3600)
        assert queue.retry_config.max_doublings == 16

    def test_created_by_call(self, cloud):
        cloud.client.create_queue(parent=PARENT, queue={"name": OTHER})
        cloud.create("t", queue=OTHER)
        cloud.settle()

        assert cloud.target.header("QueueName") == ["other"]
        with pytest.raises(exceptions.AlreadyExists, match="Queue already exists"):
            cloud.client.create_queue(parent=PARENT, queue={"name": OTHER})

    def test_deleted_with_its_tasks_and_blocked(self, cloud):
        cloud.create("t", after=seconds(60))
        cloud.client.delete_queue(name=QUEUE)
        cloud.advance(seconds(61))

        assert cloud.target.requests == []
        with pytest.raises(exceptions.NotFound, match="Queue does not exist"):
            cloud.create("u")
        with pytest.raises(exceptions.NotFound, match="Queue does not exist"):
            cloud.client.get_queue(name=QUEUE)
        with pytest.raises(exceptions.FailedPrecondition, match="too recently"):
            cloud.client.create_queue(parent=PARENT, queue={"name": QUEUE})
        cloud.advance(timedelta(days=7))
        cloud.client.create_queue(parent=PARENT, queue={"name": QUEUE})
        assert cloud.names() == []

    def test_unknown_queues_are_not_found(self, cloud):
        client = cloud.client
        for call in (client.pause_queue, client.resume_queue, client.purge_queue):
            with pytest.raises(exceptions.NotFound, match="Queue does not exist"):
                call(name=OTHER)
        with pytest.raises(exceptions.NotFound, match="was not found"):
            client.delete_queue(name=OTHER)

    @pytest.mark.parametrize(
        "settings",
        [
            {"rate_limits": {"max_dispatches_per_second": 501}},
            {"rate_limits": {"max_concurrent_dispatches": -1}},
            {"retry_config": {"max_attempts": -2}},
            {"retry_config": {"min_backoff": seconds(9), "max_backoff": seconds(8)}},
        ],
    )
    def test_impossible_settings_are_refused(self, cloud, settings):
        with pytest.raises(exceptions.InvalidArgument):
            cloud.client.create_queue(parent=PARENT, queue={"name": OTHER, **settings})
        with pytest.raises(ValueError, match=r"."):
            cloud.tasks.create_queue(OTHER, **settings)

    def test_a_paused_queue_keeps_its_tasks(self, cloud):
        cloud.client.pause_queue(name=QUEUE)
        cloud.create("t")
        cloud.advance(seconds(60))
        assert (cloud.target.requests, cloud.tasks.next_due()) == ([], None)

        assert cloud.client.resume_queue(name=QUEUE).state is Queue.State.RUNNING
        cloud.settle()
        assert cloud.target.header("TaskName") == ["t"]

    def test_a_list_comes_in_pages(self, cloud):
        for name in "abcde":
            cloud.create(name, after=seconds(60))
        pages = cloud.client.list_tasks(request={"parent": QUEUE, "page_size": 2}).pages

        assert [len(page.tasks) for page in pages] == [2, 2, 1]
        assert cloud.names() == list("abcde")

    def test_a_purge_forgets_all_tasks(self, cloud):
        cloud.create("t", after=seconds(60))

        assert cloud.client.purge_queue(name=QUEUE).purge_time == cloud.clock.now()
        assert (cloud.names(), cloud.tasks.next_due()) == ([], None)


class TestRequests:
    def test_what_the_target_sees(self, cloud):
        cloud.create(
            "t",
            after=seconds(1.5),
            http_request={
                "url": f"{cloud.target.base}/ring?a=b",
                "headers": {"X-Mine": "1", "x-cloudtasks-taskname": "forged"},
                "body": b"hello",
            },
        )
        cloud.advance(seconds(2))

        [(method, path, headers, body)] = cloud.target.requests
        assert (method, path, body) == ("POST", "/ring?a=b", b"hello")
        assert headers.get_all("X-CloudTasks-TaskName") == ["t"]
        assert {
            name: value
            for name, value in headers.items()
            if name.startswith(("X-", "User", "Content-Type", "Auth"))
        } == {
            "User-Agent": "Google-Cloud-Tasks",
            "X-Mine": "1",
            "X-CloudTasks-QueueName": "q",
            "X-CloudTasks-TaskName": "t",
            "X-CloudTasks-TaskRetryCount": "0",
            "X-CloudTasks-TaskExecutionCount": "0",
            "X-CloudTasks-TaskETA": f"{cloud.target.times[0].timestamp():.6f}",
        }

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    def test_the_method_can_be_chosen(self, cloud, method):
        url = cloud.target.base
        cloud.create(http_request={"url": url, "http_method": HttpMethod[method]})
        cloud.settle()

        assert [request[0] for request in cloud.target.requests] == [method]

    def test_a_task_rings_at_its_time(self, cloud):
        due = cloud.clock.now() + seconds(60)
        cloud.create("t", after=seconds(60))
        assert cloud.tasks.next_due() == due
        cloud.advance(seconds(59))
        assert (cloud.target.requests, cloud.names()) == ([], ["t"])
        cloud.advance(seconds(1))

        assert cloud.target.times == [due]
        assert (cloud.names(), cloud.tasks.next_due()) == ([], None)

    def test_a_time_in_the_past_is_now(self, cloud):
        task = cloud.create("t", after=seconds(-60))
        cloud.settle()

        assert task.schedule_time == cloud.clock.now()
        assert len(cloud.target.requests) == 1

    def test_a_deleted_task_does_not_ring(self, cloud):
        cloud.create("t", after=seconds(60))
        cloud.delete()
        cloud.advance(seconds(61))

        assert cloud.target.requests == []

    def test_the_body_is_in_the_full_view_only(self, cloud):
        cloud.create(
            "t", after=seconds(60), http_request={"url": "http://h", "body": b"b"}
        )
        request = {"name": f"{QUEUE}/tasks/t", "response_view": Task.View.FULL}

        assert cloud.get().http_request.body == b""
        assert cloud.client.get_task(request=request).http_request.body == b"b"

    @pytest.mark.parametrize("audience", ["", "https://example.com/fallback"])
    def test_an_oidc_token_is_signed(self, cloud, audience):
        url = f"{cloud.target.base}/ring"
        email = "robot@p.iam.gserviceaccount.com"
        token = {"service_account_email": email, "audience": audience}
        cloud.create(http_request={"url": url, "oidc_token": token})
        cloud.settle()

        kind, _, jwt = cloud.target.requests[0][2]["Authorization"].partition(" ")
        signed, _, signature = jwt.rpartition(".")
        head, claims = (json.loads(unpack(part)) for part in signed.split("."))
        cloud.tasks.signer.public_key().verify(
            unpack(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256()
        )
        assert (kind, head["alg"]) == ("Bearer", "RS256")
        assert claims["exp"] == claims["iat"] + 3600
        assert abs(claims["iat"] - time.time()) < 60
        assert claims["iss"] == "https://accounts.google.com"
        assert claims["aud"] == (audience or url)
        assert (claims["email"], claims["email_verified"]) == (email, True)


def unpack(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


LIMITS = {
    "attempts": ({"max_attempts": 3}, 3),
    "duration": ({"max_attempts": -1, "max_retry_duration": seconds(5)}, 6),
    "both, attempts last": (
        {"max_attempts": 9, "max_retry_duration": seconds(5)},
        9,
    ),
    "both, duration last": (
        {"max_attempts": 3, "max_retry_duration": seconds(5)},
        6,
    ),
    "unlimited": ({"max_attempts": -1}, 11),
}


class TestRetries:
    def test_the_headers_as_recorded(self, cloud):
        cloud.queue(STEADY)
        statuses = [503, 404, 429, 500, 302, 200]
        cloud.target.answers = [(status, {}) for status in statuses]
        cloud.create("t")
        cloud.advance(seconds(10))

        header = cloud.target.header
        assert header("TaskRetryCount") == list("012345")
        assert header("TaskExecutionCount") == list("001223")
        assert header("TaskPreviousResponse") == [None, *map(str, statuses[:-1])]
        assert header("TaskRetryReason") == [None, *[""] * 5]
        etas = [f"{at.timestamp():.6f}" for at in cloud.target.times]
        assert header("TaskETA") == etas
        assert cloud.names() == []

    def test_the_pauses_double_then_grow_evenly_then_stay(self, cloud):
        cloud.queue(
            {
                "min_backoff": seconds(10),
                "max_backoff": seconds(300),
                "max_doublings": 3,
            }
        )
        cloud.target.answers = [(500, {})] * 9
        cloud.create("t")
        cloud.advance(seconds(2000))

        times = cloud.target.times
        gaps = [(b - a).total_seconds() for a, b in pairwise(times)]
        assert gaps == [10, 20, 40, 80, 160, 240, 300, 300, 300]

    @pytest.mark.parametrize("status", [429, 503])
    @pytest.mark.parametrize("form", ["seconds", "date"])
    def test_retry_after_is_honoured(self, cloud, status, form):
        cloud.queue(STEADY)
        wish = "90" if form == "seconds" else formatdate(time.time() + 90, usegmt=True)
        cloud.target.answers = [(status, {"Retry-After": wish})]
        cloud.create("t")
        cloud.advance(seconds(100))

        first, second = cloud.target.times
        assert (second - first).total_seconds() == pytest.approx(90, abs=3)

    def test_retry_after_means_nothing_elsewhere(self, cloud):
        cloud.queue(STEADY)
        cloud.target.answers = [(500, {"Retry-After": "90"})]
        cloud.create("t")
        cloud.advance(seconds(2))

        assert len(cloud.target.times) == 2

    @pytest.mark.parametrize(("limits", "attempts"), LIMITS.values(), ids=LIMITS)
    def test_it_gives_up_when_all_limits_are_reached(self, cloud, limits, attempts):
        cloud.queue(STEADY | limits)
        cloud.target.answers = [(500, {})] * 100
        cloud.create("t")
        cloud.advance(seconds(10))

        assert len(cloud.target.times) == attempts
        assert cloud.names() == (["t"] if attempts == 11 else [])

    def test_nothing_is_tried_for_more_than_31_days(self, cloud):
        cloud.queue(
            STEADY | {"min_backoff": seconds(86_400), "max_backoff": seconds(86_400)}
        )
        cloud.target.answers = [(500, {})] * 100
        cloud.create("t")
        cloud.advance(timedelta(days=40))

        assert (len(cloud.target.times), cloud.names()) == (32, [])

    def test_a_task_can_have_its_own_settings(self, cloud):
        cloud.queue(STEADY)
        cloud.target.answers = [(500, {})] * 100
        cloud.create("t", retry_config={"max_attempts": 2})
        cloud.advance(seconds(10))

        assert len(cloud.target.times) == 2

    def test_no_connection_is_retried(self, cloud):
        cloud.queue(STEADY)
        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as gone:
            url = f"http://127.0.0.1:{gone.server_port}"
        cloud.create("t", http_request={"url": url})
        cloud.advance(seconds(3))

        task = cloud.get()
        assert (task.dispatch_count, task.response_count) == (4, 0)
        assert task.schedule_time == cloud.clock.now() + seconds(1)

    def test_no_answer_within_the_deadline_is_a_504(self, clouds):
        cloud = clouds(patience=seconds(0.1))
        cloud.queue(STEADY)
        cloud.create("t", path="/held")
        cloud.settle()
        cloud.target.gate.set()
        cloud.advance(seconds(2))

        assert cloud.target.header("TaskPreviousResponse") == [None, "504"]
        assert cloud.target.header("TaskExecutionCount") == ["0", "0"]

    def test_a_task_tells_of_its_attempts(self, cloud):
        cloud.queue(STEADY)
        cloud.target.answers = [(500, {}), (400, {})]
        began = cloud.clock.now()
        cloud.create("t")
        cloud.advance(seconds(1))

        task = cloud.get()
        assert (task.dispatch_count, task.response_count) == (2, 2)
        assert task.first_attempt.dispatch_time == began
        assert task.last_attempt.dispatch_time == began + seconds(1)
        assert "400" in task.last_attempt.response_status.message

    def test_deleted_while_dispatched_it_is_not_retried(self, cloud):
        cloud.queue(STEADY)
        cloud.target.answers = [(500, {})]
        cloud.create("t", path="/held")
        cloud.arrivals(1)
        cloud.delete()
        cloud.target.gate.set()
        cloud.advance(seconds(10))

        assert len(cloud.target.requests) == 1

    def test_a_queue_deleted_while_dispatching_retries_nothing(self, cloud):
        cloud.target.answers = [(500, {})]
        cloud.create("t", path="/held")
        cloud.arrivals(1)
        cloud.client.delete_queue(name=QUEUE)
        cloud.target.gate.set()
        cloud.advance(seconds(10))

        assert len(cloud.target.requests) == 1


class TestRun:
    def test_before_its_time(self, cloud):
        cloud.create("t", after=seconds(60))

        assert cloud.run().dispatch_count == 1
        cloud.settle()
        assert (len(cloud.target.requests), cloud.names()) == (1, [])

    def test_in_a_paused_queue(self, cloud):
        cloud.client.pause_queue(name=QUEUE)
        cloud.create("t")
        cloud.run()
        cloud.settle()

        assert len(cloud.target.requests) == 1

    def test_in_a_full_queue(self, cloud):
        cloud.queue(max_concurrent_dispatches=1)
        cloud.create("s", path="/held")
        cloud.arrivals(1)
        cloud.create("t")
        cloud.run()
        cloud.arrivals(2)

        assert cloud.target.header("TaskName") == ["s", "t"]

    def test_a_failure_is_tried_again_after_the_pause(self, cloud):
        cloud.queue(STEADY)
        cloud.target.answers = [(500, {})]
        cloud.create("t", after=seconds(60))
        cloud.run()
        cloud.settle()

        assert cloud.get().schedule_time == cloud.clock.now() + seconds(1)


class TestRates:
    def test_many_run_beside_each_other(self, cloud):
        for number in range(64):
            cloud.create(f"t{number}", path="/held")
        cloud.arrivals(64)
        assert not cloud.tasks.idle()
        assert cloud.tasks.next_due() <= cloud.clock.now()

        cloud.target.gate.set()
        cloud.settle()
        assert cloud.names() == []

    def test_a_stuck_target_delays_nobody_else(self, cloud):
        cloud.tasks.create_queue(OTHER)
        for number in range(40):
            cloud.create(f"t{number}", path="/held")
        cloud.create("u", queue=OTHER)

        cloud.arrivals(41)

    def test_no_more_at_once_than_allowed(self, cloud):
        cloud.queue(max_concurrent_dispatches=3)
        for number in range(10):
            cloud.create(f"t{number}", path="/held")
        cloud.arrivals(3)
        until(lambda: cloud.tasks.operations()["Dispatch"] == 3)
        assert sum(task.dispatch_count for task in cloud.waiting()) == 3

        cloud.target.gate.set()
        cloud.settle()
        assert len(cloud.target.requests) == 10

    def test_no_more_in_a_second_than_allowed(self, cloud):
        cloud.queue(max_dispatches_per_second=2)
        burst = cloud.client.get_queue(name=QUEUE).rate_limits.max_burst_size
        began = cloud.clock.now()
        for number in range(burst + 3):
            cloud.create(f"t{number}", after=seconds(0))
        cloud.settle()
        assert len(cloud.target.requests) == burst
        assert cloud.tasks.next_due() == began + seconds(0.5)

        cloud.advance(seconds(5))
        late = [(at - began).total_seconds() for at in sorted(cloud.target.times)]
        assert late == [*[0] * burst, 0.5, 1, 1.5]


class TestFaults:
    def test_duplicates(self, cloud):
        cloud.tasks.duplicate(True)
        cloud.create("t")
        cloud.settle()

        assert cloud.target.header("TaskName") == ["t", "t"]
        assert cloud.names() == []
        assert cloud.tasks.operations()["Dispatch"] == 2

        cloud.tasks.duplicate(False)
        cloud.create("u")
        cloud.settle()
        assert len(cloud.target.requests) == 3

    def test_late_rings(self, cloud):
        cloud.tasks.delay(seconds(30))
        due = cloud.clock.now() + seconds(60)
        cloud.create("t", after=seconds(60))
        cloud.advance(seconds(100))

        assert cloud.target.times == [due + seconds(30)]
        assert cloud.target.header("TaskETA") == [f"{due.timestamp():.6f}"]

    def test_early_rings(self, cloud):
        due = cloud.clock.now() + seconds(60)
        cloud.create("t", after=seconds(60))
        cloud.tasks.early(seconds(30))
        assert cloud.tasks.next_due() == due - seconds(30)
        cloud.advance(seconds(30))

        assert cloud.target.times == [due - seconds(30)]

    def test_lost_answers(self, cloud):
        cloud.tasks.lose_answers(1)
        with pytest.raises(exceptions.ServiceUnavailable):
            cloud.create("t", after=seconds(60))
        with pytest.raises(exceptions.AlreadyExists):
            cloud.create("t", after=seconds(60))
        cloud.create("u", after=seconds(60))

        assert cloud.names() == ["t", "u"]

    def test_everything_is_counted(self, cloud):
        cloud.queue(STEADY)
        cloud.target.answers = [(500, {})]
        cloud.create("t")
        cloud.advance(seconds(1))
        with pytest.raises(exceptions.NotFound):
            cloud.get()
        with pytest.raises(exceptions.NotFound):
            cloud.delete()

        assert cloud.tasks.operations() == Counter(
            CreateTask=1, Dispatch=2, GetTask=1, DeleteTask=1
        )


CHILD = """
import sys, threading
from pathlib import Path
from simulator import Clock
from simulator.cloud_tasks import CloudTasks
clock = Clock()
clock.set_rate(0)
tasks = CloudTasks(Path(sys.argv[1]), clock)
tasks.create_queue(sys.argv[2])
print(tasks.start(), flush=True)
threading.Event().wait()
"""


class TestRestart:
    def test_tasks_names_and_queues_are_kept(self, clouds, tmp_path):
        cloud = clouds(tmp_path / "tasks.db")
        cloud.create("done")
        cloud.settle()
        cloud.client.pause_queue(name=QUEUE)
        cloud.create("t")
        cloud = clouds(tmp_path / "tasks.db")
        cloud.settle()
        assert cloud.client.get_queue(name=QUEUE).state is Queue.State.PAUSED

        assert cloud.names() == ["t"]
        with pytest.raises(exceptions.AlreadyExists):
            cloud.create("done")

    def test_a_killed_server_rings_again(self, clouds, target, clock, tmp_path):
        path = tmp_path / "tasks.db"
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, path, QUEUE],
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": SOURCES, "PYTHONWARNINGS": "ignore"},
        ) as child:
            port = child.stdout.readline().strip()
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                client = CloudTasksClient(
                    transport=CloudTasksGrpcTransport(channel=channel)
                )
                for name, after in (("begun", 0), ("later", 3600)):
                    task = {
                        "name": f"{QUEUE}/tasks/{name}",
                        "http_request": {"url": f"{target.base}/held"},
                        "schedule_time": clock.now() + seconds(after),
                    }
                    client.create_task(parent=QUEUE, task=task)
                until(lambda: target.requests)
            child.kill()
        target.gate.set()
        cloud = clouds(path)
        cloud.advance(seconds(3600))

        assert target.header("TaskName") == ["begun", "begun", "later"]
        assert target.header("TaskRetryCount") == ["0", "1", "0"]
        assert cloud.names() == []


def test_only_this_machine_can_call(cloud):
    with grpc.insecure_channel(f"127.0.0.2:{cloud.tasks.port}") as channel:
        ready = grpc.channel_ready_future(channel)

        with pytest.raises(grpc.FutureTimeoutError):
            ready.result(timeout=0.2)


def test_the_simulator_stays_light():
    code = "import sys, simulator; sys.exit('grpc' in sys.modules)"

    subprocess.run(
        [sys.executable, "-c", code], check=True, env={"PYTHONPATH": SOURCES}
    )
