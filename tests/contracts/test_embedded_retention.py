"""What is settled is forgotten after a month, and nothing else."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from backstop.adapters.embedded.dispatcher import CLEANING, RETENTION
from backstop.domain.message import Outcome, Rcs
from backstop.domain.reach import Reach
from contracts.embedded import Embedded
from contracts.events_contract import event
from contracts.messages_contract import plain
from contracts.waiting import until

DAY = timedelta(days=1)


@pytest.fixture
def platform(tmp_path):
    platform = Embedded(tmp_path)
    yield platform
    platform.close()


def settled(platform):
    now = platform.now()
    return replace(
        plain(),
        rcs={Rcs.DELIVERED: now},
        announced=Outcome.DELIVERED_RCS,
        announced_at=now,
    )


def test_an_outcome_is_kept_for_a_month(platform):
    """A repeat within the month is still recognised; after it the id is free."""
    known = settled(platform)
    platform.messages.create(known)

    platform.elapse(RETENTION - DAY)
    platform.events.publish(event("wake"))
    platform.settle()
    assert platform.messages.load(known.id)

    platform.elapse(2 * DAY)
    platform.events.publish(event("wake again"))
    until(lambda: platform.messages.load(known.id) is None)


def test_what_has_no_outcome_is_kept(platform):
    """However old: it is not finished."""
    waiting = plain()
    platform.messages.create(waiting)

    platform.elapse(12 * RETENTION)
    platform.events.publish(event("wake"))
    platform.settle()

    assert platform.messages.load(waiting.id)


def test_events_go_when_everybody_has_them(platform):
    """A dead letter is kept for whoever mends its subscriber."""
    platform.receiver.always("/receipts", 500)
    platform.events.publish(event("refused"))
    platform.elapse(RETENTION + DAY)
    platform.elapse(CLEANING)
    platform.events.publish(event("wake"))
    platform.settle()

    kept = [letter.attributes["ce-id"] for letter in platform.dead_letters()]
    assert kept == ["refused"]


def test_what_was_known_of_a_phone_goes_too(platform):
    """Once it has long lapsed; what still counts stays."""
    until_now = Reach(reachable=False, until=platform.now())
    counting = Reach(reachable=False, until=platform.now() + 2 * RETENTION)
    platform.reaches.save("agent", {"+15551230001": until_now})
    platform.reaches.save("agent", {"+15551230002": counting})

    platform.elapse(RETENTION + DAY)
    platform.events.publish(event("wake"))
    until(lambda: platform.reaches.load("+15551230001", "agent") is None)

    assert platform.reaches.load("+15551230002", "agent") == counting
