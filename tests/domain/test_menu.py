# ruff: noqa: RUF001 - look-alikes are what is tested

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.domain.menu import Option, choose


def menu(*labels):
    return [
        Option(number=number, label=label, postback=f"tap:{number}")
        for number, label in enumerate(labels, start=1)
    ]


VISIT = menu("Confirm", "Reschedule", "Call me, please!")


def number_of(options, text):
    option = choose(options, text)
    return option and option.number


@pytest.mark.parametrize(
    "text",
    [
        *(
            "2",
            " 2. ",
            "#2",
            "2)",
            "(2)",
            "[2]",
            "2:",
            "2!",
            '"2"',
            "“2”",
            "2\n",
            "2 :)",
        ),
        *("２", "٢", "२", "②", "2️⃣", "02", "\u200f2"),
        *(
            "Reschedule",
            "reschedule",
            "RESCHEDULE.",
            " re\u00adschedule ",
            "Ｒeschedule",
        ),
        *("«Reschedule»", "✅ reschedule", "2 Reschedule", "2. reschedule!"),
        *(
            "2) Reschedule",
            "2-reschedule",
            "2 – Reschedule",
            "2: RESCHEDULE",
            "2\nreschedule",
        ),
    ],
)
def test_a_number_or_a_label_is_a_tap(text):
    assert number_of(VISIT, text) == 2


@pytest.mark.parametrize(
    "text", ["call me please", "Call me - please", "3 CALL ME, please"]
)
def test_punctuation_within_a_label_is_free(text):
    assert number_of(VISIT, text) == 3


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "!", "👍", "ok", "0", "4", "22", "2222", "-2", "$2", "9" * 5000),
        *(
            "2 pm works",
            "2pm",
            "2nd",
            "2x",
            "2.5",
            "2,5",
            "2:30",
            "1-2",
            "1/2",
            "½",
            "1 2",
        ),
        *("1 and 2", "2 Confirm", "Reschedule 2", "2 👍"),
        *("I confirm that...", "Confirm it", "re schedule", "confirmed"),
        *("2?", "Confirm?", "confirm？", "2 Reschedule?"),
    ],
)
def test_an_ordinary_text_stays_ordinary(text):
    assert choose(VISIT, text) is None


ROWS = {
    "a label of two is neither": (menu("Buy", "buy!"), "buy", None),
    "but their numbers are": (menu("Buy", "buy!"), "2", 2),
    "and number with label": (menu("Buy", "buy!"), "2 buy", 2),
    "a label that is another's number": (menu("2", "1"), "2", None),
    "a label that is its own number": (menu("1", "2"), "2", 2),
    "a label that is nobody's number": (menu("5", "10"), "10", 2),
    "a number that is nobody's label": (menu("5", "10"), "1", 1),
    "number and numeric label": (menu("2", "1"), "1 2", 1),
    "a decimal is not number and label": (menu("5", "10"), "1.5", None),
    "a time is not number and label": (menu("30", "45"), "1:30", None),
    "a decimal label": (menu("1.5", "2.5"), "2.5", 2),
    "a label that begins with a number": (
        menu("2 tickets", "4 tickets"),
        "2 tickets",
        1,
    ),
    "the number all the same": (menu("2 tickets", "4 tickets"), "2", 2),
    "a label that asks": (menu("Call us?", "No"), "call us?", 1),
    "answered without asking": (menu("Call us?", "No"), "call us", 1),
    "an emoji": (menu("👍", "👎"), "👎\ufe0f", 2),
    "as many stars": (menu("⭐", "⭐⭐"), "⭐⭐", 2),
    "an accent": (menu("Démarrer", "Arrêter"), "de\u0301marrer", 1),
    "another word": (menu("Démarrer", "Arrêter"), "demarrer", None),
    "an hour is not number and label": (menu("AM", "PM"), "2pm", None),
    "a label that nobody sees": (menu("\u200b"), "", None),
    "no menu": ([], "1", None),
    "eleven options": (menu(*"abcdefghijk"), "11", 11),
}


@pytest.mark.parametrize(("options", "text", "number"), ROWS.values(), ids=ROWS)
def test_nothing_is_guessed(options, text, number):
    assert number_of(options, text) == number


def test_one_tap_listed_twice_is_no_doubt():
    """Two cards may carry the same reply: either tap would send the same."""
    twice = [Option(number=n, label="Help", postback="help") for n in (1, 2)]

    assert number_of(twice, "help") == 1


@given(st.lists(st.text(max_size=25), min_size=1, max_size=9), st.data())
def test_whatever_the_labels_a_choice_is_what_was_written(labels, data):
    options = menu(*labels)
    option = data.draw(st.sampled_from(options))

    assert choose(options, str(option.number)) in {option, None}
    assert choose(options, option.label) in {option, None}
