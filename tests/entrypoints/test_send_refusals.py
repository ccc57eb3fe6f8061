import json

import pytest

from entrypoints.caller import BODY, MESSAGES, PHONE, WORDS, check_refusal

TEXT = {"text": WORDS}
SURROGATE = "\ud800"


def body(**more):
    return {"contentMessage": TEXT, **more}


def content(**fields):
    return {"contentMessage": fields}


BODIES = {
    "no content": ({"ttl": "600s"}, "contentMessage"),
    "null content": ({"contentMessage": None}, "contentMessage"),
    "empty content": (content(), "contentMessage"),
    "content that is a word": ({"contentMessage": "hi"}, "contentMessage"),
    "two kinds of content": (
        content(text=WORDS, contentInfo={"fileUrl": "https://example.com/a"}),
        "contentMessage",
    ),
    "over-long text": (content(text="x" * 3073), "contentMessage.text"),
    "text that is a number": (content(text=5), "contentMessage.text"),
    "a ttl of 16 days": (body(ttl=f"{16 * 86400}s"), "ttl"),
    "no ttl at all": (body(ttl="0s"), "ttl"),
    "a negative ttl": (body(ttl="-5s"), "ttl"),
    "an endless ttl": (body(ttl="999999999999s"), "ttl"),
    "a ttl in minutes": (body(ttl="10m"), "ttl"),
    "a ttl that is a number": (body(ttl=600), "ttl"),
    "both expiries": (
        body(ttl="600s", expireTime="2030-01-01T00:00:00Z"),
        "expireTime",
    ),
    "a past expiry": (body(expireTime="2020-01-01T00:00:00Z"), "expireTime"),
    "a far expiry": (body(expireTime="2199-01-01T00:00:00Z"), "expireTime"),
    "an expiry without offset": (body(expireTime="2030-01-01T00:00:00"), "expireTime"),
    "the last expiry of all": (
        body(expireTime="9999-12-31T23:59:59-12:00"),
        "expireTime",
    ),
    "an unknown traffic type": (body(messageTrafficType="SPAM"), "messageTrafficType"),
    "an unknown field": (body(colour="red"), "colour"),
    "an unknown field of the content": (
        content(text=WORDS, colour="red"),
        "contentMessage.colour",
    ),
    "an unknown field of a reply": (
        content(text=WORDS, suggestions=[{"reply": {"text": "a", "colour": "red"}}]),
        "contentMessage.suggestions[0].reply.colour",
    ),
    "an unknown field deep in a card": (
        content(
            richCard={
                "standaloneCard": {
                    "cardContent": {
                        "title": "a",
                        "media": {
                            "contentInfo": {
                                "fileUrl": "https://example.com/a",
                                "colour": "red",
                            }
                        },
                    }
                }
            }
        ),
        "contentMessage.richCard.standaloneCard.cardContent.media.contentInfo.colour",
    ),
    "twelve suggestions": (
        content(text=WORDS, suggestions=[{"reply": {"text": "a"}}] * 12),
        "contentMessage.suggestions",
    ),
    "a field in two spellings": (
        body(messageTrafficType="PROMOTION", message_traffic_type="PROMOTION"),
        "messageTrafficType",
    ),
}

FALLBACKS = {
    "a word": ("yes", "fallback"),
    "true": (True, "fallback"),
    "an unknown field": ({"colour": "red"}, "fallback.colour"),
    "a text that is a number": ({"text": 5}, "fallback.text"),
    "an over-long text": ({"text": "x" * 2049}, "fallback.text"),
    "a media that is a word": ({"media": "https://example.com"}, "fallback.media"),
    "eleven media": ({"media": ["https://example.com/a"] * 11}, "fallback.media"),
    "an object for media": ({"media": {"https://example.com/a": 1}}, "fallback.media"),
    "a media that is a number": ({"media": [5]}, "fallback.media"),
    "an empty media": ({"media": [""]}, "fallback.media"),
    "an over-long media": (
        {"media": ["https://example.com/".ljust(4097, "a")]},
        "fallback.media",
    ),
    "a media of another scheme": ({"media": ["ftp://example.com"]}, "fallback.media"),
    "a foreign sender": ({"from": "+15550109999"}, "fallback.from"),
    "a list for a sender": ({"from": []}, "fallback.from"),
    "an unknown policy": ({"policy": "SOON"}, "fallback.policy"),
    "the policy that is false": ({"policy": "NONE"}, "fallback.policy"),
    "a number for a policy": ({"policy": 5}, "fallback.policy"),
    "a list for a policy": ({"policy": []}, "fallback.policy"),
    "an object for a policy": ({"policy": {}}, "fallback.policy"),
}

