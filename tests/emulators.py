"""Google's own emulators, for the tests that need them."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from machine import MissingError, emulators
from machine.emulators import Emulator


@contextmanager
def needed(
    start: Callable[[], AbstractContextManager[Emulator]],
) -> Iterator[Emulator]:
    """Start one, or say loudly what is not run; with CI=true fail."""
    running = start()
    try:
        emulator = running.__enter__()
    except MissingError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
    try:
        yield emulator
    finally:
        running.__exit__(None, None, None)


def firestore() -> AbstractContextManager[Emulator]:
    return needed(emulators.firestore)


def pubsub() -> AbstractContextManager[Emulator]:
    return needed(emulators.pubsub)
