"""Google Cloud on this machine: six production servers on Google's emulators.

Firestore and Pub/Sub are Google's own, in memory; Cloud Tasks is the simulator's,
on the message clock. Each function is started as the platform starts it, and
everything passes this process: calls to the functions through `Traffic`, calls
to the emulators through a `Relay`. So it knows when nothing is under way.
"""

import asyncio
import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import msgspec
import urllib3
from google.api_core.exceptions import NotFound
from google.cloud.firestore_v1 import types as wire
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import (
    FirestoreGrpcTransport,
)
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from backstop.adapters.google.firestore import MESSAGES
from backstop.adapters.records import decode_message
from backstop.domain.message import Message, MessageId
from backstop.domain.times import parse_time
from backstop.edge.answers import Handler
from machine import emulators
from machine.bus import DEAD_LETTERS, FILTERS, Bus
from machine.emulators import Emulator
from machine.ground import ENTRY_POINTS, DeadLetter, Published
from machine.relay import Relay, RestRelay
from machine.servers import CALLS, Leash, Server
from simulator import Clock
from simulator.cloud_tasks import CloudTasks

RETRIES = {
    "max_attempts": -1,
    "min_backoff": timedelta(seconds=1),
    "max_backoff": timedelta(minutes=1),
}

LOOKED_AT = 1000
"""Tasks that ring next, among which the oldest is sought: a refused one waits."""