METADATA = {
    "a word": ("x", "metadata"),
    "a list": ([], "metadata"),
    "a number in it": ({"a": 1}, "metadata.a"),
    "a null in it": ({"a": None}, "metadata.a"),
    "an object in it": ({"a": {}}, "metadata.a"),
    "an over-long value": ({"a": "x" * 1025}, "metadata.a"),
    "65 keys": ({str(n): "" for n in range(65)}, "metadata"),
}

HALVES = {
    "text": {"contentMessage": {"text": SURROGATE}},
    "fallback text": body(fallback={"text": SURROGATE}),
    "fallback name": body(fallback={SURROGATE: "a"}),
    "media": body(fallback={"media": [f"https://{SURROGATE}"]}),
    "metadata value": body(metadata={"a": SURROGATE}),
    "metadata name": body(metadata={SURROGATE: "a"}),
}

NOT_OBJECTS = {
    "nothing": b"",
    "a word": b"hello",
    "half an object": b'{"contentMessage": {',
    "a list": b"[]",
    "a string": b'"text"',
    "null": b"null",
    "NaN": b'{"contentMessage": {"text": NaN}}',
    "Infinity": b'{"a": -Infinity}',
    "bytes that are no text": b'{"contentMessage": {"text": "\xff\xfe"}}',
    "a depth bomb of lists": b"[" * 100_000,
    "a depth bomb of objects": b'{"a":' * 100_000,
    "a number of 5000 digits": b'{"a": ' + b"9" * 5000 + b"}",
    "form data": b"contentMessage.text=hi",
}

PHONES = {
    "no plus": "15551230001",
    "six digits": "+155512",
    "sixteen digits": "+1555123000155512",
    "letters": "+1555CALLNOW",
    "other digits": "+%D9%A1%D9%A2%D9%A3%D9%A4%D9%A5%D9%A6%D9%A7",
    "a space": "+1555%201230001",
    "a line break": "+15551230001%0A",
    "a null": "+15551230001%00",
    "half of UTF-8": "+1555123%FF",
}

IDS = {
    "256 characters": ("x" * 256,),
    "a slash": ("a%2Fb",),
    "a space": ("a%20b",),
    "a line break": ("a%0Ab",),
    "an umlaut": ("%C3%BC",),
    "half of UTF-8": ("%FF",),
    "a null": ("%00",),
    "one dot": (".",),
    "two dots": ("..",),
}

AGENTS = {"unknown": "other", "a phone": "%2B15551230001", "odd": "%00%FF"}

PAGES = {
    "no size": ("pageSize=0", "pageSize"),
    "a negative size": ("pageSize=-1", "pageSize"),
    "a word for a size": ("pageSize=ten", "pageSize"),
    "other digits": ("pageSize=%D9%A1", "pageSize"),
    "a size of ten digits": ("pageSize=9999999999", "pageSize"),
    "a word for a token": ("pageToken=next", "pageToken"),
    "a dot for a token": ("pageToken=.", "pageToken"),
    "half of UTF-8": ("pageToken=%FF", "pageToken"),
    "a token beyond 64 bits": ("pageToken=99999999999999999999", "pageToken"),
    "a token beyond 64 bits with an id": (
        "pageToken=99999999999999999999.x",
        "pageToken",
    ),
}

UNKNOWN = {
    "another version": ("POST", f"/v2/phones/{PHONE}/agentMessages"),
    "no phone": ("POST", "/v1/phones"),
    "the root": ("GET", "/v1"),
    "a deeper path": ("GET", f"{MESSAGES}/one/two"),
    "another collection": ("GET", f"/v1/phones/{PHONE}/messages"),
    "another verb": ("GET", f"/v1/phones/{PHONE}/agentMessages:undelete"),
    "dots": ("GET", f"/v1/phones/{PHONE}/../../agentMessages"),
}

METHODS = {
    "PUT to the collection": ("PUT", MESSAGES),
    "PATCH to the collection": ("PATCH", MESSAGES),
    "DELETE of the collection": ("DELETE", MESSAGES),
    "OPTIONS": ("OPTIONS", MESSAGES),
    "TRACE": ("TRACE", MESSAGES),
    "POST to a message": ("POST", f"{MESSAGES}/one"),
    "PUT to a message": ("PUT", f"{MESSAGES}/one"),
}

