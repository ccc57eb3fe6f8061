"""The trace that a request's work belongs to, as W3C's `traceparent` names it.

Each log line says it, and whatever is armed or published carries it on, so that
one search finds what a request led to in all functions.
"""

import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import sha256
from struct import pack

HEADER = "traceparent"

ATTRIBUTE = "ce-traceparent"
"""CloudEvents' own extension. It belongs to the delivery, not to the event."""

_W3C = re.compile("00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_GOOGLE = re.compile("([0-9a-f]{32})/([0-9]{1,20})(?:;o=([01]))?")


@dataclass(slots=True)
class _Work:
    """One request's. Threads get a copy of the context, but this very object."""

    parent: str


_current: ContextVar[_Work | None] = ContextVar("work", default=None)


def begin(headers: Mapping[str, str], random: Callable[[], float]) -> None:
    """Let what follows belong to the trace that *headers* name, or to a new one."""
    _current.set(_Work(_incoming(headers) or _new(random)))


def join(attributes: Mapping[str, object]) -> None:
    """Let the request's work belong to the trace that its event came from."""
    work, parent = _current.get(), attributes.get(ATTRIBUTE)
    if work and isinstance(parent, str) and _W3C.fullmatch(parent):
        work.parent = parent


def traceparent() -> str:
    """Return what to hand on, "" outside of any request."""
    work = _current.get()
    return work.parent if work else ""


def attributes() -> dict[str, str]:
    """Return what an event takes along beside its own attributes."""
    parent = traceparent()
    return {ATTRIBUTE: parent} if parent else {}


def _incoming(headers: Mapping[str, str]) -> str:
    given = headers.get(HEADER, "")
    google = _GOOGLE.fullmatch(headers.get("x-cloud-trace-context", ""))
    if google and not _W3C.fullmatch(given):
        trace, span, sampled = google.groups("0")
        given = f"00-{trace}-{int(span):016x}-0{sampled}"
    return given if _W3C.fullmatch(given) else ""


def _new(random: Callable[[], float]) -> str:
    # Nobody has to be unable to guess it, as with an id: that is asked of the kernel.
    digest = sha256(pack("3d", random(), random(), random())).hexdigest()
    return f"00-{digest[:32]}-{digest[32:48]}-00"
