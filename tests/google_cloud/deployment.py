"""The six functions as they are deployed: a production server each, on the emulators.

The carriers and Cloud Tasks run here, on one movable clock; Firestore and
Pub/Sub are Google's own emulators; everything meets over HTTP and gRPC.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import requests
import uvicorn
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from starlette.applications import Starlette

from emulators import Emulator
from local import DEFAULTS, ENTRY_POINTS, _service_account
from simulator import Carriers, Clock, Simulator
from simulator.cloud_tasks import CloudTasks

FUNCTIONS = Path(__file__).parents[2] / "functions"
PATIENCE = 60.0
QUIET = 0.4
"""Seconds without a sign of work: several times what the emulator takes to push."""

RETRIES = {
    "max_attempts": -1,
    "min_backoff": timedelta(seconds=1),
    "max_backoff": timedelta(minutes=1),
}

PUSHED = {"fallback": "/fallback", "record": "/record"}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Deployment:
    """Starts it all; `kill` and `revive` one function, `elapse` lets time pass."""

    def __init__(self, state: Path, *, firestore: Emulator, pubsub: Emulator) -> None:
        self.firestore = firestore
        self.pubsub = pubsub
        self.project = f"demo-{uuid4().hex[:12]}"
        self.clock = Clock(state / "clock.json")
        self._state = state
        self._http = requests.Session()
        self._ports = {name: free_port() for name in ENTRY_POINTS}
        self.urls = {
            name: f"http://127.0.0.1:{port}" for name, port in self._ports.items()
        }
        self.tasks = CloudTasks(None, self.clock)
        tasks_port = self.tasks.start()
        queue = f"projects/{self.project}/locations/local/queues/watch"
        self.tasks.create_queue(queue, retry_config=RETRIES)
        self._channel = grpc.insecure_channel(pubsub)
        topic = self._subscribe()
        carriers_port = free_port()
        self.carriers = f"http://127.0.0.1:{carriers_port}/simulator"
        self._environ = (
            os.environ
            | DEFAULTS
            | {
                "PLATFORM": "google",
                "PROJECT": self.project,
                "TOPIC": topic,
                "QUEUE": queue,
                "REVOKE_URL": self.urls["revoke"],
                "FIRESTORE_EMULATOR_HOST": firestore,
                "PUBSUB_EMULATOR_HOST": pubsub,
                "CLOUD_TASKS_EMULATOR_HOST": f"127.0.0.1:{tasks_port}",
                "CLOCK_FILE": str(state / "clock.json"),
                "RBM_URL": f"{self.carriers}/rbm",
                "RBM_KEY": json.dumps(
                    _service_account(state, f"{self.carriers}/rbm/token")
                ),
                "BANDWIDTH_URL": f"{self.carriers}/bandwidth/api/v2",
                "BANDWIDTH_TOKEN_URL": f"{self.carriers}/bandwidth/api/v1/oauth2/token",
            }
        )
        self.simulator = Simulator(
            state / "simulator.db",
            self.clock,
            Carriers(
                rbm_webhook_url=self.urls["webhook"],
                sms_callback_url=self.urls["sms_webhook"],
            ),
        )
        self._server = uvicorn.Server(
            uvicorn.Config(
                Starlette(routes=self.simulator.routes),
                port=carriers_port,
                log_level="critical",
                lifespan="off",
            )
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        self.simulator.start()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        for name in ENTRY_POINTS:
            self._spawn(name)
        for name in ENTRY_POINTS:
            self._await(name)

    def kill(self, name: str) -> None:
        """End a function's server at once, as a dying instance does."""
        os.killpg(self._processes[name].pid, signal.SIGKILL)
        self._processes[name].wait()

    def revive(self, name: str) -> None:
        self._spawn(name)
        self._await(name)

    def call(self, method: str, path: str, body: Any = None) -> requests.Response:
        """Call `send`, or the simulator."""
        base = self.urls["send"]
        if path.startswith("/simulator"):
            base = self.carriers.removesuffix("/simulator")
        return self._http.request(method, base + path, json=body, timeout=PATIENCE)

    def ok(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = self.call(method, path, body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def outcome(self, name: str) -> str:
        return str(self.ok("GET", f"/v1/{name}")["delivery"]["outcome"])

    def texts(self, phone: str) -> list[str]:
        inbox = self.ok("GET", f"/simulator/phones/{phone}")["inbox"]
        return [item["text"] for item in inbox if item["channel"] == "SMS"]

    def until_outcome(self, name: str) -> str:
        """Wait in real time: Pub/Sub's retries do not follow our clock."""
        end = time.monotonic() + PATIENCE
        while (outcome := self.outcome(name)) == "PENDING":
            assert time.monotonic() < end, "no outcome came about"
            time.sleep(0.05)
        return outcome

    def refused(self, name: str) -> bool:
        """Wait until a function has said that the platform is not there."""
        end = time.monotonic() + PATIENCE
        while '"unavailable"' not in self.log(name):
            assert time.monotonic() < end, "it did not give up"
            time.sleep(0.05)
        return True

    def elapse(self, by: timedelta) -> None:
        """Let time pass from one due instant to the next, each settled."""
        target = self.clock.now() + by
        while True:
            self._settle()
            sources = (self.tasks.next_due(), self.simulator.next_due())
            due = min((at for at in sources if at), default=target)
            if due >= target:
                break
            self.clock.jump_to(due)
        self.clock.jump_to(target)
        self._settle()

    def stop(self) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.simulator.stop()
        self._server.should_exit = True
        self._thread.join()
        self.tasks.stop()
        self._channel.close()
        self._http.close()

    def _settle(self) -> None:
        quiet_since = time.monotonic()
        end = quiet_since + PATIENCE
        while time.monotonic() < quiet_since + QUIET:
            if not (self.tasks.idle() and self.simulator.idle()):
                quiet_since = time.monotonic()
            assert time.monotonic() < end, "it does not come to rest"
            time.sleep(0.01)

    def _subscribe(self) -> str:
        topic = f"projects/{self.project}/topics/events"
        PublisherClient(
            transport=PublisherGrpcTransport(channel=self._channel)
        ).create_topic(name=topic)
        subscriber = SubscriberClient(
            transport=SubscriberGrpcTransport(channel=self._channel)
        )
        for name, path in PUSHED.items():
            subscriber.create_subscription(
                request={
                    "name": f"projects/{self.project}/subscriptions/{name}",
                    "topic": topic,
                    "push_config": {"push_endpoint": self.urls[name] + path},
                    "ack_deadline_seconds": 30,
                    "retry_policy": {"minimum_backoff": timedelta(seconds=1)},
                }
            )
        return topic

    def _spawn(self, name: str) -> None:
        port = str(self._ports[name])
        log = (self._state / f"{name}.log").open("ab")
        command = [sys.executable, "-m", "functions_framework"]
        command += [f"--source={FUNCTIONS / name}.py", f"--target={name}"]
        self._processes[name] = subprocess.Popen(  # noqa: S603 - our own program
            [*command, "--host=127.0.0.1", f"--port={port}"],
            env=self._environ,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()

    def _await(self, name: str) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                requests.get(self.urls[name], timeout=2)
            except requests.ConnectionError:
                assert self._processes[name].poll() is None, f"{name} did not start"
                assert time.monotonic() < end, f"{name} does not answer"
                time.sleep(0.02)
            else:
                return

    def log(self, name: str) -> str:
        return (self._state / f"{name}.log").read_text()


def start_alone(name: str, environ: Mapping[str, str]) -> tuple[int, str]:
    """Start one function's server with *environ* alone; return how it ended."""
    done = subprocess.run(  # noqa: S603 - our own program
        [
            *(sys.executable, "-m", "functions_framework"),
            *(f"--source={FUNCTIONS / name}.py", f"--target={name}"),
            *("--host=127.0.0.1", f"--port={free_port()}"),
        ],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, done.stderr