NOT_THERE = {
    "GET": ("GET", f"{MESSAGES}/never-sent"),
    "DELETE": ("DELETE", f"{MESSAGES}/never-sent"),
    "acknowledge": ("POST", f"{MESSAGES}/never-sent:acknowledge"),
}


def rows(table):
    return [pytest.param(*row, id=name) for name, row in table.items()]


@pytest.fixture
def refused(call):
    """Make a call that must be refused, and must leave nothing behind."""

    def check(request, status, *fields):
        before = call.left_behind()

        answer = call(*request)

        check_refusal(answer, status, *fields)
        assert call.left_behind() == before
        return answer

    return check


@pytest.mark.parametrize(("sent", "field"), rows(BODIES))
def test_a_bad_message_is_refused_by_field(refused, sent, field):
    """A message that breaks a rule is a 400 that names the field."""
    refused(("POST", f"{MESSAGES}?messageId=bad", sent), 400, field)


@pytest.mark.parametrize(("given", "field"), rows(FALLBACKS))
def test_a_bad_fallback_is_refused_by_field(refused, given, field):
    """Our own part of the body is checked as strictly as RBM's."""
    sent = body(fallback=given)

    refused(("POST", f"{MESSAGES}?messageId=bad", sent), 400, field)


@pytest.mark.parametrize(("given", "field"), rows(METADATA))
def test_bad_metadata_is_refused_by_field(refused, given, field):
    """Metadata is a small map of strings, and nothing else."""
    sent = body(metadata=given)

    refused(("POST", f"{MESSAGES}?messageId=bad", sent), 400, field)


@pytest.mark.parametrize("sent", HALVES.values(), ids=HALVES)
def test_half_a_character_is_no_text(refused, sent):
    """Half a surrogate pair is no UTF-8: the body as a whole is refused."""
    refused(("POST", f"{MESSAGES}?messageId=bad", sent), 400)


def test_content_without_words_needs_a_fallback_text(refused):
    """A picture alone has no SMS in it unless the app writes one."""
    sent = content(uploadedRbmFile={"fileName": "files/1"})

    refused(("POST", f"{MESSAGES}?messageId=bad", sent), 400, "fallback.text")


@pytest.mark.parametrize("sent", NOT_OBJECTS.values(), ids=NOT_OBJECTS)
def test_what_is_no_json_object_is_refused(refused, sent):
    """Whatever a client sends for JSON, it gets a 400 and we keep our heads."""
    refused(("POST", f"{MESSAGES}?messageId=bad", sent), 400)


@pytest.mark.parametrize("depth", [300, 900, 950, 1000, 1100, 3000])
def test_no_depth_is_a_crash(refused, depth):
    """An object as deep as the parser just bears is refused like any other."""
    deep = b'{"contentMessage": {"text": ' + b"[" * depth + b"]" * depth + b"}}"

    refused(("POST", f"{MESSAGES}?messageId=bad", deep), 400)


@pytest.mark.parametrize("phone", PHONES.values(), ids=PHONES)
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_wrong_phone_is_refused(refused, phone, method):
    """A phone is a plus and 7 to 15 digits."""
    request = (method, f"/v1/phones/{phone}/agentMessages", BODY)

    refused(request, 400, "phone")


@pytest.mark.parametrize("name", rows(IDS))
def test_a_bad_message_id_is_refused(refused, name):
    """An id is visible ASCII that survives in a path, which a dot does not."""
    refused(("POST", f"{MESSAGES}?messageId={name}", BODY), 400, "messageId")


@pytest.mark.parametrize("name", rows(IDS))
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_bad_message_id_is_refused_in_a_path(refused, name, method):
    """The same rule holds where an id is looked for."""
    refused((method, f"{MESSAGES}/{name}"), 400, "messageId")


def test_an_empty_message_id_cannot_be_acknowledged(refused):
    """A verb alone names no message."""
    refused(("POST", f"{MESSAGES}/:acknowledge"), 400, "messageId")


def test_an_empty_message_id_cannot_be_cancelled(refused):
    """A path that ends early is the collection, which nobody can delete."""
    refused(("DELETE", f"{MESSAGES}/"), 405)


@pytest.mark.parametrize("agent", AGENTS.values(), ids=AGENTS)
def test_an_unknown_agent_is_refused(refused, agent):
    """An agent that is not configured is a 400, not a message of another."""
    request = ("POST", f"{MESSAGES}?messageId=bad&agentId={agent}", BODY)

    refused(request, 400, "agentId")


