"""What is published arrives as it is; against Google's own Pub/Sub emulator."""

from datetime import UTC, datetime
from uuid import uuid4

import grpc
import pytest
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

import emulators
from backstop.adapters.google.pubsub import BATCH, PubsubEvents
from backstop.domain.event import CATALOGUE, read_attributes
from backstop.errors import Unavailable
from contracts.events_contract import EventsContract, event
from contracts.platform import SUBSCRIPTIONS, traced
from contracts.receiver import Receiver
from contracts.waiting import until


@pytest.fixture(scope="module")
def emulator():
    with emulators.pubsub() as address:
        yield address


@pytest.fixture(scope="module")
def channel(emulator):
    with grpc.insecure_channel(emulator) as channel:
        yield channel


class Cloud:
    """A topic of its own with everybody subscribed; it knows no filters here.

    The emulator lives in real time: what elapses is what it takes until every
    event was taken by whoever does not refuse it for ever.
    """

    def __init__(self, emulator, channel):
        self.receiver = Receiver(self.now)
        project = f"projects/demo-{uuid4().hex[:12]}"
        publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        topic = f"{project}/topics/events"
        publisher.create_topic(name=topic)
        subscriber = SubscriberClient(
            transport=SubscriberGrpcTransport(channel=channel)
        )
        for name in SUBSCRIPTIONS:
            subscriber.create_subscription(
                request={
                    "name": f"{project}/subscriptions/{name}",
                    "topic": topic,
                    "push_config": {"push_endpoint": f"{self.receiver.url}/{name}"},
                    "ack_deadline_seconds": 60,
                }
            )
        self._topic = PubsubEvents(topic, emulator=emulator)
        self._published = set()
        self.events = self

    def publish(self, *events):
        self._topic.publish(*events)
        self._published |= {event.id for event in events}

    def now(self):
        return datetime.now(UTC)

    def settle(self):
        until(lambda: not self._owed(), within=60)

    def elapse(self, by):
        self.settle()

    def _owed(self):
        answered = list(self.receiver.answered)
        taken = {
            (path, body["message"]["attributes"]["ce-id"])
            for path, body, status in answered
            if status in {200, 201, 204}
        }
        for_ever = {
            (path, body["message"]["attributes"]["ce-id"])
            for path, body, status in answered
            if self.receiver.refuses(path, body)
        }
        owed = {(f"/{name}", e) for name in SUBSCRIPTIONS for e in self._published}
        return owed - taken - for_ever


class TestPubsubEvents(EventsContract):
    @pytest.fixture
    def platform(self, emulator, channel):
        platform = Cloud(emulator, channel)
        yield platform
        platform.receiver.close()


class Topic:
    """A topic of its own for each test, and somebody who reads along."""

    def __init__(self, emulator, channel):
        self.project = f"projects/demo-{uuid4().hex[:12]}"
        self.name = f"{self.project}/topics/events"
        publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        publisher.create_topic(name=self.name)
        self.events = PubsubEvents(self.name, emulator=emulator)
        self._reader = SubscriberClient(
            transport=SubscriberGrpcTransport(channel=channel)
        )
        self._subscription = f"{self.project}/subscriptions/reader"
        self._reader.create_subscription(
            name=self._subscription, topic=self.name, ack_deadline_seconds=10
        )

    def read(self, count):
        """Return *count* events as a subscriber reads them."""
        return [read_attributes(*message) for message in self.pull(count)]

    def pull(self, count):
        """Return attributes and data of *count* events."""
        found = []
        while len(found) < count:
            pulled = self._reader.pull(
                subscription=self._subscription, max_messages=1000, timeout=10
            )
            found += [
                (dict(r.message.attributes), r.message.data)
                for r in pulled.received_messages
            ]
            self._reader.acknowledge(
                subscription=self._subscription,
                ack_ids=[r.ack_id for r in pulled.received_messages],
            )
        return found


@pytest.fixture
def topic(emulator, channel):
    return Topic(emulator, channel)


@pytest.mark.parametrize("kind", CATALOGUE.values(), ids=CATALOGUE)
def test_every_type_arrives_as_it_was_published(topic, kind):
    """Attributes name the event, and the data are the bytes that were verified."""
    published = event(kind=kind, data=b'{"a": "\xc3\xbc"}\x00\xff')
    topic.events.publish(published)

    assert topic.read(1) == [published]


def test_more_than_a_request_takes_is_published_whole(topic):
    """A thousand callbacks in one list are more than one request may hold."""
    published = [event(str(number)) for number in range(BATCH + 1)]
    topic.events.publish(*published)

    assert {e.id for e in topic.read(len(published))} == {e.id for e in published}


def test_a_trace_travels_beside_the_event(topic):
    """It is an attribute more, of the delivery and not of the event."""
    trace = traced(lambda: topic.events.publish(event()))

    told = event().attributes() | {"ce-traceparent": trace}
    assert topic.pull(1) == [(told, b"{}")]


def test_nothing_is_nothing(topic):
    """No event, no request."""
    topic.events.publish()


def test_what_cannot_be_published_is_said(topic, emulator):
    """Nobody is answered for an event that no topic took."""
    nowhere = PubsubEvents(f"{topic.project}/topics/nowhere", emulator=emulator)

    with pytest.raises(Unavailable):
        nowhere.publish(event())
