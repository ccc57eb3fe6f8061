import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstop.domain.invalid import Invalid
from backstop.domain.times import format_time, parse_duration, parse_time
from backstop.providers.rbm.content import canonical

NOW = datetime(2026, 4, 5, 12, 0, tzinfo=UTC)
REPLY = {"reply": {"text": "Yes", "postbackData": "y"}}
CARD = {"title": "Boots", "description": "Warm ones"}
MEDIA = {"height": "TALL", "contentInfo": {"fileUrl": "https://files.example/a.png"}}


def text(**more):
    return {"contentMessage": {"text": "Hello", **more}}


def action(**one):
    return text(suggestions=[{"action": {"text": "Go", "postbackData": "g", **one}}])


def standalone(card, **more):
    return {
        "contentMessage": {
            "richCard": {"standaloneCard": {"cardContent": card, **more}}
        }
    }


def carousel(*cards, **more):
    inner = {"cardContents": list(cards), **more}
    return {"contentMessage": {"richCard": {"carouselCard": inner}}}


def violations(message):
    with pytest.raises(Invalid) as caught:
        canonical(message, now=NOW)
    return dict(caught.value.violations)


GOOD = {
    "text": text(),
    "the longest text": {"contentMessage": {"text": "é" * 3072}},
    "a file by URL": {
        "contentMessage": {
            "contentInfo": {
                "fileUrl": "https://files.example/a.pdf",
                "thumbnailUrl": "http://files.example/a.png",
                "forceRefresh": True,
            }
        }
    },
    "an uploaded file": {
        "contentMessage": {
            "uploadedRbmFile": {"fileName": "files/1", "thumbnailName": "files/2"}
        }
    },
    "a deprecated file name": {"contentMessage": {"fileName": "files/1"}},
    "a card": standalone(
        {**CARD, "media": MEDIA, "suggestions": [REPLY]},
        cardOrientation="HORIZONTAL",
        thumbnailImageAlignment="LEFT",
    ),
    "a card of words": standalone({"title": "Boots"}),
    "a card with a deprecated file name": standalone(
        {"media": {"height": "SHORT", "fileName": "files/1"}}
    ),
    "a carousel": carousel(CARD, {"media": MEDIA}, cardWidth="MEDIUM"),
    "as many chips as fit": text(suggestions=[REPLY] * 11),
    "dial": action(dialAction={"phoneNumber": "*100#"}),
    "open": action(
        openUrlAction={
            "url": "https://shop.example/?q=1",
            "application": "WEBVIEW",
            "webviewViewMode": "TALL",
            "description": "The shop",
        },
        fallbackUrl="https://shop.example",
    ),
    "show a place": action(
        viewLocationAction={
            "latLong": {"latitude": 37.4, "longitude": -122},
            "label": "Here",
        }
    ),
    "search a place": action(viewLocationAction={"query": "Tree Bank"}),
    "make a date": action(
        createCalendarEventAction={
            "startTime": "2026-05-01T10:00:00+02:00",
            "endTime": "2026-05-01T11:00:00Z",
            "title": "Party",
            "description": "Bring cake",
        }
    ),
    "ask for the place": action(shareLocationAction={}),
    "compose": action(
        composeAction={
            "composeTextMessage": {"phoneNumber": "+15550100001", "text": "Hi"}
        }
    ),
    "record": action(
        composeAction={
            "composeRecordingMessage": {"phoneNumber": "+15550100001", "type": "AUDIO"}
        }
    ),
    "typed and short-lived": {
        **text(),
        "messageTrafficType": "AUTHENTICATION",
        "ttl": "3.5s",
    },
    "until an instant": {**text(), "expireTime": "2026-04-20T14:00:00+02:00"},
}


@pytest.mark.parametrize("message", GOOD.values(), ids=GOOD)
def test_a_good_message_is_its_own_canon(message):
    assert canonical(deepcopy(message), now=NOW) == message


