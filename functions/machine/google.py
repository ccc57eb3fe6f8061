"""Google Cloud on this machine: six production servers on Google's emulators.

Firestore and Pub/Sub are Google's own, in memory; Cloud Tasks is the simulator's,
on the message clock. Each function is started as the platform starts it, and
everything passes this process: calls to the functions through `Traffic`, calls
to the emulators through a `Relay`. So it knows when nothing is under way.
"""

import asyncio
import os
import threading
from base64 import b64decode, b64encode
from collections import Counter, deque
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
from machine.embedded import SUBSCRIPTIONS
from machine.emulators import Emulator, MissingError
from machine.ground import ENTRY_POINTS, DeadLetter, Published
from machine.relay import Relay, RestRelay
from machine.servers import CALLS, Leash, Server
from simulator import Clock
from simulator.cloud_tasks import CloudTasks

SHOWN = 500

FILTERS = {subscription.name: subscription.kinds for subscription in SUBSCRIPTIONS}
"""What a subscription lets pass on Google Cloud; the emulator knows no filters."""

RETRIES = {
    "max_attempts": -1,
    "min_backoff": timedelta(seconds=1),
    "max_backoff": timedelta(minutes=1),
}

TRIES = 12
ACKNOWLEDGED = frozenset({200, 201, 204})
DEAD_LETTERS = "/simulator/pubsub/dead-letters"


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
        self._state = state
        self._clock = clock
        self._stack = ExitStack()
        self.operations: Counter[str] = Counter()
        self._guard = threading.Lock()
        self._events: deque[Published] = deque(maxlen=SHOWN)
        self._letters: dict[str, DeadLetter] = {}
        self._bus = _Bus()
        self._leash = Leash()
        self._stack.callback(self._leash.drop)
        firestore = environ.get("FIRESTORE_EMULATOR_HOST") or (
            self._run(emulators.firestore)
        )
        bus = environ.get("PUBSUB_EMULATOR_HOST") or self._run(emulators.pubsub)
        self.project = f"demo-{uuid4().hex[:12]}"
        self._firestore_host = firestore
        self._documents = f"projects/{self.project}/databases/(default)/documents"
        channel = grpc.insecure_channel(firestore)
        self._stack.callback(channel.close)
        self._store = FirestoreClient(transport=FirestoreGrpcTransport(channel=channel))
        self._records = Relay(firestore, self._stored)
        self._relay = RestRelay(bus, self._published)
        self._stack.callback(self._records.stop)
        self._stack.callback(self._relay.stop)
        self.tasks = CloudTasks(None, clock)
        tasks_port = self.tasks.start()
        self.queue = f"projects/{self.project}/locations/local/queues/watch"
        self.tasks.create_queue(self.queue, retry_config=RETRIES)
        self._pubsub = _Pubsub(bus)
        self._topic = self._subscribe(url)
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
                    "TOPIC": self._topic,
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
            Route(DEAD_LETTERS, self._bury, methods=["POST"]),
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
        with self._guard:
            return list(self._events)[-limit:]

    def pending_timers(self, limit: int) -> Sequence[tuple[MessageId, datetime]]:
        bodies = [
            msgspec.json.decode(task.http_request.body)
            for task in self.tasks.soonest(self.queue, limit)
        ]
        return [
            (MessageId(body["message"]), parse_time(body["dueAt"])) for body in bodies
        ]

    def dead_letters(self, limit: int) -> Sequence[DeadLetter]:
        with self._guard:
            return list(self._letters.values())[:limit]

    def replay(self, letter: str) -> bool:
        """Publish it again: all subscribers get it, and know it by its `ce-id`."""
        with self._guard:
            dead = self._letters.pop(letter, None)
        if dead is None:
            return False
        event = dead.event
        message = {
            "data": b64encode(event.data).decode(),
            "attributes": dict(event.attributes),
        }
        answer = self._pubsub.call(
            "POST", f"{self._topic}:publish", {"messages": [message]}
        )
        self._bus.published(answer["messageIds"], [event.attributes])
        return True

    def forget(self) -> None:
        """Begin anew: no message, timer, event or dead letter is left."""
        urllib3.request(
            "DELETE",
            f"http://{self._firestore_host}/emulator/v1/{self._documents}",
        )
        self.tasks.purge(self.queue)
        with self._guard:
            self._events.clear()
            self._letters.clear()

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
            if pushed:
                self._pushed(server.name, body, answer.status_code)
            return answer

        return entry

    def _pushed(self, subscription: str, body: bytes, status: int) -> None:
        message = msgspec.json.decode(body)["message"]
        if message.get("attributes", {}).get("kind") in FILTERS[subscription]:
            self._count("delivery")
        if status in ACKNOWLEDGED:
            self._bus.done(subscription, message["messageId"])

    async def _bury(self, request: Request) -> Response:
        """Take what an emulator's subscription gave up."""
        message = msgspec.json.decode(await request.body())["message"]
        attributes = {
            name: value
            for name, value in message["attributes"].items()
            if not name.startswith("CloudPubSubDeadLetterSource")
        }
        source = "CloudPubSubDeadLetterSourceSubscription"
        subscription = message["attributes"][source].rpartition("/")[2]
        letter = DeadLetter(
            id=f"{message['messageId']}-{subscription}",
            subscription=subscription,
            reason="no 2xx",
            tries=TRIES,
            event=Published(
                at=parse_time(message["publishTime"]),
                attributes=attributes,
                data=b64decode(message.get("data", "")),
            ),
        )
        with self._guard:
            self._letters[letter.id] = letter
        self._bus.given_up(subscription, attributes.get("ce-id", ""))
        return Response(status_code=204)

    def _published(self, _path: str, request: bytes, answer: bytes) -> None:
        now = self._clock.now()
        events = [
            Published(
                at=now,
                attributes=message["attributes"],
                data=b64decode(message.get("data", "")),
            )
            for message in msgspec.json.decode(request)["messages"]
        ]
        self._bus.published(
            msgspec.json.decode(answer)["messageIds"], [e.attributes for e in events]
        )
        self._count("publish", len(events))
        with self._guard:
            self._events.extend(events)

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

    def _subscribe(self, url: str) -> str:
        """Make the topic, its subscriptions, and theirs for dead letters."""
        call = self._pubsub.call
        topic = f"projects/{self.project}/topics/events"
        call("PUT", topic)
        for subscription in SUBSCRIPTIONS:
            name = f"projects/{self.project}/subscriptions/{subscription.name}"
            dead = f"{topic}-{subscription.name}-dead-letter"
            call("PUT", dead)
            call(
                "PUT",
                f"{name}-dead-letter",
                {"topic": dead, "pushConfig": {"pushEndpoint": url + DEAD_LETTERS}},
            )
            call(
                "PUT",
                name,
                {
                    "topic": topic,
                    "pushConfig": {"pushEndpoint": url + subscription.endpoint},
                    "ackDeadlineSeconds": 60,
                    "retryPolicy": {"minimumBackoff": "1s", "maximumBackoff": "1s"},
                    "deadLetterPolicy": {
                        "deadLetterTopic": dead,
                        "maxDeliveryAttempts": TRIES,
                    },
                },
            )
        return topic


