"""An SMS that its provider took."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Queued:
    """The provider's answer: its id, and into how many segments it cut the text."""

    provider_id: str
    segments: int | None
