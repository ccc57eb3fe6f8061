import hashlib
import hmac
import json
from base64 import b64encode
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstop.domain import event as events
from backstop.domain.event import read_attributes
from backstop.domain.menu import Option
from backstop.domain.signal import Kind, Signal
from backstop.providers.rbm.wire import (
    Forged,
    Malformed,
    announce,
    bare_agent,
    handshake,
    inbound,
    parse,
    signal,
    suggestion_response,
    verify,
)

NOW = datetime(2026, 4, 5, 12, 30, tzinfo=UTC)
PHONE = "+15550100001"
MESSAGE = "7c1f0c0e-6a52-4a55-9a0e-0d5a4d6a1b11"

# The vector of reference/rbm.md, computed apart from this code.
TOKEN = b"tok-3F9A-example"
PAYLOAD = (
    b'{"senderPhoneNumber":"+15550100001","eventType":"DELIVERED",'
    b'"eventId":"evt-0001","messageId":"7c1f0c0e-6a52-4a55-9a0e-0d5a4d6a1b11",'
    b'"sendTime":"2026-04-05T12:00:00.123456Z","agentId":"demo_agent@rbm.goog"}'
)
SIGNATURE = (
    b"skkY21x4kuLu1tfvA/PGCN9l+R5GNf7+pzwcs5hiq+hKZZzpCQ72t4Dt+ZpNn"
    b"+Rin1X7dlajKui7v7mpkk1pBQ=="
)


def envelope(data=PAYLOAD):
    return {"message": {"data": b64encode(data).decode(), "messageId": "6"}}


def sign(data, token):
    return b64encode(hmac.new(token, data, hashlib.sha512).digest())


FORGERIES = {
    "unsigned": (None, (TOKEN,)),
    "empty": (b"", (TOKEN,)),
    "not base64": (b"!!!", (TOKEN,)),
    "not text": (b"\xff\xfe\x00", (TOKEN,)),
    "one bit off": (b"t" + SIGNATURE[1:], (TOKEN,)),
    "cut short": (SIGNATURE[:-2], (TOKEN,)),
    "in hex": (
        hmac.new(TOKEN, PAYLOAD, hashlib.sha512).hexdigest().encode(),
        (TOKEN,),
    ),
    "by SHA-256": (
        b64encode(hmac.new(TOKEN, PAYLOAD, hashlib.sha256).digest()),
        (TOKEN,),
    ),
    "of another payload": (sign(b"{}", TOKEN), (TOKEN,)),
    "of the base64 text": (sign(b64encode(PAYLOAD), TOKEN), (TOKEN,)),
    "of the envelope": (sign(json.dumps(envelope()).encode(), TOKEN), (TOKEN,)),
    "by a foreign token": (sign(PAYLOAD, b"theirs"), (TOKEN, b"other")),
    "no token configured": (SIGNATURE, ()),
    "an empty token": (sign(PAYLOAD, b""), (b"",)),
}


PAYLOADLESS = {
    "no message": {},
    "message is a list": {"message": []},
    "message is text": {"message": "data"},
    "no data": {"message": {}},
    "data is null": {"message": {"data": None}},
    "data is a number": {"message": {"data": 7}},
    "data is an object": {"message": {"data": {"a": 1}}},
    "data is not base64": {"message": {"data": "*"}},
    "data is unpadded": {"message": {"data": "YQ"}},
    "data has a newline": {"message": {"data": "YWJj\nYWJj"}},
    "data is not ASCII": {"message": {"data": "ÿÿÿÿ"}},
    "data is half a surrogate pair": {"message": {"data": "\ud800"}},
    "data goes on behind its padding": {"message": {"data": "YQ==YQ=="}},
}


