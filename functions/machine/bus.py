"""The bus on Google's Pub/Sub emulator: what it carries, what it owes, what it gave up.

An event is owed to each subscription until its push is answered with success, or
until the emulator sends it where the dead letters go.
"""

import threading
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import urllib3
from starlette.requests import Request
from starlette.responses import Response

from backstop.domain.times import parse_time
from machine.embedded import SUBSCRIPTIONS
from machine.emulators import MissingError
from machine.ground import DeadLetter, Published
from simulator import Clock

SHOWN = 500

FILTERS = {subscription.name: subscription.kinds for subscription in SUBSCRIPTIONS}
"""What a subscription lets pass on Google Cloud; the emulator knows no filters."""

TRIES = 12
ACKNOWLEDGED = frozenset({200, 201, 204})
DEAD_LETTERS = "/simulator/pubsub/dead-letters"
SOURCE = "CloudPubSubDeadLetterSource"


class Bus:
    """Makes the topic and its subscriptions, which push to *url*.

    *host* is the emulator's. Raises MissingError for what that does not do.
    """

    def __init__(self, host: str, project: str, url: str, clock: Clock) -> None:
        self._url = f"http://{host}/v1"
        self._http = urllib3.PoolManager()
        self._clock = clock
        self._guard = threading.Lock()
        self._events: deque[Published] = deque(maxlen=SHOWN)
        self._letters: dict[str, DeadLetter] = {}
        self._owed: dict[tuple[str, str], str] = {}
        self._early: set[tuple[str, str]] = set()
        self.topic = f"projects/{project}/topics/events"
        self._subscribe(f"projects/{project}/subscriptions", url)

    def idle(self) -> bool:
        return not self._owed

    def newest_events(self, limit: int) -> Sequence[Published]:
        with self._guard:
            return list(self._events)[-limit:]

    def dead_letters(self, limit: int) -> Sequence[DeadLetter]:
        with self._guard:
            return list(self._letters.values())[:limit]

    def published(self, request: bytes, answer: bytes) -> int:
        """Note what a call of the REST API published, and return how many events."""
        now = self._clock.now()
        events = [
            Published(
                at=now,
                attributes=message["attributes"],
                data=b64decode(message.get("data", "")),
            )
            for message in msgspec.json.decode(request)["messages"]
        ]
        self._owe(msgspec.json.decode(answer)["messageIds"], events)
        with self._guard:
            self._events.extend(events)
        return len(events)

    def pushed(self, subscription: str, push: bytes, status: int) -> bool:
        """Note how a push was answered, and return whether Google would have made it.

        There a filter stands before it.
        """
        message = msgspec.json.decode(push)["message"]
        if status in ACKNOWLEDGED:
            key = (subscription, message["messageId"])
            with self._guard:
                if self._owed.pop(key, None) is None:
                    # The push may come before the answer to who published.
                    self._early.add(key)
        return message.get("attributes", {}).get("kind") in FILTERS[subscription]

    async def bury(self, request: Request) -> Response:
        """Take what a subscription of the emulator gave up."""
        message = msgspec.json.decode(await request.body())["message"]
        attributes = {
            name: value
            for name, value in message["attributes"].items()
            if not name.startswith(SOURCE)
        }
        subscription = message["attributes"][f"{SOURCE}Subscription"].rpartition("/")[2]
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
            for key, event in list(self._owed.items()):
                if key[0] == subscription and event == attributes.get("ce-id", ""):
                    del self._owed[key]
        return Response(status_code=204)

    def replay(self, letter: str) -> bool:
        """Publish it again: all subscribers get it, and know it by its `ce-id`."""
        with self._guard:
            dead = self._letters.pop(letter, None)
        if dead is None:
            return False
        message = {
            "data": b64encode(dead.event.data).decode(),
            "attributes": dict(dead.event.attributes),
        }
        answer = self._call("POST", f"{self.topic}:publish", {"messages": [message]})
        self._owe(answer["messageIds"], [dead.event])
        return True

    def forget(self) -> None:
        """Show no event and no dead letter any more."""
        with self._guard:
            self._events.clear()
            self._letters.clear()

    def _owe(self, ids: Sequence[str], events: Sequence[Published]) -> None:
        with self._guard:
            for message_id, event in zip(ids, events, strict=True):
                for subscription in SUBSCRIPTIONS:
                    key = (subscription.name, message_id)
                    if key in self._early:
                        self._early.remove(key)
                    else:
                        self._owed[key] = event.attributes.get("ce-id", "")

    def _subscribe(self, place: str, url: str) -> None:
        """Make the topic, its subscriptions, and theirs for dead letters."""
        self._call("PUT", self.topic)
        for subscription in SUBSCRIPTIONS:
            name = f"{place}/{subscription.name}"
            dead = f"{self.topic}-{subscription.name}-dead-letter"
            self._call("PUT", dead)
            self._call(
                "PUT",
                f"{name}-dead-letter",
                {"topic": dead, "pushConfig": {"pushEndpoint": url + DEAD_LETTERS}},
            )
            self._call(
                "PUT",
                name,
                {
                    "topic": self.topic,
                    "pushConfig": {"pushEndpoint": url + subscription.endpoint},
                    "ackDeadlineSeconds": 60,
                    "retryPolicy": {"minimumBackoff": "1s", "maximumBackoff": "1s"},
                    "deadLetterPolicy": {
                        "deadLetterTopic": dead,
                        "maxDeliveryAttempts": TRIES,
                    },
                },
            )

    def _call(
        self, method: str, name: str, body: Mapping[str, object] | None = None
    ) -> Any:
        answer = self._http.request(method, f"{self._url}/{name}", json=body or {})
        if answer.status != 200:  # noqa: PLR2004 - HTTP's own word
            raise MissingError(f"the Pub/Sub emulator answered {answer.status}")
        return answer.json()
