# ruff: noqa: RUF001 - look-alikes are what is tested

import pytest

from backstop.domain.keywords import Word, read

OUT = ("STOP", "stop", " Stop. ", "STOPALL", "Stop all", "unsubscribe", "Cancel")
OUT += ("END", "quit!", "Revoke", "optout", "opt out", "OPT-OUT", '"STOP"', "opt  out")
OUT += (
    "ＳＴＯＰ",
    "STOP\u200b",
    "*stop*",
    "STOP 🛑",
    "Stop?",
    "¡BAJA!",
    "parar",
    "stop\n",
)
IN = ("START", "unstop", "Subscribe", "ALTA", "Démarrer", "de\u0301marrer!", "COMEÇAR")
HELP = ("HELP", " help! ", "Help?")
TYPOS = ("stpo", "sstop", "sto", "stp", "STOPP", "shop", "unsubscirbe", "cancle")
TYPOS += ("strat", "demarrer", "comecar", "s.t.o.p", "st op", "stop 2", "un-subscribe")
SENTENCES = ("please stop", "Please stop texting me!", "STOP STOP", "Don't stop")
SENTENCES += (
    "I want to opt-out now please",
    "quiero darme de baja",
    "cancel order",
)
DOUBTFUL_IN = ("Start?", "subscribe ？")
ORDINARY = ("", " ", "?", "👍", "1", "yes", "YES", "no", "Hello", "OK thanks", "info")
ORDINARY += ("and", "send", "ends", "the end", "by the end of the week")
ORDINARY += ("help me", "helo", "hlep", "when do you start", "please subscribe me")
ORDINARY += ("nonstop fun", "we stopped", "can you stop by at five if that is fine")

ROWS = {
    Word.OPT_OUT: OUT,
    Word.OPT_IN: IN,
    Word.HELP: HELP,
    Word.REVIEW: (*TYPOS, *SENTENCES, *DOUBTFUL_IN),
    None: ORDINARY,
}


@pytest.mark.parametrize(
    ("text", "word"), [(text, word) for word, texts in ROWS.items() for text in texts]
)
def test_a_keyword_is_the_whole_text(text, word):
    """Near to one is for a person to read, and everything else is talk."""
    assert read(text) is word


@pytest.mark.parametrize(
    ("unsubscribe", "subscribe"),
    [("STOP", "START"), ("STOP", "Démarrer"), ("BAJA", "ALTA"), ("parar", "começar")],
    ids=["US, IN, GB, DE", "FR", "ES, MX", "BR"],
)
def test_what_google_messages_writes_is_understood(unsubscribe, subscribe):
    assert read(unsubscribe) is Word.OPT_OUT
    assert read(subscribe) is Word.OPT_IN


@pytest.mark.parametrize("words", [8, 9])
def test_only_a_short_text_is_looked_at(words):
    text = " ".join(["stop", *["word"] * (words - 1)])

    assert read(text) is (Word.REVIEW if words == 8 else None)
