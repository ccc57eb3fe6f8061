import json
from base64 import b64encode
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from backstop.domain import event as events
from backstop.domain.inbound import Inbound
from backstop.domain.signal import Kind, Signal
from backstop.domain.tag import make_tag, read_tag
from backstop.providers.bandwidth.codes import CODES, Disposition, disposition
from backstop.providers.bandwidth.wire import (
    announce,
    authorised,
    inbound,
    opt_out_code,
    signal,
)

NOW = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
LIVE = (("backstop", "old-pässword"), ("backstop", "new:secret"))
SEEN = {
    "sending": events.SMS_SENDING,
    "sent": events.SMS_SENT,
    "delivered": events.SMS_DELIVERED,
    "failed": events.SMS_FAILED,
    "received": events.SMS_RECEIVED,
    "read": events.SMS_UNKNOWN,
}


def basic(text):
    return b"Basic " + b64encode(text.encode())


@pytest.fixture
def entry(recorded):
    """A recorded callback's only entry, with some fields replaced."""

    def entry(name, **changes):
        [value] = json.loads(recorded(f"bandwidth/{name}"))
        message = value["message"] | changes.pop("message", {})
        return {**value, "message": message, **changes}

    return entry


@pytest.fixture
def event(entry):
    def event(name, **changes):
        raw = json.dumps(entry(name, **changes)).encode()
        [announced] = announce(raw, received_at=NOW)
        return announced

    return event


REFUSED = {
    "none": None,
    "empty": b"",
    "scheme only": b"Basic",
    "no value": b"Basic ",
    "another scheme": b"Bearer " + b64encode(b"backstop:new:secret"),
    "wrong password": basic("backstop:wrong"),
    "wrong user": basic("someone:new:secret"),
    "no colon": basic("backstopnew:secret"),
    "in clear": b"Basic backstop:new:secret",
    "not base64": b"Basic ****",
    "unpadded": basic("backstop:new:secret").rstrip(b"="),
    "bytes that are no text": b"Basic \xff\xfe",
    "text that is not ASCII": "Basic ÿÿÿÿ",
    "half a surrogate pair": "Basic \ud800",
}


class TestAuthorised:
    @pytest.mark.parametrize("text", ["backstop:old-pässword", "backstop:new:secret"])
    @pytest.mark.parametrize("form", [bytes, bytes.decode], ids=["bytes", "text"])
    def test_either_live_credential_opens(self, text, form):
        assert authorised(form(basic(text)), LIVE)

    def test_the_scheme_has_no_case(self):
        assert authorised(basic("backstop:new:secret").replace(b"B", b"b", 1), LIVE)

    @pytest.mark.parametrize("header", REFUSED.values(), ids=REFUSED)
    def test_anything_else_is_refused(self, header):
        assert not authorised(header, LIVE)

    @pytest.mark.parametrize(
        ("text", "credentials"),
        [(":", ()), (":", (("", ""),)), ("u:", (("u", ""),)), (":p", (("", "p"),))],
        ids=str,
    )
    def test_without_a_credential_nobody_passes(self, text, credentials):
        assert not authorised(basic(text), credentials)


UNREADABLE = {
    "nothing": b"",
    "not JSON": b"hello",
    "a number": b"7",
    "cut short": b'[{"type":"message-delivered"',
    "bottomless": b"[" * 100_000,
    "not UTF-8": b'{"type":"\xff"}',
    "half a surrogate pair": b'{"type":"\\ud800"}',
}


OTHERS = {
    "another recipient": {"to": "+15550100003"},
    "another code": {"errorCode": 9902},
    "another message": {"message": {"id": "x"}},
    "another type": {"type": "message-delivered"},
    "no id": {"message": {"id": None}},
}


ODD = {
    "no type": {"type": None},
    "an object for a type": {"type": {}},
    "a new type": {"type": "message-pondered"},
    "no message": {"message": None},
    "text for a message": {"message": "x"},
}


