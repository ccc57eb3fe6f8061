import json
import socket
from pathlib import Path

import pytest

from entrypoints.caller import (
    CLIENT_TOKEN,
    PHONE,
    WORDS,
    check_refusal,
    encode,
    envelope,
    sign,
)

SECOND = "second-live-token"
TEXT = encode(
    {
        "senderPhoneNumber": PHONE,
        "messageId": "Mx-1",
        "sendTime": "2026-04-05T12:01:00.000001Z",
        "text": WORDS,
        "agentId": "demo_agent@rbm.goog",
    }
)

TRACE = f"00-{'a' * 32}-{'b' * 16}-00"

HANDSHAKES = {
    "the first token": (CLIENT_TOKEN, "s3cret", 200),
    "the second token": (SECOND, "s3cret", 200),
    "a wrong token": ("wrong", "s3cret", 401),
    "an empty token": ("", "s3cret", 401),
    "both tokens at once": (f"{CLIENT_TOKEN},{SECOND}", "s3cret", 401),
    "a token beyond ASCII": ("gehe\u00efm", "s3cret", 401),
    "a number for a token": (5, "s3cret", 401),
    "null for a token": (None, "s3cret", 401),
    "true for a token": (True, "s3cret", 401),
    "a list for a token": ([CLIENT_TOKEN], "s3cret", 401),
    "an object for a token": ({"token": CLIENT_TOKEN}, "s3cret", 401),
    "a number for a secret": (CLIENT_TOKEN, 5, 401),
    "null for a secret": (CLIENT_TOKEN, None, 401),
    "true for a secret": (CLIENT_TOKEN, True, 401),
    "a list for a secret": (CLIENT_TOKEN, ["s3cret"], 401),
    "an object for a secret": (CLIENT_TOKEN, {}, 401),
    "an empty secret": (CLIENT_TOKEN, "", 401),
    "a secret of a megabyte's tenth": (CLIENT_TOKEN, "x" * 100_000, 401),
}

SIGNATURES = {
    "another token's": sign(TEXT, "wrong"),
    "an empty key's": sign(TEXT, ""),
    "another body's": sign(TEXT + b" "),
    "the envelope's": sign(envelope(TEXT)),
    "truncated": sign(TEXT)[:-4],
    "lengthened": sign(TEXT) + "A",
    "in hexadecimal": TEXT.hex(),
    "empty": "",
    "bytes that are no text": b"\xff\xfe\x80",
    "an umlaut": "ü".encode(),
    "a megabyte's hundredth": "A" * 10_000,
}

BODIES = {
    "nothing": b"",
    "a word": b"hello",
    "a list": b"[]",
    "null": b"null",
    "a depth bomb": b"[" * 100_000,
    "NaN": b'{"message": NaN}',
    "bytes that are no text": b"\xff",
    "half a character": b'{"clientToken": "\\ud800", "secret": "\\ud800"}',
    "no message": b"{}",
    "a message that is a word": b'{"message": "x"}',
    "data that is a number": b'{"message": {"data": 5}}',
    "data that is no base64": b'{"message": {"data": "%%%"}}',
    "data beyond ASCII": '{"message": {"data": "ü"}}'.encode(),
}


@pytest.fixture(scope="module")
def environ():
    return {"RBM_CLIENT_TOKENS": f"{CLIENT_TOKEN},{SECOND}"}


@pytest.fixture
def deliver(call):
    """Deliver an envelope, signed as asked."""

    def post(data=TEXT, signature=None, **more):
        signature = sign(data) if signature is None else signature
        headers = {"x-goog-signature": signature} if signature else {}
        headers["traceparent"] = TRACE
        return call("POST", "/webhook", envelope(data, **more), headers)

    return post