def snake(value):
    if isinstance(value, list):
        return [snake(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        "".join(f"_{c.lower()}" if c.isupper() else c for c in name): snake(inner)
        for name, inner in value.items()
    }


@pytest.mark.parametrize("message", GOOD.values(), ids=GOOD)
def test_snake_case_means_the_same(message):
    assert canonical(snake(message), now=NOW) == message


LENIENT = {
    "nulls": (
        {
            "contentMessage": {"text": "Hello", "richCard": None, "suggestions": None},
            "ttl": None,
            "expireTime": None,
        },
        text(),
    ),
    "no chips": (text(suggestions=[]), text()),
    "empty strings": (
        standalone({**CARD, "title": ""}),
        standalone({"description": CARD["description"]}),
    ),
    "what only RBM writes": (
        {
            **text(),
            "name": "phones/+1/agentMessages/1",
            "sendTime": "2026-04-05T12:00:00Z",
            "richMessageClassification": {"segmentCount": 1},
            "totalPayloadSizeBytes": "12",
            "carrier": 7,
        },
        text(),
    ),
    "an enum as a number": (
        {**text(), "messageTrafficType": 1},
        {**text(), "messageTrafficType": "AUTHENTICATION"},
    ),
    "coordinates as strings": (
        action(
            viewLocationAction={"latLong": {"latitude": "37.4", "longitude": "-122"}}
        ),
        action(viewLocationAction={"latLong": {"latitude": 37.4, "longitude": -122.0}}),
    ),
    "null in the depth": (
        action(shareLocationAction={}, fallbackUrl=None, dialAction=None),
        action(shareLocationAction={}),
    ),
}


@pytest.mark.parametrize(("sent", "meant"), LENIENT.values(), ids=LENIENT)
def test_what_rbm_reads_is_read(sent, meant):
    assert canonical(sent, now=NOW) == meant


CONTENT = "contentMessage"
CHIP = f"{CONTENT}.suggestions[0]"
STANDALONE = f"{CONTENT}.richCard.standaloneCard"
CAROUSEL = f"{CONTENT}.richCard.carouselCard"
BAD = {
    "not an object": ("Hello", ""),
    "nothing": ({}, CONTENT),
    "no content": ({CONTENT: {}}, CONTENT),
    "null content": ({CONTENT: None}, CONTENT),
    "an empty text": ({CONTENT: {"text": ""}}, CONTENT),
    "two contents": (text(fileName="files/1"), CONTENT),
    "a number for a text": ({CONTENT: {"text": 7}}, f"{CONTENT}.text"),
    "an over-long text": ({CONTENT: {"text": "x" * 3073}}, f"{CONTENT}.text"),
    "half a surrogate pair": ({CONTENT: {"text": "\ud800"}}, f"{CONTENT}.text"),
    "an unknown field": ({**text(), "trafficType": "X"}, "trafficType"),
    "an unknown field that is null": ({**text(), "extra": None}, "extra"),
    "an unknown inner field": (text(colour="red"), f"{CONTENT}.colour"),
    "two spellings": (
        {**text(), "ttl": "9s", "content_message": {"text": "Hi"}},
        CONTENT,
    ),
    "an unknown type": ({**text(), "messageTrafficType": "SPAM"}, "messageTrafficType"),
    "an unknown number": ({**text(), "messageTrafficType": 6}, "messageTrafficType"),
    "a truth for a number": (
        {**text(), "messageTrafficType": True},
        "messageTrafficType",
    ),
    "chips that are none": (text(suggestions="Yes"), f"{CONTENT}.suggestions"),
    "too many chips": (text(suggestions=[REPLY] * 12), f"{CONTENT}.suggestions"),
    "a null chip": (text(suggestions=[None]), CHIP),
    "an empty chip": (text(suggestions=[{}]), CHIP),
    "a chip of both kinds": (
        text(
            suggestions=[
                {**REPLY, **action(shareLocationAction={})[CONTENT]["suggestions"][0]}
            ]
        ),
        CHIP,
    ),
    "a long label": (
        text(suggestions=[{"reply": {"text": "x" * 26}}]),
        f"{CHIP}.reply.text",
    ),
    "no label": (text(suggestions=[{"reply": {}}]), f"{CHIP}.reply.text"),
    "a long postback": (
        text(suggestions=[{"reply": {"text": "x", "postbackData": "x" * 2049}}]),
        f"{CHIP}.reply.postbackData",
    ),
    "no action": (action(), f"{CHIP}.action"),
    "two actions": (
        action(shareLocationAction={}, dialAction={"phoneNumber": "1"}),
        f"{CHIP}.action",
    ),
    "letters to dial": (
        action(dialAction={"phoneNumber": "+1 555 CALL"}),
        f"{CHIP}.action.dialAction.phoneNumber",
    ),
    "a URL that is none": (
        action(openUrlAction={"url": "shop"}),
        f"{CHIP}.action.openUrlAction.url",
    ),
    "a URL with a space": (
        action(openUrlAction={"url": "https://shop.example/a b"}),
        f"{CHIP}.action.openUrlAction.url",
    ),
    "an over-long URL": (
        action(openUrlAction={"url": "https://shop.example/" + "x" * 2048}),
        f"{CHIP}.action.openUrlAction.url",
    ),
    "nowhere": (
        action(viewLocationAction={"label": "x"}),
        f"{CHIP}.action.viewLocationAction",
    ),
    "north of the pole": (
        action(viewLocationAction={"latLong": {"latitude": 90.1, "longitude": 0}}),
        f"{CHIP}.action.viewLocationAction.latLong.latitude",
    ),
    "not a number": (
        action(viewLocationAction={"latLong": {"longitude": float("nan")}}),
        f"{CHIP}.action.viewLocationAction.latLong.longitude",
    ),
    "a number in words": (
        action(viewLocationAction={"latLong": {"longitude": "1_0"}}),
        f"{CHIP}.action.viewLocationAction.latLong.longitude",
    ),
    "a number beyond floats": (
        action(viewLocationAction={"latLong": {"longitude": 10**400}}),
        f"{CHIP}.action.viewLocationAction.latLong.longitude",
    ),
    "a date without an offset": (
        action(
            createCalendarEventAction={
                "startTime": "2026-05-01T10:00:00",
                "endTime": "2026-05-01T11:00:00Z",
                "title": "Party",
            }
        ),
        f"{CHIP}.action.createCalendarEventAction.startTime",
    ),
    "no card": ({CONTENT: {"richCard": {}}}, f"{CONTENT}.richCard"),
    "an empty card": (standalone({}), f"{STANDALONE}.cardContent"),
    "a long title": (
        standalone({"title": "x" * 201}),
        f"{STANDALONE}.cardContent.title",
    ),
    "a long description": (
        standalone({"description": "x" * 2001}),
        f"{STANDALONE}.cardContent.description",
    ),
    "too many suggestions on a card": (
        standalone({**CARD, "suggestions": [REPLY] * 11}),
        f"{STANDALONE}.cardContent.suggestions",
    ),
    "media alone in a horizontal card": (
        standalone({"media": MEDIA}, cardOrientation="HORIZONTAL"),
        f"{STANDALONE}.cardContent",
    ),
    "media without a file": (
        standalone({**CARD, "media": {"height": "SHORT"}}),
        f"{STANDALONE}.cardContent.media",
    ),
    "a local file": (
        standalone({"media": {"contentInfo": {"fileUrl": "file:///etc/hosts"}}}),
        f"{STANDALONE}.cardContent.media.contentInfo.fileUrl",
    ),
    "an odd orientation": (
        standalone(CARD, cardOrientation="SIDEWAYS"),
        f"{STANDALONE}.cardOrientation",
    ),
    "a carousel of one": (carousel(CARD), f"{CAROUSEL}.cardContents"),
    "a carousel of none": (carousel(), f"{CAROUSEL}.cardContents"),
    "a carousel of eleven": (carousel(*[CARD] * 11), f"{CAROUSEL}.cardContents"),
    "tall media in small cards": (
        carousel(CARD, {"media": MEDIA}, cardWidth="SMALL"),
        f"{CAROUSEL}.cardContents[1].media.height",
    ),
    "no time to live": ({**text(), "ttl": "0s"}, "ttl"),
    "a negative time to live": ({**text(), "ttl": "-5s"}, "ttl"),
    "sixteen days": ({**text(), "ttl": "1382400s"}, "ttl"),
    "a ttl in minutes": ({**text(), "ttl": "10m"}, "ttl"),
    "a ttl without a unit": ({**text(), "ttl": 600}, "ttl"),
    "a past instant": ({**text(), "expireTime": "2026-04-05T11:59:59Z"}, "expireTime"),
    "an instant too far": (
        {**text(), "expireTime": "2026-04-20T12:00:00.000001Z"},
        "expireTime",
    ),
    "an instant that is none": ({**text(), "expireTime": "soon"}, "expireTime"),
    "both expiries": (
        {**text(), "ttl": "9s", "expireTime": "2026-04-05T12:01:00Z"},
        "expireTime",
    ),
    "more than 250 KB": (
        carousel(
            *[
                {
                    "description": "€" * 2000,
                    "suggestions": [
                        {"reply": {"text": "x", "postbackData": "€" * 2048}}
                    ]
                    * 10,
                }
            ]
            * 10
        ),
        "",
    ),
}


@pytest.mark.parametrize(("message", "field"), BAD.values(), ids=BAD)
def test_a_bad_message_is_refused_by_field(message, field):
    assert list(violations(message)) == [field]


def test_every_violation_is_told():
    message = {**text(colour=1), "ttl": "x", "messageTrafficType": "SPAM"}

    assert set(violations(message)) == {
        "contentMessage.colour",
        "ttl",
        "messageTrafficType",
    }


def test_violations_are_not_told_without_end():
    with pytest.raises(Invalid) as caught:
        canonical({str(n): n for n in range(9999)}, now=NOW)

    assert len(caught.value.violations) == 20


def test_violations_repeat_nothing_of_the_message():
    message = text(suggestions=[{"reply": {"text": "secret-" * 9}}], fileName="secret")

    with pytest.raises(Invalid) as caught:
        canonical({**message, "ttl": "secret"}, now=NOW)

    assert "secret" not in str(caught.value)


def test_the_message_given_is_left_as_it_is():
    message = {**GOOD["a card"], "ttl": None}
    before = deepcopy(message)

    canonical(message, now=NOW)

    assert message == before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "contentMessage",
                    "text",
                    "suggestions",
                    "richCard",
                    "standaloneCard",
                    "carouselCard",
                    "cardContent",
                    "cardContents",
                    "media",
                    "height",
                    "ttl",
                    "expireTime",
                    "reply",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None, database=None)
