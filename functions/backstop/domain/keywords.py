"""The words by which a user opts out or in, or asks for help, on either channel.

Keywords count only as the whole text, whatever case and punctuation they wear:
a guess would silence somebody, or text them against their word. What comes near
to one is for a person to read.
"""

from enum import StrEnum

from backstop.domain.sms_text import asks, plain


class Word(StrEnum):
    """What a text says about consent. REVIEW: perhaps something, ask a person."""

    OPT_OUT = "OPT_OUT"
    OPT_IN = "OPT_IN"
    HELP = "HELP"
    REVIEW = "REVIEW"


# The national ones are what Google Messages writes when the user taps
# Unsubscribe or Subscribe (ES and MX, BR, FR).
_OPT_OUT = frozenset(
    {
        *("stop", "stop all", "stopall", "quit", "end", "revoke", "cancel"),
        *("opt out", "optout", "unsubscribe"),
        *("baja", "parar"),
    }
)
# No "yes": it answers whatever the last message asked.
_OPT_IN = frozenset({"start", "unstop", "subscribe", "démarrer", "alta", "começar"})

# "end" is in too many sentences, and one letter away from too many words.
_TELLING = {word for word in _OPT_OUT | _OPT_IN if len(word) > len("end")}
_FEW = 8


def read(text: str) -> Word | None:
    """Return what *text* says about consent, None for an ordinary text."""
    said = plain(text)
    if said in _OPT_OUT:
        return Word.OPT_OUT
    if said in _OPT_IN:
        return Word.REVIEW if asks(text) else Word.OPT_IN
    if said == "help":
        return Word.HELP
    return Word.REVIEW if _nears(said) else None


def _nears(said: str) -> bool:
    squeezed = said.replace(" ", "")
    if any(_is_one_typo_from(word, squeezed) for word in _TELLING):
        return True
    # An opt-in within a sentence costs nothing when overlooked, an opt-out does.
    sentence = f" {said} "
    return said.count(" ") < _FEW and any(
        f" {word} " in sentence for word in _TELLING & _OPT_OUT
    )


def _is_one_typo_from(word: str, said: str) -> bool:
    """Whether a letter is missing, added or wrong, or two are swapped, or none."""
    same = 0
    while said[: same + 1] == word[: same + 1] and same < len(word):
        same += 1
    left, right = said[same:], word[same:]
    return right in {left, left[1:], left[1::-1] + left[2:]} or right[1:] in {
        left,
        left[1:],
    }
