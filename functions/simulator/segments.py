"""How many SMS segments a text takes, as a carrier counts them."""

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€\f")

# One message alone, and a part of a longer one: six bytes go to the part's header.
_SEPTETS = (160, 153)
_UNITS = (70, 67)


def segment_count(text: str) -> int:
    """Segments of *text*: GSM-7 if every character fits, else UCS-2; at least 1."""
    if all(c in _BASIC or c in _EXTENDED for c in text):
        return _parts([2 if c in _EXTENDED else 1 for c in text], *_SEPTETS)
    return _parts([2 if ord(c) > 0xFFFF else 1 for c in text], *_UNITS)  # noqa: PLR2004 - beyond the BMP


def _parts(costs: list[int], single: int, part: int) -> int:
    if sum(costs) <= single:
        return 1
    count, used = 1, 0
    for cost in costs:
        # An escape pair or a surrogate pair stays in one part.
        if used + cost > part:
            count, used = count + 1, 0
        used += cost
    return count