class TestVerify:
    def test_the_documented_vector_holds(self):
        assert verify(envelope(), SIGNATURE, (TOKEN,)) == PAYLOAD

    @pytest.mark.parametrize("tokens", [(TOKEN, b"new"), (b"old", TOKEN)], ids=str)
    def test_every_live_token_verifies(self, tokens):
        assert verify(envelope(), SIGNATURE, tokens) == PAYLOAD

    @pytest.mark.parametrize(("signature", "tokens"), FORGERIES.values(), ids=FORGERIES)
    def test_a_forgery_is_refused(self, signature, tokens):
        with pytest.raises(Forged):
            verify(envelope(), signature, tokens)

    @pytest.mark.parametrize("body", PAYLOADLESS.values(), ids=PAYLOADLESS)
    def test_a_body_without_payload_is_malformed(self, body):
        with pytest.raises(Malformed):
            verify(body, SIGNATURE, (TOKEN,))


BODIES = {
    "nothing": b"",
    "not JSON": b"hello",
    "not UTF-8": b'{"a":"\xff"}',
    "a list": b"[]",
    "a string": b'"message"',
    "NaN": b'{"a":NaN}',
    "half a surrogate pair": b'{"a":"\\ud800"}',
    "a number beyond reason": b'{"a":1' + b"0" * 5000 + b"}",
    "a bottomless list": b'{"a":' + b"[" * 200_000,
    "a bottomless object": b'{"a":' * 100_000,
}


class TestParse:
    @pytest.mark.parametrize("raw", BODIES.values(), ids=BODIES)
    def test_anything_but_an_object_is_malformed(self, raw):
        with pytest.raises(Malformed):
            parse(raw)

    def test_a_repeated_key_is_no_error(self):
        assert parse(b'{"a":1,"a":2}') == {"a": 2}


class TestHandshake:
    def test_the_secret_comes_back_bare(self):
        body = {"clientToken": TOKEN.decode(), "secret": "nonce-1"}

        assert handshake(body, (b"other", TOKEN)) == "nonce-1"

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"clientToken": "x"},
            {"secret": "x"},
            {"clientToken": TOKEN.decode(), "secret": "x", "message": {}},
        ],
        ids=str,
    )
    def test_another_call_is_none(self, body):
        assert handshake(body, (TOKEN,)) is None

    ODD = (None, 7, 1.5, True, [], ["x"], {}, {"a": 1}, "", "ÿ", "\ud800", "wrong")

    @pytest.mark.parametrize("token", ODD, ids=repr)
    @pytest.mark.parametrize("tokens", [(), (b"",), (TOKEN,)], ids=str)
    def test_a_foreign_token_is_refused(self, token, tokens):
        with pytest.raises(Forged):
            handshake({"clientToken": token, "secret": "nonce"}, tokens)

    @pytest.mark.parametrize(
        "secret", [None, 7, True, [], {}, "", "x" * 1025], ids=lambda s: repr(s)[:9]
    )
    def test_an_odd_secret_is_refused(self, secret):
        with pytest.raises(Forged):
            handshake({"clientToken": TOKEN.decode(), "secret": secret}, (TOKEN,))


ANNOUNCED = {
    "delivered": (events.RCS_DELIVERED, MESSAGE),
    "read": (events.RCS_READ, MESSAGE),
    "expired": (events.RCS_EXPIRED, MESSAGE),
    "expiry_failed": (events.RCS_EXPIRY_FAILED, MESSAGE),
    "typing": (events.RCS_TYPING, ""),
    "unsubscribed": (events.RCS_UNSUBSCRIBED, ""),
    "subscribed": (events.RCS_SUBSCRIBED, ""),
    "text": (events.RCS_TEXT, ""),
    "file": (events.RCS_FILE, ""),
    "location": (events.RCS_LOCATION, ""),
    "suggestion": (events.RCS_SUGGESTION, ""),
    "launch": (events.RCS_LAUNCH, ""),
}


