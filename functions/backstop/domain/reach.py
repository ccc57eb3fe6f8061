"""What is known of a phone's RCS, as a value."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from backstop.domain.message import Json

ACTIONS = {
    "dialAction": "ACTION_DIAL",
    "openUrlAction": "ACTION_OPEN_URL",
    "shareLocationAction": "ACTION_SHARE_LOCATION",
    "viewLocationAction": "ACTION_VIEW_LOCATION",
    "createCalendarEventAction": "ACTION_CREATE_CALENDAR_EVENT",
}
"""A suggestion that does something, and the feature by which a phone can."""


class Lives(Struct, frozen=True, kw_only=True):
    """How long an answer counts: that RCS reaches a phone, and that it does not."""

    positive: timedelta
    negative: timedelta


class Reach(Struct, frozen=True, kw_only=True):
    """What RBM last said of a phone. `features` is None where it did not say."""

    reachable: bool
    features: tuple[str, ...] | None = None
    until: datetime

    def rules_out(self, content: Json, now: datetime) -> bool:
        """Whether RCS is known to be impossible for this `contentMessage`."""
        if now >= self.until:
            return False
        if not self.reachable:
            return True
        if self.features is None:
            return False
        return any(feature not in self.features for feature in _needs(content))


def _needs(content: Json) -> Iterator[str]:
    """Yield the features without which a phone cannot show *content*."""
    rich = content.get("richCard", {})
    if "standaloneCard" in rich:
        yield "RICHCARD_STANDALONE"
    if "carouselCard" in rich:
        yield "RICHCARD_CAROUSEL"
    for action in _actions(content):
        # A phone that cannot do it opens the fallback's URL instead.
        if "fallbackUrl" not in action:
            yield from (ACTIONS[kind] for kind in ACTIONS if kind in action)


def _actions(content: Any) -> Iterator[Json]:
    if isinstance(content, list):
        for part in content:
            yield from _actions(part)
    elif isinstance(content, dict):
        for name, part in content.items():
            if name == "action":
                yield part
            else:
                yield from _actions(part)
