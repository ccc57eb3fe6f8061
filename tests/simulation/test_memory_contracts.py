"""The platform in memory keeps the promises that the real adapters keep."""

import pytest

from contracts.events_contract import EventsContract
from contracts.messages_contract import MessagesContract
from contracts.reaches_contract import ReachesContract
from contracts.recipients_contract import RecipientsContract
from contracts.timers_contract import TimersContract
from simulation.harness import InMemory


@pytest.fixture
def platform():
    platform = InMemory()
    yield platform
    platform.close()


class TestMemoryMessages(MessagesContract):
    """Records."""


class TestMemoryRecipients(RecipientsContract):
    """Consent."""


class TestMemoryReaches(ReachesContract):
    """What is known of phones."""


class TestMemoryTimers(TimersContract):
    """Rings."""


class TestMemoryEvents(EventsContract):
    """Pushes."""
