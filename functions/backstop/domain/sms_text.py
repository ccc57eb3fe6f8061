"""The text of an SMS: its length, its segments, and what it says to a machine.

No library serves: the kept one counts by division and loads pydantic, the
correct one has been asleep since 2020, and neither names what forced UCS-2.
"""

import re
from collections.abc import Iterator
from typing import Literal
from unicodedata import category, normalize

from msgspec import Struct

LIMIT = 2048
"""How long an SMS may be, in whichever unit its provider counts: see `units`."""

OPT_OUT_WORDING = "Reply STOP to opt out"

_ELLIPSIS = "..."
_NAMED = 10

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")
_LAST_OF_ONE_UNIT = "\uffff"

_JOINER = "\u200d"
_SKIN = re.compile("[\U0001f3fb-\U0001f3ff]")
_FLAG = re.compile("[\U0001f1e6-\U0001f1ff]")
_TAG = re.compile("[\U000e0020-\U000e007f]")

_UNSEEN = re.compile("[\ufe0e\ufe0f\u20e3'’‘`´]")  # noqa: RUF001 - as phones write them


class Measure(Struct, frozen=True, kw_only=True):
    """How a text travels; `forced_by` are characters that GSM-7 does not have."""

    encoding: Literal["GSM-7", "UCS-2"]
    segments: int
    forced_by: tuple[str, ...] = ()


def measure(text: str) -> Measure:
    """Return how carriers encode and divide *text*, which takes at least 1 segment."""
    foreign = dict.fromkeys(c for c in text if c not in _BASIC and c not in _EXTENDED)
    if foreign:
        return Measure(
            encoding="UCS-2",
            segments=_segments([units(c) for c in text], 70, 67),
            forced_by=tuple(foreign)[:_NAMED],
        )
    costs = [2 if c in _EXTENDED else 1 for c in text]
    return Measure(encoding="GSM-7", segments=_segments(costs, 160, 153))


def units(text: str) -> int:
    """Return the length in UTF-16 code units.

    Providers do not say what a character is. This is the largest count of all,
    so what fits by it fits.
    """
    if text.isascii():
        return len(text)
    return len(text) + sum(c > _LAST_OF_ONE_UNIT for c in text)


def cut(text: str, limit: int) -> tuple[str, bool]:
    """Return *text* within *limit* units, and whether it had to be shortened.

    It ends in dots then, and never within what a reader sees as one character;
    "" if not even one fits.
    """
    if units(text) <= limit:
        return text, False
    head, room = "", limit - len(_ELLIPSIS)
    for cluster in _clusters(text):
        room -= units(cluster)
        if room < 0:
            break
        head += cluster
    head = head.rstrip()
    return (head + _ELLIPSIS if head else ""), True


def fold(text: str) -> str:
    """Return *text* without what people do not mean by it.

    That is case, width and style (NFKC), apostrophes, invisible characters and
    the emoji form of a digit.
    """
    # Before NFKC, which would make an accent of an apostrophe.
    seen = normalize("NFKC", _UNSEEN.sub("", text))
    folded = normalize("NFKC", seen.casefold()).replace("؟", "?")
    return "".join(c for c in folded if category(c) != "Cf").strip()


def plain(text: str) -> str:
    """Return the folded words of *text*, a space between; "" if it has none."""
    folded = fold(text)
    return " ".join(
        "".join(c if category(c)[0] in "LMN" else " " for c in folded).split()
    )


def asks(text: str) -> bool:
    """Whether *text* is a question. A question agrees to nothing."""
    return "?" in fold(text)


def _segments(costs: list[int], single: int, part: int) -> int:
    if sum(costs) <= single:
        return 1
    count, used = 1, 0
    for cost in costs:
        # Neither half of an escape or a surrogate pair means anything alone.
        if used + cost > part:
            count, used = count + 1, 0
        used += cost
    return count


def _clusters(text: str) -> Iterator[str]:
    cluster = ""
    for c in text:
        if cluster and not _continues(cluster, c):
            yield cluster
            cluster = ""
        cluster += c
    yield cluster


def _continues(cluster: str, c: str) -> bool:
    if category(c)[0] == "M" or c == _JOINER or cluster.endswith(_JOINER):
        return True
    if _FLAG.match(c):
        return bool(_FLAG.fullmatch(cluster))
    return bool(_SKIN.match(c) or _TAG.match(c))
