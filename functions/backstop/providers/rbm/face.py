"""How rich content reads as an SMS.

| content | in the SMS |
|---|---|
| text; a card's title and description | as they are |
| media or file by URL | its URL; an uploaded file has none, so nothing |
| open a URL, dial | `label: https://…`, `label: +1555…` |
| show a place | `label: ` and a link to a map |
| calendar event | `label: title, 2026-12-01 10:00 UTC`, in the sender's own offset |
| any other action | `label: ` and its `fallbackUrl`; without one, nothing |
| suggested reply | `1 label`, counted over the cards left to right, then the chips |
| PROMOTION | the opt-out wording, at the end, unless the content says it |

A blank line stands between cards, before the chips and before the opt-out
wording; a card's actions and then its replies stand beneath it. A link or number
is told once: not where an earlier line, or any title or text, tells it.

What is too long is told in part. The opt-out wording and the list come first, then
titles, actions and media, each while it fits; what room is left is shared by texts
and descriptions, which are shortened, and of which actions and media leave at least
one SMS in all. A reply that was not listed is no option.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import count, groupby
from typing import cast
from urllib.parse import quote

from backstop.domain.menu import Option
from backstop.domain.message import Json, Traffic
from backstop.domain.sms_text import LIMIT, OPT_OUT_WORDING, cut, plain, units

_LEAST_PROSE = 160
_BREAK = "\n\n"


@dataclass(frozen=True, kw_only=True)
class Face:
    """What the SMS says, "" if nothing can be told, and what it lets one reply."""

    text: str
    options: tuple[Option, ...]
    cut: bool


class _Need(IntEnum):
    """What an SMS can spare least comes first."""

    OPT_OUT = 0
    REPLY = 1
    TITLE = 2
    ACTION = 3
    MEDIA = 4
    PROSE = 5


@dataclass(frozen=True)
class _Part:
    """Some words; `target` is the link, number or wording that is told but once."""

    need: _Need
    words: str
    target: str = ""
    option: Option | None = None
    paragraph: int = 0


def compose(
    content: Json,
    *,
    traffic: Traffic,
    opt_out_wording: str = OPT_OUT_WORDING,
    limit: int = LIMIT,
) -> Face:
    """Return the SMS face of a canonical `contentMessage`, within *limit* units."""
    wording = opt_out_wording if traffic is Traffic.PROMOTION else ""
    parts = [
        replace(part, paragraph=number)
        for number, paragraph in enumerate(_paragraphs(content, wording))
        for part in paragraph
        if part.words
    ]
    whole = _once(parts, _told(parts, wording))
    if units(_join(whole)) <= limit:
        return _face(whole, was_cut=False)
    # What the words told may be cut off with them.
    return _face(_fit(_once(parts, set()), limit), was_cut=True)


def _paragraphs(content: Json, wording: str) -> Iterator[list[_Part]]:
    numbers = count(1)
    yield [_prose(content, "text"), _media(content)]
    for card in _cards(content):
        yield [
            _Part(_Need.TITLE, card.get("title", "").strip()),
            _prose(card, "description"),
            _media(card.get("media", {})),
            *_actions(card),
            *_replies(card, numbers),
        ]
    yield [*_actions(content), *_replies(content, numbers)]
    yield [_Part(_Need.OPT_OUT, wording, target=wording)]


def _cards(content: Json) -> list[Json]:
    match content:
        case {"richCard": {"standaloneCard": {"cardContent": card}}}:
            return [card]
        case {"richCard": {"carouselCard": {"cardContents": cards}}}:
            return cast("list[Json]", cards)
    return []


def _prose(holder: Json, name: str) -> _Part:
    return _Part(_Need.PROSE, holder.get(name, "").strip())


def _media(holder: Json) -> _Part:
    url = holder.get("contentInfo", {}).get("fileUrl", "")
    return _Part(_Need.MEDIA, url, target=url)


def _actions(holder: Json) -> Iterator[_Part]:
    for suggestion in holder.get("suggestions", []):
        action = suggestion.get("action", {})
        if target := _target(action):
            words = ": ".join(filter(None, (_label(action), target)))
            yield _Part(_Need.ACTION, words, target=target)


def _replies(holder: Json, numbers: Iterator[int]) -> Iterator[_Part]:
    for suggestion in holder.get("suggestions", []):
        reply = suggestion.get("reply", {})
        if label := _label(reply):
            option = Option(
                number=next(numbers),
                label=reply["text"],
                postback=reply.get("postbackData", ""),
            )
            yield _Part(_Need.REPLY, f"{option.number} {label}", option=option)


def _label(suggestion: Json) -> str:
    return " ".join(suggestion.get("text", "").split())


def _target(action: Json) -> str:
    """Return what an action leads to, in words; "" if an SMS cannot lead there."""
    match action:
        case {"openUrlAction": {"url": str(url)}}:
            return url
        case {"dialAction": {"phoneNumber": str(number)}}:
            return number
        case {"viewLocationAction": place}:
            return f"https://maps.google.com/?q={_place(place)}"
        case {"createCalendarEventAction": {"title": title, "startTime": time}}:
            return f"{title}, {_time(time)}"
    return cast("str", action.get("fallbackUrl", ""))


def _place(place: Json) -> str:
    if "latLong" not in place:
        return quote(place["query"])
    # Protobuf leaves a zero out.
    spot = (place["latLong"].get(name, 0) for name in ("latitude", "longitude"))
    return ",".join(f"{degrees:.6f}".rstrip("0").rstrip(".") for degrees in spot)


def _time(time: str) -> str:
    """Return an RFC 3339 time as people write it, to the minute."""
    offset = "" if time[-1] in "Zz" else time[-6:]
    return f"{time[:10]} {time[11:16]} UTC{offset}"


def _told(parts: Iterable[_Part], wording: str) -> set[str]:
    """Return the links and numbers that titles and texts tell by themselves."""
    words = " ".join(
        part.words for part in parts if part.need in {_Need.TITLE, _Need.PROSE}
    )
    told = {word.strip(".,;:!?()[]<>\"'") for word in words.split()}
    tells = wording and plain(wording) in plain(words)
    return told | {wording} if tells else told


def _once(parts: Iterable[_Part], told: set[str]) -> list[_Part]:
    kept = []
    for part in parts:
        if not part.target or part.target not in told:
            kept.append(part)
            told.add(part.target)
    return kept


def _fit(parts: list[_Part], limit: int) -> list[_Part]:
    room = limit
    kept: dict[int, _Part] = {}
    prose = [i for i, part in enumerate(parts) if part.need is _Need.PROSE]
    least = min(_LEAST_PROSE, sum(_cost(parts[i].words) for i in prose))
    for i in sorted(set(range(len(parts))) - {*prose}, key=lambda i: parts[i].need):
        spared = least if parts[i].need >= _Need.ACTION else 0
        if room - _cost(parts[i].words) >= spared:
            kept[i] = parts[i]
            room -= _cost(parts[i].words)
    prose.sort(key=lambda i: units(parts[i].words))
    for sharers, i in zip(range(len(prose), 0, -1), prose, strict=True):
        words, _ = cut(parts[i].words, room // sharers - len(_BREAK))
        if words:
            kept[i] = replace(parts[i], words=words)
            room -= _cost(words)
    return [kept[i] for i in sorted(kept)]


def _cost(words: str) -> int:
    # The longest break that may follow: a few characters too many at worst.
    return units(words) + len(_BREAK)


def _join(parts: Iterable[_Part]) -> str:
    paragraphs = groupby(parts, key=lambda part: part.paragraph)
    return _BREAK.join(
        "\n".join(part.words for part in group) for _, group in paragraphs
    )


def _face(parts: list[_Part], *, was_cut: bool) -> Face:
    # How to opt out of nothing is no message.
    if all(part.need is _Need.OPT_OUT for part in parts):
        return Face(text="", options=(), cut=was_cut)
    options = tuple(part.option for part in parts if part.option)
    return Face(text=_join(parts), options=options, cut=was_cut)