@pytest.mark.parametrize(("query", "field"), rows(PAGES))
def test_bad_paging_is_refused(refused, query, field):
    """Sizes are positive numbers, tokens those that were given out."""
    refused(("GET", f"{MESSAGES}?{query}"), 400, field)


@pytest.mark.parametrize(("method", "path"), rows(UNKNOWN))
def test_an_unknown_path_is_not_found(refused, method, path):
    """No path is answered with a framework's page."""
    refused((method, path, {}), 404)


@pytest.mark.parametrize(("method", "path"), rows(METHODS))
def test_a_wrong_method_names_the_right_ones(refused, method, path):
    """A 405 says in `Allow` what the path takes."""
    answer = refused((method, path), 405)

    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize(("method", "path"), rows(NOT_THERE))
def test_what_was_never_sent_is_not_found(refused, method, path):
    """Nothing can be asked of a message that does not exist."""
    refused((method, path), 404)


def test_another_phones_message_is_not_found(call, refused):
    """A message is only where it was sent to."""
    call("POST", f"{MESSAGES}?messageId=mine", BODY)

    refused(("GET", "/v1/phones/+15551239999/agentMessages/mine"), 404)


@pytest.mark.parametrize("size", [600_000, 1_000_000, 5_000_000])
def test_a_client_can_read_that_its_body_is_too_large(refused, size):
    """The whole body is read, so that the 413 is not lost in a reset."""
    large = json.dumps(body(colour="x" * size)).encode()

    refused(("POST", f"{MESSAGES}?messageId=bad", large), 413)


def test_a_large_body_within_the_limit_is_refused_for_what_it_is(refused):
    """Over RBM's 250 KB, but within ours: still a 400."""
    large = content(text="x" * 300_000)

    refused(("POST", f"{MESSAGES}?messageId=bad", large), 400, "contentMessage.text")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("PUT", MESSAGES, 405), ("POST", "/v1/nowhere", 404)],
    ids=["wrong method", "unknown path"],
)
def test_a_large_body_to_nowhere_gets_its_answer(refused, method, path, status):
    """What is refused unread can be read by the client all the same."""
    refused((method, path, b"x" * 1_000_000), status)


def test_a_repeat_with_another_body_is_a_conflict(call, refused):
    """One id is one message (promise 2)."""
    call("POST", f"{MESSAGES}?messageId=taken", BODY)

    answer = refused(("POST", f"{MESSAGES}?messageId=taken", content(text="No")), 409)

    assert answer.json["error"]["status"] == "ALREADY_EXISTS"


def test_several_mistakes_are_told_at_once(refused):
    """A developer need not find them one by one."""
    sent = content(text=5, colour="red") | {"ttl": "no"}

    refused(
        ("POST", f"{MESSAGES}?messageId=bad", sent),
        400,
        "contentMessage.text",
        "contentMessage.colour",
        "ttl",
    )


def test_a_refusal_never_repeats_what_was_said(call):
    """An answer about bad input holds the field's name, not its value."""
    answer = call("POST", f"{MESSAGES}?messageId=bad", content(text=[WORDS]))

    assert WORDS.encode() not in answer.raw


QUERIES = {
    "a mistyped id": ("messageID=typo", "messageID"),
    "a foreign name": ("foo=1", "foo"),
    "two ids": ("messageId=a&messageId=b", "messageId"),
}


@pytest.mark.parametrize(("query", "field"), rows(QUERIES))
def test_a_query_that_cannot_be_meant_is_refused(refused, query, field):
    """A mistyped `messageId` would quietly make every repeat a new message."""
    refused(("POST", f"{MESSAGES}?{query}", BODY), 400, field)


def test_googles_own_parameters_change_nothing(call):
    """Google's clients send them with every call."""
    assert call("GET", f"{MESSAGES}?alt=json&prettyPrint=false&key=k").status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", f"{MESSAGES}/one?validateOnly=true"),
        ("PUT", f"/v1/phones/{PHONE}/consent?validateOnly=true"),
        ("GET", f"{MESSAGES}?messageId=one"),
        ("GET", f"{MESSAGES}?agentId=nobody"),
        ("POST", f"{MESSAGES}?messageId=bad&validateOnly="),
        ("POST", f"{MESSAGES}?messageId=bad&validateOnly=yes"),
    ],
)
def test_a_parameter_of_another_method_is_refused(refused, method, path):
    """Whoever hopes to change nothing must not change something."""
    refused((method, path, BODY), 400)