class GoogleGround:
    """Starts it all on a fresh *state*. Raises MissingError without the emulators.

    Emulators that the environment names (`FIRESTORE_EMULATOR_HOST`,
    `PUBSUB_EMULATOR_HOST`) are used as they are. `operations` counts what the
    platform was asked to do, as it would be billed.
    """

    patience = 10.0

    def __init__(
        self, state: Path, url: str, clock: Clock, environ: Mapping[str, str]
    ) -> None:
        self._stack = ExitStack()
        self.operations: Counter[str] = Counter()
        self._guard = threading.Lock()
        self._leash = Leash()
        self._stack.callback(self._leash.drop)
        firestore = environ.get("FIRESTORE_EMULATOR_HOST") or (
            self._run(emulators.firestore)
        )
        pubsub = environ.get("PUBSUB_EMULATOR_HOST") or self._run(emulators.pubsub)
        self.project = f"demo-{uuid4().hex[:12]}"
        self._firestore_host = firestore
        self._documents = f"projects/{self.project}/databases/(default)/documents"
        channel = grpc.insecure_channel(firestore)
        self._stack.callback(channel.close)
        self._store = FirestoreClient(transport=FirestoreGrpcTransport(channel=channel))
        self._records = Relay(firestore, self._stored)
        self._relay = RestRelay(pubsub, self._published)
        self._stack.callback(self._records.stop)
        self._stack.callback(self._relay.stop)
        self._clock = clock
        self.tasks = CloudTasks(None, clock)
        tasks_port = self.tasks.start()
        self.queue = f"projects/{self.project}/locations/local/queues/watch"
        self.tasks.create_queue(self.queue, retry_config=RETRIES)
        self._bus = Bus(pubsub, self.project, url, clock)
        ports = {name: emulators.free_port() for name in ENTRY_POINTS}
        self._servers = {
            name: Server(
                name,
                port,
                state,
                {
                    **os.environ,
                    **environ,
                    "PROJECT": self.project,
                    "TOPIC": self._bus.topic,
                    "QUEUE": self.queue,
                    "REVOKE_URL": f"{url}/revoke",
                    "FIRESTORE_EMULATOR_HOST": self._records.address,
                    "PUBSUB_EMULATOR_HOST": self._relay.address,
                    "CLOUD_TASKS_EMULATOR_HOST": f"127.0.0.1:{tasks_port}",
                    "CLOCK_FILE": str(state / "clock.json"),
                },
            )
            for name, port in ports.items()
        }
        self._workers = ThreadPoolExecutor(CALLS, "proxy")
        self.entries: Mapping[str, Handler] = {
            name: self._entry(server) for name, server in self._servers.items()
        }
        self.routes: Sequence[Route] = (
            Route(DEAD_LETTERS, self._bus.bury, methods=["POST"]),
        )

    def start(self, _loop: asyncio.AbstractEventLoop) -> None:
        """Start the six servers, together, and wait until each of them answers."""
        for name in self._servers:
            self._spawn(name)
        for server in self._servers.values():
            server.wait()

    def stop(self) -> None:
        for server in self._servers.values():
            server.kill()
        self.tasks.stop()
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._stack.close()

    def kill(self, name: str) -> None:
        """End a function's server at once, as a dying instance does."""
        self._servers[name].kill()

    def revive(self, name: str) -> None:
        self._spawn(name)
        self._servers[name].wait()

    def idle(self) -> bool:
        return (
            self.tasks.idle()
            and self._bus.idle()
            and self._relay.idle()
            and self._records.idle()
        )

    def behind(self) -> bool:
        # Each function is an instance of its own, and says itself when it is full.
        return False

    def next_due(self) -> datetime | None:
        return self.tasks.next_due()

    def oldest_due(self) -> datetime | None:
        now = self._clock.now()
        soonest = self.pending_timers(LOOKED_AT)
        return min((at for _message, at in soonest if at <= now), default=None)

    def load(self, message: MessageId) -> Message | None:
        try:
            found = self._store.get_document(
                {"name": f"{self._documents}/{MESSAGES}/{message}"}
            )
        except NotFound:
            return None
        return _message(found)

    def newest_messages(self, limit: int) -> Sequence[Message]:
        newest_first = wire.StructuredQuery.Order(
            field={"field_path": "acceptedAt"}, direction="DESCENDING"
        )
        query = wire.StructuredQuery(
            from_=[{"collection_id": MESSAGES}], order_by=[newest_first], limit=limit
        )
        found = self._store.run_query(
            {"parent": self._documents, "structured_query": query}
        )
        return [_message(f.document) for f in found if f.document.name]

    def newest_events(self, limit: int) -> Sequence[Published]:
        return self._bus.newest_events(limit)

    def pending_timers(self, limit: int) -> Sequence[tuple[MessageId, datetime]]:
        bodies = [
            msgspec.json.decode(task.http_request.body)
            for task in self.tasks.soonest(self.queue, limit)
        ]
        return [
            (MessageId(body["message"]), parse_time(body["dueAt"])) for body in bodies
        ]

    def dead_letters(self, limit: int) -> Sequence[DeadLetter]:
        return self._bus.dead_letters(limit)

    def replay(self, letter: str) -> bool:
        return self._bus.replay(letter)

    def forget(self) -> None:
        """Begin anew: no message, timer, event or dead letter is left."""
        urllib3.request(
            "DELETE",
            f"http://{self._firestore_host}/emulator/v1/{self._documents}",
        )
        self.tasks.purge(self.queue)
        self._bus.forget()

    def _run(self, emulator: Callable[[], AbstractContextManager[Emulator]]) -> str:
        running = self._stack.enter_context(emulator())
        self._leash.hold(running.group)
        return running

    def _spawn(self, name: str) -> None:
        self._leash.hold(self._servers[name].spawn())

    def _entry(self, server: Server) -> Handler:
        pushed = server.name in FILTERS

        async def entry(request: Request) -> Response:
            body = await request.body()
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(
                self._workers, server.call, request, body
            )
            if pushed and self._bus.pushed(server.name, body, answer.status_code):
                self._count("delivery")
            return answer

        return entry

    def _published(self, _path: str, request: bytes, answer: bytes) -> None:
        self._count("publish", self._bus.published(request, answer))

    def _stored(self, method: str, request: bytes, answers: list[bytes]) -> None:
        if method == "Commit":
            for write in wire.CommitRequest.deserialize(request).writes:
                self._count("delete" if write.delete else "write")
        elif method == "BatchGetDocuments":
            self._count("read", len(answers))
        elif method == "RunQuery":
            found = map(wire.RunQueryResponse.deserialize, answers)
            # A query that finds nothing is billed as one read.
            self._count("read", max(1, sum(bool(f.document.name) for f in found)))

    def _count(self, what: str, by: int = 1) -> None:
        with self._guard:
            self.operations[what] += by


def _message(document: Any) -> Message:
    return decode_message(document.fields["state"].string_value)