TIMES = {
    "whole seconds": ("2026-04-05T12:00:00Z", datetime(2026, 4, 5, 12, tzinfo=UTC)),
    "nanoseconds": (
        "2026-04-05T12:00:00.123456789Z",
        datetime(2026, 4, 5, 12, 0, 0, 123456, UTC),
    ),
    "an offset": (
        "2026-04-05T17:30:00.5+05:30",
        datetime(2026, 4, 5, 12, 0, 0, 500000, UTC),
    ),
    "no offset": ("2026-04-05T12:00:00", NOW),
    "before all years": ("0001-01-01T00:00:00+23:59", NOW),
    "a leap second": ("2026-06-30T23:59:60Z", NOW),
    "text": ("yesterday", NOW),
    "a number": (1775390400, NOW),
    "an object": ({"seconds": 1}, NOW),
    "none": (None, NOW),
}


UNKNOWN = {
    "not JSON": b"\x00\x01",
    "nothing": b"",
    "a list": b"[1]",
    "half a surrogate pair": b'{"text":"\\ud800","senderPhoneNumber":"+1"}',
    "an empty object": b"{}",
    "a new event type": PAYLOAD.replace(b"DELIVERED", b"PONDERED"),
    "no event type": PAYLOAD.replace(b'"DELIVERED"', b"null"),
    "an object for a type": PAYLOAD.replace(b'"DELIVERED"', b'{"a":1}'),
    "a list for a type": PAYLOAD.replace(b'"DELIVERED"', b"[]"),
    "no phone": PAYLOAD.replace(b"senderPhoneNumber", b"sender"),
    "a number for a phone": PAYLOAD.replace(b'"+15550100001"', b"15550100001"),
    "a receipt for no message": PAYLOAD.replace(b'"messageId"', b'"message"'),
    "a receipt for no agent": PAYLOAD.replace(b'"agentId"', b'"agent"'),
    "text that is none": b'{"senderPhoneNumber":"+1","text":{"a":1}}',
    "a location that is none": b'{"senderPhoneNumber":"+1","location":"here"}',
    "a misspelt revocation": PAYLOAD.replace(
        b"DELIVERED", b"TTL_EXPIRATION_REVOKED_FAILED"
    ),
}


class TestAnnounce:
    @pytest.mark.parametrize("name", ANNOUNCED)
    def test_every_family_is_known(self, recorded, name):
        data = recorded(f"rbm/{name}")

        event = announce(data, received_at=NOW)

        kind, message_id = ANNOUNCED[name]
        assert (event.type, event.message_id) == (kind, message_id)
        assert event.agent == "demo_agent"
        assert event.data == data

    def test_the_vector_becomes_an_event(self):
        event = announce(PAYLOAD, received_at=NOW)

        assert event.time == datetime(2026, 4, 5, 12, 0, 0, 123456, UTC)
        assert event.subject == f"agents/demo_agent/messages/{MESSAGE}"
        assert read_attributes(event.attributes(), PAYLOAD) == event

    def test_every_payload_has_its_own_id(self, recorded):
        ids = {
            announce(recorded(f"rbm/{name}"), received_at=NOW).id for name in ANNOUNCED
        }

        assert len(ids) == len(ANNOUNCED)

    def test_a_repeat_keeps_its_id(self, recorded):
        payload = json.loads(recorded("rbm/text"))
        again = json.dumps(dict(reversed(payload.items()))).encode()

        first = announce(recorded("rbm/text"), received_at=NOW)

        assert first.id == announce(again, received_at=datetime.now(UTC)).id

    def test_two_events_of_one_kind_about_one_message_are_two(self):
        """Each has an id of its own, and the second is no repeat of the first."""
        payload = json.loads(PAYLOAD)
        first, second = (
            announce(json.dumps({**payload, "eventId": name}).encode(), received_at=NOW)
            for name in ("one", "two")
        )

        assert first.id != second.id

    def test_without_any_id_the_bytes_are_the_id(self):
        one, other = b'{"text":"a"}', b'{"text":"b"}'

        first = announce(one, received_at=NOW)

        assert first.id == announce(one, received_at=NOW).id
        assert first.id != announce(other, received_at=NOW).id

    @pytest.mark.parametrize(("sent", "time"), TIMES.values(), ids=TIMES)
    def test_its_time_is_the_carriers(self, sent, time):
        payload = {**json.loads(PAYLOAD), "sendTime": sent}

        event = announce(json.dumps(payload).encode(), received_at=NOW)

        assert event.time == time

    @pytest.mark.parametrize("data", UNKNOWN.values(), ids=UNKNOWN)
    def test_the_unknown_is_passed_on_as_unknown(self, data):
        event = announce(data, received_at=NOW)

        assert event.type is events.RCS_UNKNOWN
        assert event.message_id == ""
        assert event.data == data
        assert signal(event) is None
        assert inbound(event) is None

    @settings(deadline=None, database=None)
    @given(st.binary(max_size=60))
    def test_no_bytes_are_an_error(self, data):
        assert announce(data, received_at=NOW).data == data

    @settings(deadline=None, database=None)
    @given(
        st.dictionaries(
            st.sampled_from(
                [
                    "senderPhoneNumber",
                    "phoneNumber",
                    "eventType",
                    "eventId",
                    "messageId",
                    "agentId",
                    "sendTime",
                    "text",
                    "newLaunchState",
                ]
            ),
            st.sampled_from(
                ["DELIVERED", "READ", "SUBSCRIBE", "", None, 1, [], {}, "a\nb", True]
            ),
        )
    )
    def test_no_payload_is_an_error(self, payload):
        event = announce(json.dumps(payload).encode(), received_at=NOW)

        assert event.attributes()
        signal(event)
        inbound(event)


