from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.domain.menu import Option, choose
from backstop.domain.message import Traffic
from backstop.domain.sms_text import units
from backstop.providers.rbm.content import canonical
from backstop.providers.rbm.face import OPT_OUT_WORDING, Face, compose

NOW = datetime(2026, 4, 5, 12, 0, tzinfo=UTC)
SHOP = "https://shop.example/boots"
IMAGE = "https://files.example/a.png"
MEDIA = {"height": "TALL", "contentInfo": {"fileUrl": IMAGE, "thumbnailUrl": SHOP}}
UPLOADED = {"uploadedRbmFile": {"fileName": "files/1", "thumbnailName": "files/2"}}


def reply(label, postback=None):
    return {"reply": {"text": label, "postbackData": postback or label.lower()}}


def action(label="Go", **one):
    return {"action": {"text": label, "postbackData": "g", **one}}


def link(label, url=SHOP):
    return action(label, openUrlAction={"url": url})


def standalone(card, *chips):
    rich = {"standaloneCard": {"cardContent": card}}
    return {"richCard": rich, "suggestions": list(chips)}


def carousel(*cards, chips=()):
    rich = {"carouselCard": {"cardContents": list(cards)}}
    return {"richCard": rich, "suggestions": list(chips)}


def face(content, traffic=Traffic.TRANSACTION, **more):
    """Compose what `canonical` lets through, so that no row is a fancy."""
    message = canonical({"contentMessage": content}, now=NOW)
    return compose(message["contentMessage"], traffic=traffic, **more)


def said(content, traffic=Traffic.TRANSACTION, **more):
    return face(content, traffic, **more).text


VISIT = {
    "text": "Visit on Monday?",
    "suggestions": [reply("Confirm"), link("Details"), reply("Reschedule")],
}
SAID = {
    "a text": ({"text": " Hello\nthere \n"}, "Hello\nthere"),
    "a blank text": ({"text": " \n"}, ""),
    "a file by URL": ({"contentInfo": {"fileUrl": IMAGE, "thumbnailUrl": SHOP}}, IMAGE),
    "an uploaded file": (UPLOADED, ""),
    "a deprecated file name": ({"fileName": "files/1"}, ""),
    "an uploaded file with replies": (
        {**UPLOADED, "suggestions": [reply("Nice")]},
        "1 Nice",
    ),
    "chips": (VISIT, f"Visit on Monday?\n\nDetails: {SHOP}\n1 Confirm\n2 Reschedule"),
    "a card": (
        standalone(
            {
                "title": "Boots",
                "description": "Warm ones",
                "media": MEDIA,
                "suggestions": [reply("Buy"), link("See")],
            }
        ),
        f"Boots\nWarm ones\n{IMAGE}\nSee: {SHOP}\n1 Buy",
    ),
    "a card of media": (standalone({"media": MEDIA}), IMAGE),
    "a card of an uploaded file": (
        standalone({"media": {"height": "SHORT", "fileName": "files/1"}}),
        "",
    ),
    "a carousel": (
        carousel(
            {"title": "Boots", "suggestions": [reply("Buy"), reply("Later")]},
            {"media": {"height": "SHORT", **UPLOADED}},
            {"title": "Hats", "description": "Wide", "suggestions": [reply("Buy")]},
            chips=[reply("None")],
        ),
        "Boots\n1 Buy\n2 Later\n\nHats\nWide\n3 Buy\n\n4 None",
    ),
}


@pytest.mark.parametrize(("content", "words"), SAID.values(), ids=SAID)
def test_content_reads_as_text(content, words):
    assert said(content) == words
    assert not face(content).cut