@given(JSON)
def test_no_json_is_an_error_of_ours(message):
    try:
        result = canonical(message, now=NOW)
    except Invalid:
        return
    json.dumps(result, allow_nan=False).encode()


class TestTimes:
    @pytest.mark.parametrize(
        ("text", "time"),
        [
            ("2026-04-05T12:00:00Z", NOW),
            ("2026-04-05t12:00:00z", NOW),
            ("2026-04-05T12:00:00.000000000Z", NOW),
            ("2026-04-05T17:30:00+05:30", NOW),
            ("2026-04-05T12:00:00.1234567Z", NOW.replace(microsecond=123456)),
            ("2026-04-05T12:00:00.05Z", NOW.replace(microsecond=50000)),
        ],
    )
    def test_a_time_is_read(self, text, time):
        assert parse_time(text) == time

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "2026-04-05",
            "2026-04-05T12:00:00",
            "2026-04-05 12:00:00Z",
            "2026-04-05T12:00:00.Z",
            "2026-04-05T12:00:00.1234567890Z",
            "2026-13-05T12:00:00Z",
            "2026-04-05T24:00:01Z",
            "2026-04-05T12:00:00+24:00",
            "9999-12-31T23:59:59-00:01",
            "٢٠٢٦-04-05T12:00:00Z",
            "2026-04-05T12:00:00Z\n",
        ],
    )
    def test_anything_else_is_not(self, text):
        with pytest.raises(ValueError, match="time"):
            parse_time(text)

    @pytest.mark.parametrize(
        ("micros", "text"),
        [
            (0, "2026-04-05T12:00:00Z"),
            (500000, "2026-04-05T12:00:00.500Z"),
            (123456, "2026-04-05T12:00:00.123456Z"),
        ],
    )
    def test_a_time_is_written_as_rbm_does(self, micros, text):
        assert format_time(NOW.replace(microsecond=micros)) == text

    @settings(deadline=None, database=None)
    @given(st.datetimes(timezones=st.just(UTC)))
    def test_what_is_written_is_read(self, time):
        assert parse_time(format_time(time)) == time

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [("600s", 600), ("3.5s", 3.5), ("0.000001999s", 1e-6), ("-1.5s", -1.5)],
    )
    def test_a_duration_is_read(self, text, seconds):
        assert parse_duration(text) == timedelta(seconds=seconds)

    @pytest.mark.parametrize(
        "text", ["", "s", "600", "1m", "1 s", "1,5s", ".5s", "1.s", "1e3s", "9" * 13]
    )
    def test_any_other_duration_is_not(self, text):
        with pytest.raises(ValueError, match="not a duration"):
            parse_duration(text)
