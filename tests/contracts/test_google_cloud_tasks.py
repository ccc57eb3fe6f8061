"""Cloud Tasks keeps what all timers promise; against a server of its real API."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta

import grpc
import pytest
from google.cloud.tasks_v2 import CloudTasksClient
from google.cloud.tasks_v2.services.cloud_tasks.transports import (
    CloudTasksGrpcTransport,
)

from backstop.adapters.google.tasks import HORIZON, CloudTasksTimers
from backstop.domain.message import message_key
from contracts.platform import RING, Ring, traced
from contracts.receiver import Receiver
from contracts.timers_contract import TimersContract
from contracts.waiting import until
from simulator import Clock
from simulator.cloud_tasks import CloudTasks

QUEUE = "projects/p/locations/l/queues/watch"
RETRIES = {
    "max_attempts": -1,
    "min_backoff": timedelta(seconds=1),
    "max_backoff": timedelta(minutes=1),
    "max_doublings": 6,
}
ONE = message_key("agent", "one")


class Cloud:
    """A queue in a folder. Nothing moves unless the clock is moved."""

    def __init__(self, folder):
        self.clock = Clock()
        self.clock.set_rate(0)
        self.clock.jump_to(
            self.clock.now().replace(microsecond=0) + timedelta(seconds=1)
        )
        self.receiver = Receiver(self.clock.now)
        self._path = folder / "tasks.db"
        self._begin()

    def _begin(self):
        self.server = CloudTasks(self._path, self.clock)
        port = self.server.start()
        self.server.create_queue(QUEUE, retry_config=RETRIES)
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.timers = self.over(self._channel)

    def over(self, channel):
        return CloudTasksTimers(
            CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel)),
            self.clock,
            queue=QUEUE,
            url=self.receiver.url + RING,
            caller="watch@p.iam.gserviceaccount.com",
        )

    def now(self):
        return self.clock.now()

    def move(self, by):
        self.clock.jump_to(self.now() + by)

    def elapse(self, by):
        target = self.now() + by
        self.settle()
        while (due := self.server.next_due()) and due < target:
            self.clock.jump_to(due)
            self.settle()
        self.clock.jump_to(target)
        self.settle()

    def settle(self):
        until(self.server.idle, within=30)

    def die(self):
        self._end()
        self._begin()

    def rings(self):
        return [
            Ring(
                ring.body["message"],
                datetime.fromisoformat(ring.body["dueAt"]),
                ring.at,
            )
            for ring in self.receiver.at(RING)
        ]

    def _end(self):
        self._channel.close()
        self.server.stop()

    def close(self):
        self.receiver.release(RING)
        self._end()
        self.receiver.close()


class Forbidding(grpc.GenericRpcHandler):
    """Answers whatever is asked as IAM does."""

    def service(self, _details):
        return grpc.unary_unary_rpc_method_handler(
            lambda _asked, context: context.abort(
                grpc.StatusCode.PERMISSION_DENIED, "lacks cloudtasks.tasks.delete"
            )
        )


@contextmanager
def forbidden():
    """Open a channel to a queue on which nothing is allowed."""
    server = grpc.server(ThreadPoolExecutor(1), handlers=[Forbidding()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    server.stop(None).wait()


@pytest.fixture
def platform(tmp_path):
    platform = Cloud(tmp_path)
    yield platform
    platform.close()


class TestCloudTasksTimers(TimersContract):
    """Beside the contract, what is Cloud Tasks' alone."""

    def test_a_lost_answer_is_recognised(self, platform):
        """The repeat meets its own task, by its name."""
        platform.server.lose_answers(1)
        platform.timers.arm(ONE, at=platform.now() + timedelta(seconds=5))
        platform.elapse(timedelta(minutes=1))

        assert len(platform.rings()) == 1

    def test_an_instant_that_rings_early_is_armed_anew(self, platform):
        """The task that is ringing ends with its ring: it is no timer any more."""
        platform.server.early(timedelta(seconds=2))
        at = platform.now() + timedelta(seconds=5)
        platform.receiver.hold(RING)
        platform.timers.arm(ONE, at=at)
        platform.move(timedelta(seconds=4))
        until(platform.rings)
        platform.server.early(timedelta(0))

        platform.timers.arm(ONE, at=at)
        platform.receiver.release(RING)
        platform.elapse(timedelta(minutes=1))

        assert len(platform.rings()) == 2
        assert platform.rings()[-1].at >= at

    def test_beyond_the_horizon_it_rings_early(self, platform):
        """A task reaches 30 days; the watch arms the rest of the way."""
        at = platform.now() + timedelta(days=40)
        platform.timers.arm(ONE, at=at)
        platform.elapse(HORIZON + timedelta(seconds=1))

        (ring,) = platform.rings()
        assert ring.due_at < at

    def test_the_caller_is_named_by_a_token(self, platform):
        """Cloud Run believes the service account, not our words."""
        platform.timers.arm(ONE, at=platform.now())
        platform.settle()

        (ring,) = platform.receiver.at(RING)
        assert ring.headers["Authorization"].startswith("Bearer ")

    def test_a_ring_belongs_to_the_trace_that_armed_it(self, platform):
        """Cloud Tasks passes our headers on."""
        trace = traced(lambda: platform.timers.arm(ONE, at=platform.now()))
        platform.settle()

        (ring,) = platform.receiver.at(RING)
        assert ring.headers["traceparent"] == trace

    def test_who_may_not_spare_a_ring_lets_it_ring(self, platform):
        """Sparing is a saving, and no reason to fail."""
        at = platform.now() + timedelta(seconds=5)
        platform.timers.arm(ONE, at=at)
        with forbidden() as channel:
            platform.over(channel).disarm(ONE, at=at)
        platform.elapse(timedelta(minutes=1))

        assert len(platform.rings()) == 1

    def test_an_armed_timer_costs_one_operation(self, platform):
        """Nothing is asked before, and nothing after."""
        before = platform.server.operations()
        platform.timers.arm(ONE, at=platform.now() + timedelta(seconds=5))

        assert platform.server.operations() - before == {"CreateTask": 1}
