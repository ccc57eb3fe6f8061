"""The published limits of what an agent may send, and what a phone makes of it."""

from collections.abc import Iterator
from typing import Any

from .instants import DAY, parse_duration, parse_rfc3339
from .rbm_schema import ACTIONS, CONTENTS
from .web import wrong

_LONGEST_TTL = 15 * DAY
_PAYLOAD = 250 * 1024


def expiry(sent: dict[str, Any], now: int) -> int | None:
    """Return when the message expires; 400 unless that is within 15 days from now."""
    if "ttl" in sent:
        name, at = "ttl", now + parse_duration(sent["ttl"])
    elif "expireTime" in sent:
        name, at = "expireTime", parse_rfc3339(sent["expireTime"])
    else:
        return None
    if at <= now:
        raise wrong(name, "must lie in the future")
    if at > now + _LONGEST_TTL:
        raise wrong(name, "must be at most 15 days ahead")
    return at


def check(sent: dict[str, Any], size: int) -> None:
    """Refuse with 400 the first thing beyond a limit, naming its field."""
    if size > _PAYLOAD:
        raise wrong("contentMessage", "the whole message is longer than 250 KB")
    content = sent.get("contentMessage")
    if not content or not any(name in content for name in CONTENTS):
        raise wrong("contentMessage", f"needs one of {', '.join(CONTENTS)}")
    at = "contentMessage"
    _most(content, "text", 3072, at)
    _suggestions(content, at, 11)
    if "contentInfo" in content:
        _content_info(content["contentInfo"], f"{at}.contentInfo")
    if "uploadedRbmFile" in content:
        _need(content["uploadedRbmFile"], "fileName", f"{at}.uploadedRbmFile")
    if "richCard" in content:
        _rich_card(content["richCard"], f"{at}.richCard")


def features_needed(content: dict[str, Any]) -> Iterator[str]:
    """Name the features that a phone must have to show *content*."""
    card = content.get("richCard", {})
    if "standaloneCard" in card:
        yield "RICHCARD_STANDALONE"
    if "carouselCard" in card:
        yield "RICHCARD_CAROUSEL"
    for suggestion in all_suggestions(content):
        action = suggestion.get("action", {})
        for name, feature in _FEATURES.items():
            if name in action:
                yield feature


