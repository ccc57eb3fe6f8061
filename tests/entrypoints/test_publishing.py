"""How a webhook waits until its events are durable."""

import asyncio
import threading
from concurrent.futures import Future

from backstop.edge.answers import Pool
from backstop.edge.webhooks import publishing


class Begins:
    """Where publishing is begun at once and tells when it is done."""

    def __init__(self):
        self.told = []

    def begin(self, *told):
        self.told += told
        done = Future()
        done.set_result(None)
        return done

    def publish(self, *told):
        raise AssertionError("it would have blocked")


class Blocks:
    """Where publishing takes the thread of whoever asks."""

    def __init__(self):
        self.told = []

    def publish(self, *told):
        self.told += [(event, threading.current_thread().name) for event in told]


def _publish(events, *told):
    async def publish():
        await publishing(events, Pool(1))(told)

    asyncio.run(publish())
    return events.told


def test_what_can_be_begun_waits_in_no_thread():
    assert _publish(Begins(), "one", "two") == ["one", "two"]


def test_what_blocks_blocks_a_thread_of_the_pool():
    assert _publish(Blocks(), "one", "two") == [("one", "pool"), ("two", "pool")]
