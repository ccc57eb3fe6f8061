"""What can go wrong between us and the world, sorted by what to do next."""

from datetime import timedelta
from enum import StrEnum


class Conflict(Exception):  # noqa: N818 - named for what happened
    """A stored record changed since it was read: load it again."""


class AlreadyExists(Exception):  # noqa: N818 - named for what happened
    """A record of this id is stored already."""


class Unavailable(Exception):  # noqa: N818 - named for what happened
    """The platform did not do it, or did not say so: come again."""


class ProviderError(Exception):
    """A provider did not do what we asked.

    `after_silence` says that an earlier try within the same call was not
    answered, so the request may have taken effect all the same.
    """

    def __init__(self, detail: str, *, after_silence: bool = False) -> None:
        super().__init__(detail)
        self.after_silence = after_silence


class Unanswered(ProviderError):  # noqa: N818 - named for what happened
    """No answer, or a 5xx. The request may have taken effect."""


class Throttled(ProviderError):  # noqa: N818 - named for what happened
    """Understood, not done, and welcome later. `after` is the provider's wish."""

    def __init__(
        self,
        detail: str,
        *,
        after: timedelta | None = None,
        after_silence: bool = False,
    ) -> None:
        super().__init__(detail, after_silence=after_silence)
        self.after = after


class Refusal(StrEnum):
    """Why a provider said no."""

    UNREACHABLE = "UNREACHABLE"
    REJECTED = "REJECTED"
    WITHDRAWAL_FAILED = "WITHDRAWAL_FAILED"


class Refused(ProviderError):  # noqa: N818 - named for what happened
    """The provider understood us and said no for good."""

    def __init__(
        self, detail: str, *, refusal: Refusal, after_silence: bool = False
    ) -> None:
        super().__init__(detail, after_silence=after_silence)
        self.refusal = refusal