def all_suggestions(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from content.get("suggestions", ())
    for card in _cards(content.get("richCard", {})):
        yield from card.get("suggestions", ())


def summary(content: dict[str, Any]) -> str:
    """Return the words a phone shows first."""
    if "text" in content:
        return str(content["text"])
    for card in _cards(content.get("richCard", {})):
        words = (card.get("title"), card.get("description"))
        return "\n".join(word for word in words if word)
    info = content.get("contentInfo", {})
    uploaded = content.get("uploadedRbmFile", {})
    return str(
        info.get("fileUrl") or uploaded.get("fileName") or content.get("fileName", "")
    )


_FEATURES = {
    "dialAction": "ACTION_DIAL",
    "openUrlAction": "ACTION_OPEN_URL",
    "viewLocationAction": "ACTION_VIEW_LOCATION",
    "createCalendarEventAction": "ACTION_CREATE_CALENDAR_EVENT",
    "shareLocationAction": "ACTION_SHARE_LOCATION",
    "composeAction": "ACTION_COMPOSE",
}


def _cards(rich: dict[str, Any]) -> list[dict[str, Any]]:
    if "carouselCard" in rich:
        return list(rich["carouselCard"].get("cardContents", ()))
    return [rich["standaloneCard"].get("cardContent", {})] if rich else []


def _rich_card(rich: dict[str, Any], at: str) -> None:
    if "carouselCard" in rich:
        at += ".carouselCard"
        cards = _cards(rich)
        if not 2 <= len(cards) <= 10:  # noqa: PLR2004 - the published limits
            raise wrong(f"{at}.cardContents", "must hold 2 to 10 cards")
        small = rich["carouselCard"].get("cardWidth") == "SMALL"
        for index, card in enumerate(cards):
            _card(card, f"{at}.cardContents[{index}]")
            if small and card.get("media", {}).get("height") == "TALL":
                raise wrong(
                    f"{at}.cardContents[{index}].media.height",
                    "cannot be TALL in a SMALL carousel",
                )
    elif "standaloneCard" in rich:
        at += ".standaloneCard"
        alone = rich["standaloneCard"]
        card = _need(alone, "cardContent", at)
        _card(card, f"{at}.cardContent")
        if (
            alone.get("cardOrientation") == "HORIZONTAL"
            and "media" in card
            and not card.keys() & {"title", "description", "suggestions"}
        ):
            raise wrong(
                f"{at}.cardContent",
                "a horizontal card with media needs words or suggestions",
            )
    else:
        raise wrong(at, "needs a standaloneCard or a carouselCard")


def _card(card: dict[str, Any], at: str) -> None:
    if not card.keys() & {"title", "description", "media"}:
        raise wrong(at, "needs a title, a description or media")
    _most(card, "title", 200, at)
    _most(card, "description", 2000, at)
    _suggestions(card, at, 4)
    media = card.get("media")
    if media is None:
        return
    if not media.keys() & {"fileName", "uploadedRbmFile", "contentInfo"}:
        raise wrong(f"{at}.media", "needs a file")
    if "height" not in media:
        raise wrong(f"{at}.media.height", "must be SHORT, MEDIUM or TALL")
    if "contentInfo" in media:
        _content_info(media["contentInfo"], f"{at}.media.contentInfo")


def _content_info(info: dict[str, Any], at: str) -> None:
    _need(info, "fileUrl", at)
    for name in ("fileUrl", "thumbnailUrl"):
        if name in info and not info[name].startswith(("https://", "http://")):
            raise wrong(f"{at}.{name}", "must be a public URL")


def _suggestions(holder: dict[str, Any], at: str, most: int) -> None:
    suggestions = holder.get("suggestions", [])
    if len(suggestions) > most:
        raise wrong(f"{at}.suggestions", f"must hold at most {most}")
    for index, suggestion in enumerate(suggestions):
        here = f"{at}.suggestions[{index}]"
        if "reply" in suggestion:
            _label(suggestion["reply"], f"{here}.reply")
        elif "action" in suggestion:
            _action(suggestion["action"], f"{here}.action")
        else:
            raise wrong(here, "needs a reply or an action")


def _label(suggestion: dict[str, Any], at: str) -> None:
    _need(suggestion, "text", at)
    _most(suggestion, "text", 25, at)
    _most(suggestion, "postbackData", 2048, at)


def _action(action: dict[str, Any], at: str) -> None:
    _label(action, at)
    _most(action, "fallbackUrl", 2048, at)
    kind = next((name for name in ACTIONS if name in action), None)
    if kind is None:
        raise wrong(at, f"needs one of {', '.join(ACTIONS)}")
    inner, here = action[kind], f"{at}.{kind}"
    if kind == "dialAction":
        number = _need(inner, "phoneNumber", here)
        if not set(number) <= set("0123456789+*#"):
            raise wrong(f"{here}.phoneNumber", "may hold digits, +, * and #")
    elif kind == "openUrlAction":
        url = _need(inner, "url", here)
        _most(inner, "url", 2048, here)
        if ":" not in url or any(mark in url for mark in ' <>"'):
            raise wrong(f"{here}.url", "must be a URL")
    elif kind == "viewLocationAction":
        _location(inner, here)
    elif kind == "createCalendarEventAction":
        for name in ("title", "startTime", "endTime"):
            _need(inner, name, here)
        _most(inner, "title", 100, here)
        _most(inner, "description", 500, here)


def _location(inner: dict[str, Any], at: str) -> None:
    if not inner.keys() & {"latLong", "query"}:
        raise wrong(at, "needs latLong or query")
    place = inner.get("latLong", {})
    for name, most in (("latitude", 90), ("longitude", 180)):
        if not -most <= place.get(name, 0) <= most:
            raise wrong(f"{at}.latLong.{name}", f"must lie within {most} degrees")


def _need(holder: dict[str, Any], name: str, at: str) -> Any:
    if name not in holder:
        raise wrong(f"{at}.{name}", "is required")
    return holder[name]


def _most(holder: dict[str, Any], name: str, most: int, at: str) -> None:
    if len(holder.get(name, "")) > most:
        raise wrong(f"{at}.{name}", f"exceeds the maximum length of {most} characters")
