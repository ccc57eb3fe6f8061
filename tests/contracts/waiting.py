"""Waiting for a condition, and doing things at the same moment."""

import threading
import time
from collections.abc import Callable
from typing import Any


def until(
    condition: Callable[[], Any], *, within: float = 10.0, pause: float = 0.001
) -> None:
    """Return once *condition* holds, looking every *pause*. Fails when it is late."""
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, "this did not come about in time"
        time.sleep(pause)


def at_once(works: list[Callable[[], Any]]) -> list[Any]:
    """Run all in threads that start together. Returns results, or what was raised."""
    gate = threading.Barrier(len(works))
    results: list[Any] = [None] * len(works)

    def run(index: int, work: Callable[[], Any]) -> None:
        gate.wait()
        try:
            results[index] = work()
        except Exception as error:  # noqa: BLE001 - the test judges it
            results[index] = error

    threads = [
        threading.Thread(target=run, args=numbered) for numbered in enumerate(works)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