ACTIONS = {
    "open": (action(openUrlAction={"url": SHOP}), f"Go: {SHOP}"),
    "dial": (
        action("Call  us", dialAction={"phoneNumber": "+15550100001"}),
        "Call us: +15550100001",
    ),
    "its own target before the fallback": (
        action(dialAction={"phoneNumber": "*100#"}, fallbackUrl=SHOP),
        "Go: *100#",
    ),
    "a place": (
        action(
            viewLocationAction={
                "latLong": {"latitude": "37.4220188", "longitude": -122},
                "label": "Office",
            }
        ),
        "Go: https://maps.google.com/?q=37.422019,-122",
    ),
    "a place on the equator": (
        action(viewLocationAction={"latLong": {"longitude": 0.5}}),
        "Go: https://maps.google.com/?q=0,0.5",
    ),
    "a place by name": (
        action(viewLocationAction={"query": "Café & Bar"}),
        "Go: https://maps.google.com/?q=Caf%C3%A9%20%26%20Bar",
    ),
    "a date": (
        action(
            "Save",
            createCalendarEventAction={
                "startTime": "2026-12-01T10:00:00Z",
                "endTime": "2026-12-01T11:00:00Z",
                "title": "Visit",
            },
        ),
        "Save: Visit, 2026-12-01 10:00 UTC",
    ),
    "a date elsewhere": (
        action(
            createCalendarEventAction={
                "startTime": "2026-05-01T10:30:00.5+02:00",
                "endTime": "2026-05-01T11:00:00Z",
                "title": "Party",
                "description": "Bring cake",
            }
        ),
        "Go: Party, 2026-05-01 10:30 UTC+02:00",
    ),
    "ask for the place": (action(shareLocationAction={}), ""),
    "ask for the place on a page": (
        action(shareLocationAction={}, fallbackUrl=SHOP),
        f"Go: {SHOP}",
    ),
    "compose": (
        action(composeAction={"composeTextMessage": {"phoneNumber": "1"}}),
        "",
    ),
    "without a visible label": (action(" ", openUrlAction={"url": SHOP}), SHOP),
    "a reply without a visible label": (reply(" "), ""),
}


@pytest.mark.parametrize(("chip", "words"), ACTIONS.values(), ids=ACTIONS)
def test_an_action_is_told_by_where_it_leads(chip, words):
    assert said({**UPLOADED, "suggestions": [chip]}) == words


ONCE = {
    "told by the text": (
        {"text": f"Look ({SHOP}).", "suggestions": [link("See")]},
        f"Look ({SHOP}).",
    ),
    "a longer link is another": (
        {"text": f"Look: {SHOP}/red", "suggestions": [link("See")]},
        f"Look: {SHOP}/red\n\nSee: {SHOP}",
    ),
    "a number told by the text": (
        {
            "text": "Call +15550100001!",
            "suggestions": [action(dialAction={"phoneNumber": "+15550100001"})],
        },
        "Call +15550100001!",
    ),
    "told by an earlier card": (
        carousel(
            {"title": "Boots", "media": MEDIA, "suggestions": [link("See")]},
            {"title": "Hats", "media": MEDIA, "suggestions": [link("Look")]},
            chips=[link("Shop"), link("Picture", IMAGE)],
        ),
        f"Boots\n{IMAGE}\nSee: {SHOP}\n\nHats",
    ),
}


@pytest.mark.parametrize(("content", "words"), ONCE.values(), ids=ONCE)
def test_a_link_is_told_once(content, words):
    assert said(content) == words


class TestOptions:
    def test_only_replies_are_numbered_cards_first(self):
        content = carousel(
            {"title": "A", "suggestions": [reply("Buy", "buy/a"), link("See")]},
            {"title": "B", "suggestions": [reply("Buy", "buy/b")]},
            chips=[action(shareLocationAction={}), reply("  No\nthanks ", " no=é ")],
        )

        assert face(content).options == (
            Option(number=1, label="Buy", postback="buy/a"),
            Option(number=2, label="Buy", postback="buy/b"),
            Option(number=3, label="  No\nthanks ", postback=" no=é "),
        )
        assert said(content).endswith("\n\n3 No thanks")

    def test_a_reply_may_have_no_postback(self):
        shown = face({"text": "Hi", "suggestions": [{"reply": {"text": "Yes"}}]})

        assert shown.options == (Option(number=1, label="Yes", postback=""),)

    def test_every_numbered_line_is_its_options_tap(self):
        shown = face(VISIT)

        for line in shown.text.splitlines()[-2:]:
            assert choose(shown.options, line).label in line


class TestOptOut:
    @pytest.mark.parametrize("traffic", sorted(set(Traffic) - {Traffic.PROMOTION}))
    def test_only_a_promotion_says_how(self, traffic):
        assert said({"text": "Hi"}, traffic) == "Hi"
        assert said({"text": "Hi"}, Traffic.PROMOTION) == f"Hi\n\n{OPT_OUT_WORDING}"

    def test_in_the_callers_words(self):
        shown = said({"text": "Hola"}, Traffic.PROMOTION, opt_out_wording="BAJA: fin")

        assert shown == "Hola\n\nBAJA: fin"

    @pytest.mark.parametrize("wording", ["", OPT_OUT_WORDING])
    def test_or_not_at_all(self, wording):
        """Where the caller wants none, or the text says it already."""
        text = "Sale! Reply 'STOP' to opt-out."

        assert said({"text": text}, Traffic.PROMOTION, opt_out_wording=wording) == text

    def test_nor_alone(self):
        assert said(UPLOADED, Traffic.PROMOTION) == ""


