"""Events on one Pub/Sub topic.

Published through the generated client, which answers when the service did:
nothing is batched behind anybody's back, and no future is left to chance.
"""

from google.api_core.exceptions import (
    Aborted,
    DeadlineExceeded,
    InternalServerError,
    ServiceUnavailable,
    TooManyRequests,
)
from google.api_core.retry import Retry, if_exception_type
from google.pubsub_v1 import PublisherClient, PubsubMessage

from backstop import tracing
from backstop.adapters.google.reaching import reaching
from backstop.domain.event import Event

TRY = 2.5
"""Seconds for one try."""

BUDGET = Retry(
    predicate=if_exception_type(
        Aborted,
        DeadlineExceeded,
        InternalServerError,
        ServiceUnavailable,
        TooManyRequests,
    ),
    initial=0.1,
    maximum=1.0,
    timeout=7.0,
)
"""Less than the 10 s in which Bandwidth wants its answer.

A repeat may publish twice: subscribers know the event by its `ce-id`.
"""

BATCH = 500
"""Messages in one request; the service takes up to 1,000."""


class PubsubEvents:
    """Publishes to *topic*, its full name."""

    def __init__(self, client: PublisherClient, topic: str) -> None:
        self._client = client
        self._topic = topic

    @reaching
    def publish(self, *events: Event) -> None:
        trace = tracing.attributes()
        messages = [
            PubsubMessage(data=event.data, attributes=event.attributes() | trace)
            for event in events
        ]
        for begin in range(0, len(messages), BATCH):
            self._client.publish(
                topic=self._topic,
                messages=messages[begin : begin + BATCH],
                retry=BUDGET,
                timeout=TRY,
            )