class TestAnnounce:
    @pytest.mark.parametrize("name", SEEN)
    def test_every_type_is_known(self, recorded, name):
        raw = recorded(f"bandwidth/{name}")

        [event] = announce(raw, received_at=NOW)

        assert event.type is SEEN[name]
        assert event.data == raw[1:-1]
        assert event.time == datetime.fromisoformat(json.loads(raw)[0]["time"])

    @pytest.mark.parametrize("name", ["sending", "sent", "delivered", "failed"])
    def test_the_tag_names_the_message(self, recorded, name):
        [event] = announce(recorded(f"bandwidth/{name}"), received_at=NOW)

        assert (event.agent, event.message_id, event.attempt) == (
            "demo_agent",
            "otp-1",
            2,
        )

    @pytest.mark.parametrize("tag", ["", "corr-0001", "a/b", "a/b/x", None, 7, {}])
    def test_a_foreign_tag_names_nothing(self, event, tag):
        announced = event("delivered", message={"tag": tag})

        assert announced.type is events.SMS_DELIVERED
        assert announced.subject == ""
        assert signal(announced) is None

    def test_what_a_user_writes_is_about_no_message(self, event):
        announced = event("received", message={"tag": "demo_agent/otp-1/2"})

        assert announced.subject == ""

    def test_a_single_object_is_one_event_with_its_own_bytes(self, entry):
        raw = json.dumps(entry("delivered"), indent=2).encode()

        [event] = announce(raw, received_at=NOW)

        assert event.type is events.SMS_DELIVERED
        assert event.data == raw

    def test_every_entry_of_a_list_is_an_event(self, recorded):
        entries = [recorded(f"bandwidth/{name}")[1:-1] for name in SEEN]
        raw = b" [ " + b" ,\n".join(entries) + b" ] "

        announced = announce(raw, received_at=NOW)

        assert [event.data for event in announced] == entries
        assert [event.type for event in announced] == list(SEEN.values())
        assert len({event.id for event in announced}) == len(entries)

    @pytest.mark.parametrize(
        "bad",
        [b'{"text":"\\ud800"}', b'{"text":"\xff"}', b"1" * 5000],
        ids=["half a surrogate pair", "not UTF-8", "a long number"],
    )
    @pytest.mark.parametrize("place", range(4))
    def test_what_no_parser_likes_spoils_no_other(self, recorded, bad, place):
        """It is an entry of its own, wherever it stands."""
        entries = [recorded(f"bandwidth/{name}")[1:-1] for name in list(SEEN)[:3]]
        entries.insert(place, bad)

        announced = announce(b" [ " + b" , ".join(entries) + b" ]\n", received_at=NOW)

        assert [event.data for event in announced] == entries
        assert announced[place].type is events.SMS_UNKNOWN

    @pytest.mark.parametrize(
        "raw",
        [b'["\\ud800"', b'["\\ud800"]]', b'["\\ud800",]', b'["\\ud800" 1]', b"[,]"],
    )
    def test_what_is_no_list_is_one_event(self, raw):
        [event] = announce(raw, received_at=NOW)

        assert event.data == raw

    def test_a_bad_entry_spoils_no_other(self, recorded):
        good = recorded("bandwidth/delivered")[1:-1]
        raw = b"[7," + good + b',{"type":{}},"x",null]'

        announced = announce(raw, received_at=NOW)

        assert [event.data for event in announced] == [
            b"7",
            good,
            b'{"type":{}}',
            b'"x"',
            b"null",
        ]
        assert announced[1].type is events.SMS_DELIVERED
        assert {e.type for e in announced} == {
            events.SMS_DELIVERED,
            events.SMS_UNKNOWN,
        }

    @pytest.mark.parametrize("raw", UNREADABLE.values(), ids=UNREADABLE)
    def test_an_unreadable_body_is_one_unknown_event(self, raw):
        [event] = announce(raw, received_at=NOW)

        assert (event.type, event.data, event.time) == (events.SMS_UNKNOWN, raw, NOW)

    def test_an_empty_list_is_no_event(self):
        assert announce(b"[]", received_at=NOW) == ()

    def test_a_repeat_keeps_its_id(self, recorded, entry):
        [first] = announce(recorded("bandwidth/failed"), received_at=NOW)

        again = json.dumps(dict(reversed(entry("failed").items()))).encode()

        assert [first.id] == [e.id for e in announce(again, received_at=NOW)]

    @pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
    def test_another_event_has_another_id(self, event, change):
        assert event("failed").id != event("failed", **change).id

    @pytest.mark.parametrize("change", ODD.values(), ids=ODD)
    def test_the_unknown_is_passed_on_as_unknown(self, entry, change):
        raw = json.dumps({**entry("delivered"), **change}).encode()

        [event] = announce(raw, received_at=NOW)

        assert (event.type, event.data) == (events.SMS_UNKNOWN, raw)
        assert signal(event) is None

    @pytest.mark.parametrize("time", ["today", None, 7, {}, "2026-11-20T17:00:00"])
    def test_an_odd_time_is_the_time_of_receipt(self, event, time):
        assert event("delivered", time=time).time == NOW

    @settings(deadline=None, database=None)
    @given(st.binary(max_size=60))
    def test_no_bytes_are_an_error(self, raw):
        announce(raw, received_at=NOW)

    @settings(deadline=None, database=None)
    @given(
        st.lists(
            st.dictionaries(
                st.sampled_from(["type", "to", "time", "errorCode", "message"]),
                st.sampled_from(
                    [
                        "message-failed",
                        "message-received",
                        None,
                        -1,
                        [],
                        {},
                        {"id": [], "from": {}, "text": 1, "tag": "a/b/1"},
                        {"id": "x", "from": "+1", "text": "stop", "tag": "a/b/1"},
                    ]
                ),
            ),
            max_size=3,
        )
    )
    def test_no_payload_is_an_error(self, entries):
        for event in announce(json.dumps(entries).encode(), received_at=NOW):
            assert event.attributes()
            signal(event)
            inbound(event)


