"""The numbered replies that an SMS listed, and which of them a text means."""

import re
from collections.abc import Sequence

from msgspec import Struct

from backstop.domain.sms_text import asks, fold, plain

# At most three digits: no menu is longer, and no code or amount is a choice.
_NUMBERED = re.compile(
    r"[\s(\[\"“#]*(\d{1,3})([\s)\]\"”.,:;!–—-]*)(.*)",  # noqa: RUF001 - dashes
    re.DOTALL,
)


class Option(Struct, frozen=True, kw_only=True):
    """One reply as the SMS listed it, and what a tap on it would have sent."""

    number: int
    label: str
    postback: str


def choose(options: Sequence[Option], text: str) -> Option | None:
    """Return the option that *text* means, None if it means none or several.

    Neither number nor label comes first: where "2" is the number of one option
    and the label of another, taking either would be a guess. Options of one
    label and one postback are the same tap.
    """
    meant = [
        option
        for option in options
        if _is_label(option, text) or _is_number(option, text)
    ]
    taps = {(_key(option.label), option.postback) for option in meant}
    return meant[0] if len(taps) == 1 else None


def _is_label(option: Option, text: str) -> bool:
    if asks(text) and not asks(option.label):
        return False
    return bool(_key(text)) and _key(text) == _key(option.label)


def _is_number(option: Option, text: str) -> bool:
    """Whether *text* is the option's number, alone or with its label behind it."""
    match = _NUMBERED.fullmatch(fold(text))
    if match is None or int(match[1]) != option.number:
        return False
    _, between, rest = match.groups()
    if not rest:
        return True
    # "2pm" counts hours; "1.5" and "10:30" are one number.
    apart = between and (between != between.strip() or not rest[0].isdecimal())
    return bool(apart) and _is_label(option, rest)


def _key(text: str) -> str:
    # A label may be nothing but an emoji.
    return plain(text) or fold(text)
