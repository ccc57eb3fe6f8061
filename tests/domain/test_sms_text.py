# ruff: noqa: RUF001 - look-alikes are what is tested

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.domain.sms_text import Measure, asks, cut, fold, measure, plain, units
from simulator.segments import segment_count

FAMILY = "👨\u200d👩\u200d👧"
GSM_7 = {
    "nothing": ("", 1),
    "one full SMS": ("a" * 160, 1),
    "one more": ("a" * 161, 2),
    "two full parts": ("a" * 306, 2),
    "one more than two parts": ("a" * 307, 3),
    "the longest text": ("a" * 2048, 14),
    "letters beyond ASCII": ("àé ÅåΔΦ £¥ Çñü\n\r@", 1),
    "escapes that fill one SMS": ("€" * 80, 1),
    "an escape too many": ("€" * 80 + "a", 2),
    "an escape that would be divided": ("a" * 152 + "€" + "a" * 152, 3),
    "every escape": ("^{}\\[~]|€\f" * 8, 1),
}
UCS_2 = {
    "one full SMS": ("ж" * 70, 1, ("ж",)),
    "one more": ("ж" * 71, 2, ("ж",)),
    "two full parts": ("ж" * 134, 2, ("ж",)),
    "the longest text": ("ж" * 2048, 31, ("ж",)),
    "pairs that fill one SMS": ("🎉" * 35, 1, ("🎉",)),
    "a pair that would be divided": ("ж" * 66 + "🎉" + "ж" * 66, 3, ("ж", "🎉")),
    "an escape costs one": ("ж" + "€" * 69, 1, ("ж",)),
    "a small cedilla": ("começar", 1, ("ç",)),
    "an escape alone": ("\x1b", 1, ("\x1b",)),
    "in order, each once": ("b’a—’—“", 1, ("’", "—", "“")),
    "ten are named": ("абвгдежзийкл", 1, tuple("абвгдежзий")),
}


class TestMeasure:
    @pytest.mark.parametrize(("text", "segments"), GSM_7.values(), ids=GSM_7)
    def test_gsm_7_where_every_character_fits(self, text, segments):
        assert measure(text) == Measure(encoding="GSM-7", segments=segments)

    @pytest.mark.parametrize(
        ("text", "segments", "forced_by"), UCS_2.values(), ids=UCS_2
    )
    def test_ucs_2_where_one_does_not(self, text, segments, forced_by):
        assert measure(text) == Measure(
            encoding="UCS-2", segments=segments, forced_by=forced_by
        )

    @given(st.text(alphabet="ab€[ж🎉", min_size=60, max_size=500))
    def test_the_simulated_carrier_counts_the_same(self, text):
        assert measure(text).segments == segment_count(text)


CUT = {
    "at a word's end": ("Warm boots", 8, "Warm..."),
    "just too long": ("abcdef", 5, "ab..."),
    "before a surrogate pair": ("ab🎉🎉", 5, "ab..."),
    "behind one": ("ab🎉🎉!!", 7, "ab🎉..."),
    "before an accent": ("abe\u0301\u0323fg", 6, "ab..."),
    "before a joined family": (f"a{FAMILY}b", 9, "a..."),
    "behind it": (f"a{FAMILY}bcde", 12, f"a{FAMILY}..."),
    "before a skin": ("a👍🏽bcd", 6, "a..."),
    "between two flags": ("🇩🇪🇫🇷🇧🇷", 9, "🇩🇪..."),
    "not within a tagged flag": ("a🏴\U000e0067\U000e007fbcd", 8, "a..."),
    "an emoji form": ("a❤\ufe0fbcd", 5, "a..."),
    "no room for a character": ("abcdef", 3, ""),
    "no room at all": ("abcdef", -1, ""),
}


class TestCut:
    @pytest.mark.parametrize("text", ["", "abcde", "🎉a🎉"])
    def test_what_fits_stays(self, text):
        assert cut(text, 5) == (text, False)

    @pytest.mark.parametrize(("text", "limit", "head"), CUT.values(), ids=CUT)
    def test_what_does_not_ends_in_dots(self, text, limit, head):
        assert cut(text, limit) == (head, True)

    @given(st.text(max_size=40), st.integers(0, 40))
    def test_nothing_is_longer_than_it_may_be(self, text, limit):
        shorter, was_cut = cut(text, limit)

        assert units(shorter) == len(shorter.encode("utf-16-le")) // 2 <= limit
        assert was_cut == (shorter != text)
        assert text.startswith(shorter.removesuffix("...") if was_cut else text)


FOLDED = {
    "case": ("STRASSE straße", "strasse strasse"),
    "width and style": ("Ｙｅｓ 𝐘𝐞𝐬", "yes yes"),
    "punctuation": (" «Opt-out»... ", "opt out"),
    "space of every kind": ("a\u00a0b\n\tc", "a b c"),
    "symbols": ("✅ Confirm 🎉", "confirm"),
    "apostrophes": ("Don't don’t don´t", "dont dont dont"),
    "invisible characters": ("st\u200bo\u00adp\u2069", "stop"),
    "an emoji digit": ("2\ufe0f\u20e3", "2"),
    "accents stay": ("De\u0301marrer", "démarrer"),
    "vowel signs stay": ("हिन्दी", "हिन्दी"),
    "no words": ("👍!", ""),
}


@pytest.mark.parametrize(("text", "words"), FOLDED.values(), ids=FOLDED)
def test_only_words_are_compared(text, words):
    assert plain(text) == words


@given(st.text())
def test_what_is_plain_stays_plain(text):
    assert plain(plain(text)) == plain(text)


def test_folding_keeps_signs():
    assert fold(" ２) 👍\ufe0f ") == "2) 👍"


@pytest.mark.parametrize(
    ("text", "question"),
    [("Now?", True), ("Now？!", True), ("الآن؟", True), ("Now!", False), ("", False)],
)
def test_a_question_asks(text, question):
    assert asks(text) is question
