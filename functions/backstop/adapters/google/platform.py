"""One instance's clients, each made when it is first needed."""

import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from backstop.adapters.system import JsonLog, SharedClock, SystemClock, SystemRandom
from backstop.ports import (
    Clock,
    Events,
    Log,
    Messages,
    Random,
    Reaches,
    Recipients,
    Timers,
)

if TYPE_CHECKING:
    from google.cloud.firestore import Client


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a deployment lives on Google Cloud.

    `queue` and `topic` are full names, `revoke_url` is what a timer rings, and
    `caller` the service account that rings it. Each of the emulators replaces a
    service on one machine; `clock_file` is the movable clock there.
    """

    project: str
    database: str
    topic: str
    queue: str
    revoke_url: str
    caller: str
    pubsub_emulator: str = ""
    tasks_emulator: str = ""
    clock_file: str = ""


class GooglePlatform:
    """Firestore, Cloud Tasks and Pub/Sub. Who may call is for IAM to say."""

    blocks = True
    token = ""

    def __init__(self, place: Place) -> None:
        self._place = place

    @cached_property
    def clock(self) -> Clock:
        path = self._place.clock_file
        return SharedClock(path) if path else SystemClock()

    @cached_property
    def random(self) -> Random:
        return SystemRandom()

    @cached_property
    def log(self) -> Log:
        return JsonLog(sys.stdout, self._place.project)

    @cached_property
    def messages(self) -> Messages:
        from backstop.adapters.google.firestore import FirestoreMessages

        return FirestoreMessages(self._firestore, self.random)

    @cached_property
    def recipients(self) -> Recipients:
        from backstop.adapters.google.firestore import FirestoreRecipients

        return FirestoreRecipients(self._firestore, self.random)

    @cached_property
    def reaches(self) -> Reaches:
        from backstop.adapters.google.reaches import FirestoreReaches

        return FirestoreReaches(self._firestore)

    @cached_property
    def timers(self) -> Timers:
        from google.cloud.tasks_v2 import CloudTasksClient
        from google.cloud.tasks_v2.services.cloud_tasks.transports import (
            CloudTasksGrpcTransport,
        )

        from backstop.adapters.google.tasks import CloudTasksTimers

        place = self._place
        transport = None
        if place.tasks_emulator:
            from grpc import insecure_channel

            channel = insecure_channel(place.tasks_emulator)
            transport = CloudTasksGrpcTransport(channel=channel)
        return CloudTasksTimers(
            CloudTasksClient(transport=transport),
            self.clock,
            queue=place.queue,
            url=place.revoke_url,
            caller=place.caller,
        )

    @cached_property
    def events(self) -> Events:
        from backstop.adapters.google.pubsub import PubsubEvents

        place = self._place
        return PubsubEvents(place.topic, emulator=place.pubsub_emulator)

    @cached_property
    def _firestore(self) -> "Client":
        from google.cloud.firestore import Client

        return Client(project=self._place.project, database=self._place.database)