class _Pubsub:
    """The emulator's own REST surface."""

    def __init__(self, host: str) -> None:
        self._url = f"http://{host}/v1"
        self._http = urllib3.PoolManager()

    def call(self, method: str, name: str, body: object | None = None) -> Any:
        """Return the answer. Raises MissingError for what it does not do."""
        answer = self._http.request(method, f"{self._url}/{name}", json=body or {})
        if answer.status != 200:  # noqa: PLR2004 - HTTP's own word
            raise MissingError(f"the Pub/Sub emulator answered {answer.status}")
        return answer.json()


class _Bus:
    """Which deliveries are still owed: each event to each subscription, once."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._owed: dict[tuple[str, str], str] = {}
        self._early: set[tuple[str, str]] = set()

    def idle(self) -> bool:
        return not self._owed

    def published(
        self, ids: Sequence[str], events: Sequence[Mapping[str, str]]
    ) -> None:
        """Remember messages under their ids, by the attributes of their events."""
        with self._guard:
            for message_id, attributes in zip(ids, events, strict=True):
                for subscription in SUBSCRIPTIONS:
                    key = (subscription.name, message_id)
                    if key in self._early:
                        self._early.remove(key)
                    else:
                        self._owed[key] = attributes.get("ce-id", "")

    def done(self, subscription: str, message_id: str) -> None:
        key = (subscription, message_id)
        with self._guard:
            if self._owed.pop(key, None) is None:
                # The push may come before the answer to who published.
                self._early.add(key)

    def given_up(self, subscription: str, event: str) -> None:
        with self._guard:
            for key, owed in list(self._owed.items()):
                if key[0] == subscription and owed == event:
                    del self._owed[key]


def _message(document: Any) -> Message:
    return decode_message(document.fields["state"].string_value)