@pytest.mark.parametrize(
    ("token", "secret", "status"), HANDSHAKES.values(), ids=HANDSHAKES
)
def test_handshake(call, token, secret, status):
    """Only a live token is answered, with the bare secret; nothing is published."""
    before = call.left_behind()

    answer = call("POST", "/webhook", {"clientToken": token, "secret": secret})

    assert answer.status == status
    assert call.left_behind() == before
    if status == 200:
        assert answer.raw == secret.encode()
    else:
        check_refusal(answer, 401)
        assert len(answer.raw) < 200


@pytest.mark.parametrize("token", [CLIENT_TOKEN, SECOND], ids=["first", "second"])
def test_a_live_tokens_signature_is_believed(call, deliver, token):
    """Both tokens of a rotation verify; the event is published once, unchanged."""
    since = call.newest_event()

    answer = deliver(signature=sign(TEXT, token))

    (published,) = call.published(since)
    assert (answer.status, answer.json) == (200, {})
    assert published.data == TEXT
    assert published.attributes["ce-type"] == "backstop.rcs.text"


@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES)
def test_a_foreign_signature_is_refused(call, deliver, signature):
    """Whatever proves nothing is a short 401, and nothing is published."""
    before = call.left_behind()

    answer = deliver(signature=signature)

    check_refusal(answer, 401)
    assert len(answer.raw) < 200
    assert call.left_behind() == before


def test_all_refusals_are_the_same(deliver):
    """A forger learns nothing from how he is refused."""
    answers = {deliver(signature=signature).raw for signature in SIGNATURES.values()}

    assert len(answers) == 1


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
@pytest.mark.parametrize("raw", BODIES.values(), ids=BODIES)
def test_what_is_no_webhook_call_is_refused(call, raw, signed):
    """Whatever a stranger sends, it is a short 4xx, and nothing is published."""
    before = call.left_behind()

    answer = call(
        "POST", "/webhook", raw, {"x-goog-signature": sign(raw)} if signed else {}
    )

    assert answer.status in {400, 401}
    check_refusal(answer, answer.status)
    assert len(answer.raw) < 200
    assert call.left_behind() == before


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not json",
        b"\xff\x00",
        b"[]",
        b'{"eventType": "NEW", "phoneNumber": "+1"}',
    ],
    ids=["nothing", "a word", "bytes", "a list", "a new kind"],
)
def test_what_is_signed_but_unknown_is_passed_on(call, deliver, data):
    """A carrier's news is published whatever it is, byte for byte."""
    since = call.newest_event()

    answer = deliver(data)

    (published,) = call.published(since)
    assert answer.status == 200
    assert published.data == data
    assert published.attributes["kind"] == "unknown"


def test_unsigned_attributes_never_reach_an_event(call, deliver):
    """The envelope is anybody's: only what was signed is published."""
    since = call.newest_event()
    deliver()
    forged = {"ce-id": "evil", "type": "evil", "kind": "due", "agentId": "evil"}

    deliver(attributes=forged, messageId="evil", publishTime="evil", orderingKey="evil")

    plain, dressed = call.published(since)
    assert (dressed.attributes, dressed.data) == (plain.attributes, plain.data)


def test_a_repeat_keeps_its_id(call, deliver):
    """RBM's retry is recognisably the same event."""
    since = call.newest_event()

    for n in range(3):
        deliver(messageId=str(n))

    assert len({e.attributes["ce-id"] for e in call.published(since)}) == 1


def test_other_news_has_another_id(call, deliver):
    """Two events of one message are two."""
    since = call.newest_event()
    for kind in ("DELIVERED", "READ"):
        deliver(
            encode(
                {
                    "senderPhoneNumber": PHONE,
                    "eventType": kind,
                    "eventId": kind,
                    "messageId": "m",
                    "agentId": "demo_agent",
                }
            )
        )

    assert len({e.attributes["ce-id"] for e in call.published(since)}) == 2


