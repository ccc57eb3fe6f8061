import pytest

from entrypoints.caller import BODY, MESSAGES, PHONE, WORDS

REPLY = {"reply": {"text": "Yes", "postbackData": "yes"}}

SPELLINGS = {
    "snake_case": {
        "content_message": {
            "text": WORDS,
            "suggestions": [{"reply": {"text": "Yes", "postback_data": "yes"}}],
        },
        "message_traffic_type": "TRANSACTION",
        "expire_time": None,
    },
    "nulls anywhere": {
        "name": None,
        "contentMessage": {
            "text": WORDS,
            "richCard": None,
            "suggestions": [{"reply": REPLY["reply"], "action": None}],
        },
        "messageTrafficType": "TRANSACTION",
        "ttl": None,
        "fallback": None,
        "metadata": None,
    },
    "nulls in the fallback": {
        "contentMessage": {"text": WORDS, "suggestions": [REPLY]},
        "messageTrafficType": "TRANSACTION",
        "fallback": {"text": None, "media": None, "from": None, "policy": None},
    },
    "an enum as a number": {
        "contentMessage": {"text": WORDS, "suggestions": [REPLY]},
        "messageTrafficType": 2,
    },
    "what only RBM writes": {
        "name": "phones/+1/agentMessages/x",
        "sendTime": "2020-01-01T00:00:00Z",
        "contentMessage": {"text": WORDS, "suggestions": [REPLY]},
        "messageTrafficType": "TRANSACTION",
    },
}

LARGEST = {
    "a text": {"fallback": {"text": "x" * 2048}},
    "ten media": {"fallback": {"media": ["https://example.com/a"] * 10}},
    "a media": {"fallback": {"media": ["https://example.com/".ljust(4096, "a")]}},
    "64 keys": {"metadata": {str(n): "" for n in range(64)}},
    "a value": {"metadata": {"a": "x" * 1024}},
}

NAMES = {
    "no UUID": "otp-1",
    "255 characters": "x" * 255,
    "signs": "~!$'()*,;:@=_-.",
    "a colon and a verb": "x:acknowledge:y",
    "dots within": "a..b",
    "a percent sign": "50%25",
}


@pytest.mark.parametrize("sent", SPELLINGS.values(), ids=SPELLINGS)
def test_every_spelling_is_the_same_message(call, request, sent):
    """What proto-JSON allows is answered in the usual spelling."""
    name = request.node.callspec.id.replace(" ", "-")

    answer = call("POST", f"{MESSAGES}?messageId={name}", sent)

    assert answer.status == 200, answer.raw
    assert answer.json["contentMessage"] == {"text": WORDS, "suggestions": [REPLY]}
    assert answer.json["messageTrafficType"] == "TRANSACTION"


@pytest.mark.parametrize("more", LARGEST.values(), ids=LARGEST)
def test_a_limit_is_within_it(call, more):
    """What is just as large as allowed is allowed."""
    assert call("POST", MESSAGES, BODY | more).status == 200


def test_content_without_words_may_have_a_picture_for_its_sms(call):
    """An MMS needs no text."""
    sent = {
        "contentMessage": {"uploadedRbmFile": {"fileName": "files/1"}},
        "fallback": {"media": ["https://example.com/a.png"]},
    }

    assert call("POST", MESSAGES, sent).json["fallback"]["text"] == ""


@pytest.mark.parametrize(
    ("field", "value"), [("suggestions", []), ("suggestions", None)], ids=["[]", "null"]
)
def test_no_suggestions_may_be_said(call, field, value):
    """An empty list is the same as none."""
    sent = {"contentMessage": {"text": WORDS, field: value}}

    answer = call("POST", MESSAGES, sent)

    assert answer.json["contentMessage"] == {"text": WORDS}


@pytest.mark.parametrize("phone", [PHONE, PHONE.replace("+", "%2B")], ids=["+", "%2B"])
def test_a_plus_is_a_plus(call, phone):
    """A raw plus in a path is the plus, as an encoded one is."""
    answer = call("POST", f"/v1/phones/{phone}/agentMessages", BODY)

    assert answer.json["name"].startswith(f"phones/{PHONE}/agentMessages/")


def test_both_spellings_of_a_phone_find_the_message(call):
    """However it was sent, it is found under either."""
    call("POST", f"{MESSAGES}?messageId=found", BODY)

    encoded = call("GET", f"{MESSAGES.replace('+', '%2B')}/found")

    assert encoded.json == call("GET", f"{MESSAGES}/found").json