KINDS = {
    "delivered": Kind.RCS_DELIVERED,
    "read": Kind.RCS_READ,
    "expired": Kind.RCS_EXPIRED,
    "expiry_failed": Kind.RCS_EXPIRY_FAILED,
}


class TestSignal:
    @pytest.mark.parametrize("name", ANNOUNCED)
    def test_receipts_and_expiries_are_signals(self, recorded, name):
        event = announce(recorded(f"rbm/{name}"), received_at=NOW)

        kind = KINDS.get(name)
        expected = kind and Signal(kind=kind, at=event.time, event=event.id)
        assert signal(event) == expected


REPLIES = {
    "text": Kind.RCS_TEXT,
    "file": Kind.RCS_FILE,
    "location": Kind.RCS_LOCATION,
    "suggestion": Kind.RCS_SUGGESTION,
    "typing": Kind.RCS_TYPING,
    "subscribed": Kind.RCS_SUBSCRIBED,
    "unsubscribed": Kind.RCS_UNSUBSCRIBED,
}


class TestInbound:
    @pytest.mark.parametrize("name", ANNOUNCED)
    def test_what_users_say_is_read(self, recorded, name):
        event = announce(recorded(f"rbm/{name}"), received_at=NOW)

        reply = inbound(event)

        assert (reply and reply.kind) == REPLIES.get(name)
        if reply:
            assert reply.phone == PHONE
            assert (reply.agent, reply.channel) == ("demo_agent", "RCS")
            assert (reply.event, reply.at) == (event.id, event.time)
            wish = {"unsubscribed": False, "subscribed": True}.get(name)
            assert reply.wish is wish

    def test_a_text_and_a_tap_are_told_apart(self, recorded):
        text = inbound(announce(recorded("rbm/text"), received_at=NOW))
        tap = inbound(announce(recorded("rbm/suggestion"), received_at=NOW))

        assert text.text
        assert text.postback is None
        assert (tap.text, tap.postback) == ("", "nm")

    def test_a_texted_choice_is_written_as_a_tap(self, recorded):
        """The same keys, types and spelling as RBM's own."""
        real = json.loads(recorded("rbm/suggestion"))
        option = Option(number=2, label="Not me", postback="nm")
        reply = inbound(announce(recorded("rbm/text"), received_at=NOW))

        written = suggestion_response(reply, option, "demo_agent")

        assert written.keys() == real.keys()
        assert written["suggestionResponse"] == real["suggestionResponse"]
        assert written["agentId"] == real["agentId"]


def test_an_agent_is_known_by_its_bare_id():
    assert bare_agent("demo_agent@rbm.goog") == "demo_agent"
    assert bare_agent("demo_agent") == "demo_agent"
