from base64 import b64encode

import pytest

from entrypoints.caller import BODY, MESSAGES, check_refusal, encode

NOT_OBJECTS = {
    "nothing": b"",
    "a word": b"hello",
    "a list": b"[]",
    "null": b"null",
    "a depth bomb": b"[" * 100_000,
    "bytes that are no text": b"\xff",
    "an empty object": b"{}",
}

RINGS = {
    "no message": {"dueAt": "2026-01-01T00:00:00Z"},
    "a number for a message": {"message": 5, "dueAt": "2026-01-01T00:00:00Z"},
    "no time": {"message": "m"},
    "a number for a time": {"message": "m", "dueAt": 5},
    "null for a time": {"message": "m", "dueAt": None},
    "a word for a time": {"message": "m", "dueAt": "soon"},
    "a time without offset": {"message": "m", "dueAt": "2026-01-01T00:00:00"},
    "half a character": {"message": "\ud800", "dueAt": "2026-01-01T00:00:00Z"},
}


def push(data=b"{}", **attributes):
    """Return a push of a delivery receipt, its attributes changed as asked."""
    given = {
        "ce-id": "1",
        "ce-type": "backstop.rcs.delivered",
        "ce-time": "2026-01-01T00:00:00Z",
        "agentId": "demo_agent",
        "messageId": "pushed",
    }
    for name, value in attributes.items():
        given[name.replace("_", "-")] = value
    present = {name: value for name, value in given.items() if value is not ...}
    return {
        "message": {"data": b64encode(data).decode(), "attributes": present},
        "subscription": "record",
    }


PUSHES = {
    "no message": {},
    "a message that is a word": {"message": "x"},
    "a message that is a list": {"message": []},
    "no attributes": {"message": {"data": ""}},
    "attributes that are a list": {"message": {"data": "", "attributes": []}},
    "attributes of somebody else": {"message": {"data": "", "attributes": {"a": "b"}}},
    "no id": push(ce_id=...),
    "no type": push(ce_type=...),
    "no time": push(ce_time=...),
    "a type that nobody published": push(ce_type="backstop.rcs.dreamt"),
    "a list for a type": push(ce_type=[]),
    "a word for a time": push(ce_time="soon"),
    "a number for a time": push(ce_time=5),
    "a word for an attempt": push(attempt="x"),
    "null for an attempt": push(attempt=None),
    "data that is a number": {"message": push()["message"] | {"data": 5}},
    "data that is no base64": {"message": push()["message"] | {"data": "%%%"}},
    "data beyond ASCII": {"message": push()["message"] | {"data": "ü"}},
    "a time without offset": push(ce_time="2026-01-01T00:00:00"),
    "a number for an id": push(ce_id=5),
    "a number for an agent": push(agentId=5),
    "an object for a message id": push(messageId={}),
}


def rows(table):
    return [pytest.param(row, id=name) for name, row in table.items()]


@pytest.fixture(scope="module", autouse=True)
def pushed(call):
    """The message that the pushes are about."""
    call("POST", f"{MESSAGES}?messageId=pushed", BODY)


@pytest.fixture
def refused(call):
    """Make a call that must be a 400, and must change nothing."""

    def check(path, body):
        before = call.left_behind(), call("GET", f"{MESSAGES}/pushed").raw

        answer = call("POST", path, body)

        check_refusal(answer, 400)
        assert before == (call.left_behind(), call("GET", f"{MESSAGES}/pushed").raw)

    return check


@pytest.mark.parametrize("path", ["/revoke", "/fallback", "/record"])
@pytest.mark.parametrize("raw", NOT_OBJECTS.values(), ids=NOT_OBJECTS)
def test_what_is_no_call_of_ours_is_refused(refused, path, raw):
    """Whoever calls with anything else gets a 400 in Google's shape."""
    refused(path, raw)


@pytest.mark.parametrize("ring", rows(RINGS))
def test_a_bad_ring_is_refused(refused, ring):
    """A ring names a message and an instant."""
    refused("/revoke", ring)


@pytest.mark.parametrize("sent", rows(PUSHES))
def test_a_bad_push_is_refused_by_fallback(refused, sent):
    """Only an event of our catalogue is one."""
    refused("/fallback", sent)


@pytest.mark.parametrize("sent", rows(PUSHES))
def test_a_bad_push_is_refused_by_record(refused, sent):
    """Only an event of our catalogue is one, and no message is spoilt by another."""
    refused("/record", sent)


@pytest.mark.parametrize("data", [b"no", b"{}"])
def test_consent_of_nobody_is_refused(refused, data):
    """An opt-out whose data is no JSON names nobody, nor does one without a phone."""
    refused("/record", push(data, ce_type="backstop.rcs.unsubscribed"))