@pytest.mark.parametrize(
    "agent",
    ["agentId=demo_agent&", "agentId=demo_agent@rbm.goog&", "agentId=&", ""],
    ids=["bare", "with its domain", "empty", "left out"],
)
def test_an_agent_has_several_names(call, agent):
    """Each of them is the same agent, so the repeat is one message."""
    answer = call("POST", f"{MESSAGES}?{agent}messageId=agents", BODY)

    assert answer.status == 200, answer.raw
    assert answer.json["sendTime"] == call("GET", f"{MESSAGES}/agents").json["sendTime"]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_an_id_need_not_be_a_uuid(call, name):
    """An id comes back in the name, and finds, and cancels."""
    query = name.replace("+", "%2B").replace("&", "%26")

    sent = call("POST", f"{MESSAGES}?messageId={query}", BODY)
    found = call("GET", f"{MESSAGES}/{name}")

    assert (sent.status, found.status) == (200, 200)
    assert found.json["name"] == sent.json["name"]
    assert call("DELETE", f"{MESSAGES}/{name}").json == {}


def test_an_id_is_made_where_none_is_given(call):
    """Two sends without an id are two messages."""
    names = {call("POST", MESSAGES, BODY).json["name"] for _ in range(2)}

    assert len(names) == 2


def test_an_empty_id_is_none(call):
    """A client's unset field is not an id."""
    answer = call("POST", f"{MESSAGES}?messageId=", BODY)

    assert answer.json["name"].rpartition("/")[2]


def test_no_traffic_type_and_no_expiry_is_normal(call):
    """The answer tells the deadline that was chosen, and invents no type."""
    answer = call("POST", MESSAGES, {"contentMessage": {"text": WORDS}})

    assert answer.status == 200
    assert answer.json["expireTime"] == answer.json["delivery"]["deadline"]
    assert "messageTrafficType" not in answer.json


def test_the_answer_echoes_what_rbm_would(call):
    """Name, time, content and expiry, as an RBM client reads them."""
    answer = call("POST", f"{MESSAGES}?messageId=echo", BODY)

    assert answer.json["name"] == f"phones/{PHONE}/agentMessages/echo"
    assert answer.json["contentMessage"] == BODY["contentMessage"]
    assert answer.json["sendTime"] < answer.json["expireTime"]


def test_a_repeat_gets_the_first_answer(call):
    """The same id and body is the same message, its `sendTime` included.

    But for a timer: the first call may have died before it reached RBM.
    """
    first = call("POST", f"{MESSAGES}?messageId=again", BODY)
    *before, _timers = call.left_behind()

    second = call("POST", f"{MESSAGES}?messageId=again", BODY)

    assert second.json["sendTime"] == first.json["sendTime"]
    assert second.json["name"] == first.json["name"]
    *after, _timers = call.left_behind()
    assert after == before


def test_spaces_and_order_make_no_other_body(call):
    """A client that serialises anew repeats, and does not conflict."""
    call("POST", f"{MESSAGES}?messageId=spaced", BODY)
    spaced = b'{ "ttl":"600s" ,\n "contentMessage": {"text": "%s"}}' % WORDS.encode()

    assert call("POST", f"{MESSAGES}?messageId=spaced", spaced).status == 200


def test_delete_answers_an_empty_object(call):
    """As RBM does, and any number of times."""
    call("POST", f"{MESSAGES}?messageId=gone", BODY)

    answers = [call("DELETE", f"{MESSAGES}/gone") for _ in range(3)]

    assert [(a.status, a.json) for a in answers] == [(200, {})] * 3


def test_a_content_type_is_nobodys_business(call):
    """Curl's default is a form; the body is JSON all the same."""
    form = {"content-type": "application/x-www-form-urlencoded"}

    assert call("POST", MESSAGES, BODY, form).status == 200


def test_a_page_size_is_a_wish(call):
    """More than the largest page is the largest page."""
    call("POST", f"{MESSAGES}?messageId=listed", BODY)

    answer = call("GET", f"{MESSAGES}?pageSize=999999999")

    assert 1 <= len(answer.json["agentMessages"]) <= 100


def test_pages_lead_to_the_end(call):
    """Each token leads on, and the last page has none."""
    path = "/v1/phones/+15551230077/agentMessages"
    for n in range(5):
        call("POST", f"{path}?messageId=page-{n}", BODY)

    token, names = "", []
    while True:
        page = call("GET", f"{path}?pageSize=2&pageToken={token}").json
        names += [message["name"] for message in page["agentMessages"]]
        token = page.get("nextPageToken", "")
        if not token:
            break

    assert len(names) == len(set(names)) == 5