KINDS = {
    "sending": Kind.SMS_SENT,
    "sent": Kind.SMS_SENT,
    "delivered": Kind.SMS_DELIVERED,
    "failed": Kind.SMS_FAILED,
    "received": None,
    "read": None,
}


FAILURES = {
    "deactivated": (4721, Kind.SMS_FAILED, 4721),
    "opted out": (4475, Kind.SMS_FAILED, 4475),
    "expired": (4360, Kind.SMS_FAILED, 4360),
    "carrier's fault": (5620, Kind.SMS_FAILED, 5620),
    "code as text": ("4721", Kind.SMS_FAILED, 4721),
    "new refusal": (4799, Kind.SMS_FAILED, 4799),
    "new carrier's fault": (5699, Kind.SMS_FAILED, 5699),
    "Bandwidth's fault": (5106, Kind.SMS_UNSENT, 5106),
    "new fault of Bandwidth's": (5299, Kind.SMS_UNSENT, 5299),
    "unknown error of Bandwidth's": (5999, Kind.SMS_UNSENT, 5999),
    "receipt timed out": (9902, Kind.SMS_DOUBTED, 9902),
    "unknown error": (9999, Kind.SMS_DOUBTED, 9999),
    "new ambiguity": (9000, Kind.SMS_DOUBTED, 9000),
    "old three digits": (795, Kind.SMS_DOUBTED, 795),
    "nonsense": (-4721, Kind.SMS_DOUBTED, -4721),
    "no code": (None, Kind.SMS_DOUBTED, None),
    "words": ("many", Kind.SMS_DOUBTED, None),
    "endless digits": ("4" * 5000, Kind.SMS_DOUBTED, None),
    "foreign digits": ("٤٧٢١", Kind.SMS_DOUBTED, None),
    "a truth": (True, Kind.SMS_DOUBTED, None),
    "an object": ({}, Kind.SMS_DOUBTED, None),
}