LONG = "All about boots. " * 110
REPLIES = [reply("Buy"), reply("Later")]
WORDING = f"\n\n{OPT_OUT_WORDING}"


class TestCut:
    def test_the_longest_that_fits_is_whole(self):
        text = "x" * (2048 - len(WORDING))

        assert face({"text": text}, Traffic.PROMOTION) == Face(
            text=text + WORDING, options=(), cut=False
        )

    def test_a_text_gives_way_to_list_and_wording(self):
        shown = face({"text": "x" * 3072, "suggestions": REPLIES}, Traffic.PROMOTION)

        assert shown.cut
        assert shown.text.endswith(f"x...\n\n1 Buy\n2 Later{WORDING}")
        assert 2040 < units(shown.text) <= 2048

    def test_descriptions_share_what_is_left(self):
        cards = [
            {"title": "A", "description": LONG, "suggestions": [link("See")]},
            {"title": "B", "description": "Short", "suggestions": REPLIES},
            {"title": "C", "description": LONG, "media": MEDIA},
        ]
        shown = face(carousel(*cards))
        first, second, third = shown.text.split("\n\n")

        assert shown.cut
        assert second == "B\nShort\n1 Buy\n2 Later"
        assert first.startswith("A\nAll about boots.")
        assert first.endswith(f"...\nSee: {SHOP}")
        assert third.endswith(f"...\n{IMAGE}")
        assert abs(len(first) - len(third)) < 60
        assert 2000 < len(shown.text) <= 2048

    def test_links_leave_room_for_words(self):
        urls = [f"https://shop.example/{letter * 600}" for letter in "abc"]
        chips = [*(link("See", url) for url in urls), *REPLIES]
        lines = said({"text": "Warm boots. " * 200, "suggestions": chips}).split("\n")

        assert len(lines[0]) > 150
        assert [line[-1] for line in lines[2:]] == ["a", "b", "y", "r"]

    def test_media_goes_before_an_action(self):
        card = {
            "title": "Boots",
            "media": {"contentInfo": {"fileUrl": IMAGE + "?" + "x" * 1500}},
            "suggestions": [link("See", SHOP + "?" + "y" * 1500)],
        }

        assert said(standalone(card)) == f"Boots\nSee: {SHOP}?{'y' * 1500}"

    def test_an_action_goes_before_a_title(self):
        card = {"title": "T" * 60, "suggestions": [link("See", SHOP + "?" + "y" * 60)]}

        assert said(standalone(card), limit=100) == "T" * 60

    def test_a_link_that_is_cut_off_is_told_beneath(self):
        text = "x " * 1400 + SHOP

        assert said({"text": text, "suggestions": [link("See")]}).endswith(SHOP)

    def test_a_wording_that_is_cut_off_is_told_beneath(self):
        text = "x " * 1400 + OPT_OUT_WORDING

        assert said({"text": text}, Traffic.PROMOTION).endswith(f"...{WORDING}")

    def test_a_reply_that_is_not_listed_is_no_option(self):
        cards = [{"title": "T" * 200, "suggestions": [reply("🎉" * 25)] * 10}] * 10
        shown = face(carousel(*cards), Traffic.PROMOTION)

        assert shown.cut
        assert units(shown.text) <= 2048
        assert 30 < len(shown.options) < 100
        assert [f"{o.number} {o.label}" for o in shown.options] == [
            line for line in shown.text.splitlines() if line.endswith("🎉")
        ]
        assert shown.text.endswith(WORDING)


WORDS = st.text("ab 🎉é", min_size=1, max_size=90)
CHIPS = st.lists(
    st.builds(reply, st.text("ab ", min_size=1, max_size=9))
    | st.builds(link, st.text("ab", max_size=9), st.sampled_from([SHOP, IMAGE])),
    max_size=4,
)
CARDS = st.lists(
    st.fixed_dictionaries(
        {"title": WORDS},
        optional={
            "description": WORDS,
            "suggestions": CHIPS,
            "media": st.just(MEDIA),
        },
    ),
    min_size=2,
    max_size=4,
)


@given(CARDS, CHIPS, st.sampled_from(Traffic), st.integers(200, 500))
def test_any_carousel_fits_and_its_options_stand_in_it(cards, chips, traffic, limit):
    shown = compose(carousel(*cards, chips=chips), traffic=traffic, limit=limit)
    lines = shown.text.split("\n")

    assert units(shown.text) <= limit
    assert all(paragraph.strip() for paragraph in shown.text.split("\n\n") if lines[0])
    assert {f"{o.number} {' '.join(o.label.split())}" for o in shown.options} <= {
        *lines
    }
    assert [o.number for o in shown.options] == sorted(o.number for o in shown.options)