def consent(call, phone):
    return call("GET", f"/v1/phones/{phone}/consent").json["state"]


def test_what_a_user_says_in_rcs_is_heard(call):
    """An unsubscription is an opt-out."""
    phone = "+15551239001"
    said = {"senderPhoneNumber": phone, "agentId": "demo_agent@rbm.goog"}
    told = push(encode(said), ce_type="backstop.rcs.unsubscribed", messageId=...)

    assert call("POST", "/record", told).status == 200
    assert consent(call, phone) == "OPTED_OUT"


def test_what_a_user_texts_is_heard(call):
    """STOP is an opt-out."""
    phone = "+15551239002"
    text = {"from": phone, "owner": "+15550100001", "text": "STOP"}
    told = push(
        encode({"type": "message-received", "message": text}),
        ce_type="backstop.sms.received",
        agentId=...,
        messageId=...,
    )

    assert call("POST", "/record", told).status == 200
    assert consent(call, phone) == "OPTED_OUT"


@pytest.mark.parametrize(("code", "state"), [(4775, "OPTED_OUT"), (4720, "UNKNOWN")])
def test_what_a_carrier_says_of_a_user_is_heard(call, code, state):
    """Its own opt-out list is the user's word, any other failure is none."""
    phone, name = f"+1555123{code}", f"failed-{code}"
    call("POST", f"/v1/phones/{phone}/agentMessages?messageId={name}", BODY)
    told = push(
        encode({"type": "message-failed", "errorCode": code, "message": {"id": "x"}}),
        ce_type="backstop.sms.failed",
        ce_id=name,
        messageId=name,
        attempt="1",
    )

    assert call("POST", "/record", told).status == 200
    assert consent(call, phone) == state


@pytest.mark.parametrize(
    ("path", "kind", "heard"),
    [
        ("/fallback", "rcs.expired", True),
        ("/fallback", "rcs.read", False),
        ("/record", "rcs.expired", False),
        ("/record", "rcs.read", True),
    ],
)
def test_each_trigger_hears_its_own(call, path, kind, heard):
    """Whatever else a subscription may bring is for somebody else."""
    name = f"{path[1:]}-{kind}"
    call("POST", f"{MESSAGES}?messageId={name}", BODY)

    answer = call("POST", path, push(ce_type=f"backstop.{kind}", messageId=name))

    told = call("GET", f"{MESSAGES}/{name}").json["delivery"]["events"]
    assert answer.status == 200
    assert (f"backstop.{kind}" in {event["type"] for event in told}) is heard


def test_a_ring_from_the_end_of_time_is_told_to_come_again(call):
    """No instant is too far ahead to be compared."""
    late = {"message": "m", "dueAt": "9999-12-31T23:59:59+00:00"}

    check_refusal(call("POST", "/revoke", late), 503)


@pytest.mark.parametrize("path", ["/revoke", "/fallback", "/record"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post_is_taken(call, method, path):
    """Any other method is a 405 that says so."""
    answer = call(method, path)

    check_refusal(answer, 405)
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/revoke", "/fallback", "/record"])
def test_a_large_body_is_refused_readably(call, path):
    """The client can read that its body is too large."""
    check_refusal(call("POST", path, b"x" * 5_000_000), 413)


def test_a_ring_before_its_record_is_asked_to_come_again(call, local):
    """The record may still be on its way (rule 5)."""
    due_at = local.clock.now().isoformat()

    answer = call("POST", "/revoke", {"message": "never-sent", "dueAt": due_at})

    check_refusal(answer, 503)


def test_a_ring_whose_record_will_never_come_is_done(call):
    """Long after `send` must have ended, nothing is waited for (rule 5)."""
    ring = {"message": "never-sent", "dueAt": "2020-01-01T00:00:00Z"}

    assert call("POST", "/revoke", ring).status == 200


@pytest.mark.parametrize("path", ["/fallback", "/record"])
@pytest.mark.parametrize(
    ("kind", "data"),
    [("rcs.delivered", b"{}"), ("sms.failed", b'{"errorCode":4775,"message":{}}')],
    ids=["delivered", "opted out"],
)
def test_an_event_about_no_message_of_ours_is_done(call, path, kind, data):
    """Old news is acknowledged, or it would come for ever."""
    told = push(data, ce_type=f"backstop.{kind}", messageId="never-sent")

    answer = call("POST", path, told)

    assert (answer.status, answer.json) == (200, {})


def test_pub_subs_own_fields_do_no_harm(call):
    """Real pushes carry more than we read."""
    sent = push(messageId="never-sent") | {"deliveryAttempt": 3}
    sent["message"] |= {"message_id": "1", "publish_time": "x", "orderingKey": ""}

    assert call("POST", "/record", encode(sent)).status == 200