class TestSignal:
    def test_a_receipt_tells_all_it_knows(self, event):
        announced = event("delivered", message={"segmentCount": 3})

        assert signal(announced) == Signal(
            kind=Kind.SMS_DELIVERED,
            at=datetime(2026, 11, 20, 17, 0, 3, 456789, UTC),
            event=announced.id,
            attempt=2,
            provider_id="1789000000123abcdefghijklmnop",
            segments=3,
        )

    @pytest.mark.parametrize(("name", "kind"), KINDS.items(), ids=KINDS)
    def test_receipts_are_signals(self, event, name, kind):
        told = signal(event(name))

        assert (told and told.kind) == kind

    def test_what_a_user_writes_is_no_receipt(self, event):
        """Not even if it named a message."""
        assert signal(replace(event("received"), message_id="one")) is None

    @pytest.mark.parametrize(
        ("given_code", "kind", "code"), FAILURES.values(), ids=FAILURES
    )
    def test_the_error_code_decides(self, event, given_code, kind, code):
        told = signal(event("failed", errorCode=given_code))

        assert (told.kind, told.code) == (kind, code)


class TestInbound:
    def test_what_was_texted_is_read(self, event):
        announced = event("received", message={"text": "Hello"})

        assert inbound(announced) == Inbound(
            kind=Kind.SMS_RECEIVED,
            event=announced.id,
            phone="+15550100002",
            at=announced.time,
            channel="SMS",
            number="+15550100001",
            text="Hello",
        )

    @pytest.mark.parametrize("text", [None, 7, {}, ["STOP"]])
    def test_what_is_no_text_says_nothing(self, event, text):
        assert not inbound(event("received", message={"text": text})).text

    def test_a_receipt_is_no_reply(self, event):
        assert inbound(event("delivered", message={"text": "STOP"})) is None

    def test_the_number_is_its_owners_whoever_else_was_written_to(self, event):
        """A group's text goes to many, and reaches us by one number."""
        announced = event("received", to="+15550100009")

        assert inbound(announced).number == "+15550100001"

    @pytest.mark.parametrize("owner", [None, "", 7])
    def test_without_an_owner_the_number_is_the_one_written_to(self, event, owner):
        announced = event("received", to="+15550100009", message={"owner": owner})

        assert inbound(announced).number == "+15550100009"

    @pytest.mark.parametrize(
        ("code", "told"), [(4775, 4775), (4475, 4475), (4720, None)]
    )
    def test_a_carriers_opt_out_is_told_by_its_code(self, event, code, told):
        assert opt_out_code(event("failed", errorCode=code)) == told

    def test_only_a_failure_has_such_a_code(self, event):
        assert opt_out_code(event("delivered", errorCode=4775)) is None


class TestTag:
    @pytest.mark.parametrize("message_id", ["otp-1", "a/b/3", "é ü", "1//"])
    def test_what_is_made_is_read(self, message_id):
        assert read_tag(make_tag("demo_agent", message_id, 12)) == (
            "demo_agent",
            message_id,
            12,
        )

    @pytest.mark.parametrize(
        "tag", ["", "/", "//", "a/b", "a//1", "/b/1", "a/b/-1", "a/b/01", "a/b/1 "]
    )
    def test_a_foreign_tag_reads_as_nothing(self, tag):
        assert read_tag(tag) == ("", "", 0)


class TestCodes:
    @pytest.mark.parametrize("code", CODES)
    def test_every_row_fits_the_digit_scheme(self, code):
        """What fell out of the table would still be kept, sent or doubted alike."""
        coarse = {
            "4": {Disposition.RETRY, Disposition.RETRY_ONCE, Disposition.DOUBT},
            "5": set(Disposition) - {Disposition.RETRY, Disposition.RETRY_ONCE},
            "9": set(Disposition) - {Disposition.DOUBT},
        }

        assert disposition(code) not in coarse[str(code)[0]]

    def test_an_unknown_code_goes_by_its_first_digits(self):
        told = [disposition(code) for code in (4399, 4798, 5199, 5698, 9001, 1, None)]

        assert told == [
            Disposition.REFUSED,
            Disposition.REFUSED,
            Disposition.RETRY,
            Disposition.RETRY_ONCE,
            Disposition.DOUBT,
            Disposition.DOUBT,
            Disposition.DOUBT,
        ]
