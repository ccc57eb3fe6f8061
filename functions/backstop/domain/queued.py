"""An SMS that its provider took."""

from msgspec import Struct


class Queued(Struct, frozen=True):
    """The provider's answer: its id, and into how many segments it cut the text."""

    provider_id: str
    segments: int | None