@pytest.mark.parametrize("size", [256 * 1024 + 1, 5_000_000])
def test_a_body_beyond_the_limit_is_refused_readably(call, size):
    """More than 256 KiB is a 413 that the client can read, signed or not."""
    before = call.left_behind()
    padding = size - len(envelope(b""))
    raw = envelope(b"", padding="")
    raw = raw.replace(b'""}', b'"' + b"x" * padding + b'"}')

    answer = call("POST", "/webhook", raw, {"x-goog-signature": sign(b"")})

    assert len(raw) >= size
    check_refusal(answer, 413)
    assert call.left_behind() == before


def test_a_body_at_the_limit_is_taken(call):
    """Exactly 256 KiB is not too large."""
    since = call.newest_event()
    raw = envelope(TEXT, padding="")
    raw = raw.replace(b'""}', b'"' + b"x" * (256 * 1024 - len(raw)) + b'"}')

    answer = call("POST", "/webhook", raw, {"x-goog-signature": sign(TEXT)})

    assert len(raw) == 256 * 1024
    assert answer.status == 200
    assert len(call.published(since)) == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_only_post_is_taken(call, method):
    """Any other method is a 405 that says so."""
    before = call.left_behind()

    answer = call(method, "/webhook")

    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert call.left_behind() == before


@pytest.fixture
def wire(call):
    """A socket to the server, for what no client would send."""
    with socket.create_connection(("127.0.0.1", call.port), timeout=10) as wire:
        yield wire


def head(*lines):
    return "\r\n".join(["POST /webhook HTTP/1.1", "host: x", *lines, "", ""]).encode()


def test_a_client_that_hangs_up_disturbs_nobody(call, local, wire):
    """Half a body is no event and no log line, and holds nothing up."""
    before = call.left_behind()
    log = Path(local._log_file.name)
    lines = log.read_text()
    body = envelope(TEXT)

    wire.sendall(
        head(f"content-length: {len(body)}", f"x-goog-signature: {sign(TEXT)}")
        + body[:-9]
    )
    assert call("GET", "/webhook").status == 405
    assert local.traffic.idle(), "time does not wait for a slow sender"
    wire.close()

    assert call.left_behind() == before
    assert call("GET", "/webhook").status == 405
    assert log.read_text() == lines


def test_chunks_with_trailers_are_a_body(call, wire):
    """A body in chunks is put together, and trailers are left aside."""
    since = call.newest_event()
    body = envelope(TEXT)
    chunks = b"".join(
        b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:])
    )

    wire.sendall(
        head(
            "transfer-encoding: chunked",
            "trailer: x-goog-signature",
            f"x-goog-signature: {sign(TEXT)}",
            "connection: close",
        )
        + chunks
        + b"0\r\nx-goog-signature: evil\r\nx-more: \xff\r\n\r\n"
    )
    answer = b"".join(iter(lambda: wire.recv(4096), b""))

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert [e.data for e in call.published(since)] == [TEXT]


def test_a_signature_in_a_trailer_is_none(call, wire):
    """What comes after the body proves nothing about it."""
    before = call.left_behind()
    body = envelope(TEXT)

    wire.sendall(
        head("transfer-encoding: chunked", "connection: close")
        + b"%x\r\n%s\r\n" % (len(body), body)
        + f"0\r\nx-goog-signature: {sign(TEXT)}\r\n\r\n".encode()
    )
    answer = b"".join(iter(lambda: wire.recv(4096), b""))

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert call.left_behind() == before


def test_what_is_no_http_is_refused(call, wire):
    """Noise on the port is nobody's trouble."""
    wire.sendall(b"\x16\x03\x01 hello\r\n\r\n")
    answer = b"".join(iter(lambda: wire.recv(4096), b""))

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert call("GET", "/webhook").status == 405


def test_what_was_published_can_be_read_as_json(deliver, call):
    """The data is the carrier's own JSON, so a workflow needs no base64 of ours."""
    since = call.newest_event()

    deliver()

    (published,) = call.published(since)
    assert json.loads(published.data)["text"] == WORDS
