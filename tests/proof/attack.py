"""What a forger would try at both webhooks, and what a fuzzer throws at every door."""

import hmac
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256, sha512
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from backstop.providers.rbm import wire as rbm
from entrypoints.caller import (
    API_TOKEN,
    CLIENT_TOKEN,
    CREDENTIALS,
    PHONE,
    Answer,
    Caller,
    basic,
    encode,
    envelope,
    sign,
)

FIXTURES = Path(__file__).parents[1] / "fixtures"
CANARY = "canary-text-never-echoed"
SHORT = 300
"""Bytes that no refusal fills."""

DATA = encode(
    {
        "senderPhoneNumber": PHONE,
        "eventType": "UNSUBSCRIBE",
        "eventId": "forged-1",
        "sendTime": "2026-04-05T12:00:00.123456Z",
        "agentId": "demo_agent@rbm.goog",
        "text": CANARY.ljust(423, "."),
    }
)
RECEIPT = encode(
    [
        {
            "type": "message-received",
            "time": "2026-11-20T17:00:03.456789Z",
            "to": "+15550100001",
            "message": {"id": "forged-2", "from": PHONE, "text": "STOP " + CANARY},
        }
    ]
)

Attempt = tuple[str, str, bytes, list[tuple[str, str | bytes]]]
"""What it is called, the path, the body and the headers."""


def _webhook(name: str, signature: str | bytes, body: bytes = b"") -> Attempt:
    headers = [("x-goog-signature", signature)]
    return name, "/webhook", body or envelope(DATA), headers


def forged_signatures() -> Iterator[Attempt]:
    """Yield forms of what is not, or no longer, a valid signature of the body."""
    key, good = CLIENT_TOKEN.encode(), sign(DATA)
    for digest in ("md5", "sha1", "sha224", "sha256", "sha384", "sha3_512", "blake2b"):
        forged = b64encode(hmac.digest(key, DATA, digest)).decode()
        yield _webhook(f"another digest: {digest}", forged)
    for name, other in {
        "no key": b"",
        "a space": key + b" ",
        "a line": key + b"\n",
        "upper case": key.upper(),
        "reversed": key[::-1],
        "its base64": b64encode(key),
        "its hexadecimal": key.hex().encode(),
        "None": b"None",
        "null": b"null",
        "the header's name": b"X-Goog-Signature",
        "a prefix": key[:-1],
        "twice": key + key,
        "with a comma": key + b",",
    }.items():
        forged = b64encode(hmac.digest(other, DATA, "sha512")).decode()
        yield _webhook(f"another key: {name}", forged)
    raw = hmac.digest(key, DATA, "sha512")
    for name, form in {
        "hexadecimal": raw.hex(),
        "HEXADECIMAL": raw.hex().upper(),
        "URL-safe": urlsafe_b64encode(raw).decode() + "=",
        "no padding": good.rstrip("="),
        "base64 twice": b64encode(good.encode()).decode(),
        "lower case": good.lower(),
        "upper case": good.upper(),
        "quoted": f'"{good}"',
        "with a scheme": f"sha512={good}",
        "two, the bad first": f"{good[::-1]},{good}",
        "two, the good first": f"{good},{good[::-1]}",
        "two, by semicolon": f"{good};{good}",
        "a space inside": f"{good[:40]} {good[40:]}",
        "a tab inside": f"{good[:40]}\t{good[40:]}",
        "one letter less": good[:-1],
        "the first half": good[: len(good) // 2],
        "one letter more": good + "=",
        "twice": good + good,
        "a NUL's name": good + "%00",
        "UTF-16": good.encode("utf-16"),
        "a byte-order mark": b"\xef\xbb\xbf" + good.encode(),
        "full-width letters": good.translate({65: 0xFF21}).encode(),
        "an umlaut behind": (good + "ü").encode(),
        "high bytes": bytes(byte | 0x80 for byte in good.encode()),
        "empty": "",
        "true": "true",
        "none": "none",
        "a star": "*",
        "a hundred kilobytes": "A" * 50_000,
        "no key at all": b64encode(sha512(DATA).digest()).decode(),
        "key and text": b64encode(sha512(key + DATA).digest()).decode(),
        "exchanged": b64encode(hmac.digest(DATA, key, "sha512")).decode(),
    }.items():
        yield _webhook(f"another form: {name}", form)


def forged_bodies() -> Iterator[Attempt]:
    """Yield bodies that a valid signature of another body is put on."""
    good = sign(DATA)
    for name, data in {
        "a byte less": DATA[:-1],
        "a byte more": DATA + b" ",
        "a byte before": b" " + DATA,
        "spaced": json.dumps(json.loads(DATA), indent=1).encode(),
        "sorted": json.dumps(json.loads(DATA), sort_keys=True).encode(),
        "UTF-16": DATA.decode().encode("utf-16"),
        "another phone": DATA.replace(b"1555123", b"1555124"),
        "a case": DATA.replace(b"UNSUB", b"unsub"),
        "nothing": b"",
    }.items():
        if data != DATA:
            yield _webhook(f"another body: {name}", good, envelope(data))
    signed_whole = sign(envelope(DATA))
    yield _webhook("the envelope is signed", signed_whole)
    yield _webhook("the base64 is signed", sign(b64encode(DATA)))
    yield _webhook("data twice", good, b'{"message": {"data": "", "data": "AAAA"}}')
    bare = {"clientToken": "x", "secret": CANARY}
    yield _webhook("a handshake beside", good, encode(bare))
    for name, headers in {
        "no header": [],
        "another header": [("x-hub-signature-256", good)],
        "authorization": [("authorization", good)],
        "a cookie": [("cookie", f"x-goog-signature={good}")],
        "a bad one first": [("x-goog-signature", "bad"), ("x-goog-signature", good)],
    }.items():
        yield f"where it stands: {name}", "/webhook", envelope(DATA), headers
    yield (
        "where it stands: the query",
        f"/webhook?x-goog-signature={'A' * 88}",
        envelope(DATA),
        [],
    )


def forged_credentials() -> Iterator[Attempt]:
    """Yield what is no `Authorization` of Bandwidth's."""
    user, password = CREDENTIALS
    plain = f"{user}:{password}"
    good = basic()
    token = good.removeprefix("Basic ")
    forms: dict[str, str | bytes] = {
        "bare": token,
        "Bearer": f"Bearer {token}",
        "Digest": f"Digest {token}",
        "Negotiate": f"Negotiate {token}",
        "Basic alone": "Basic",
        "plain": f"Basic {plain}",
        "base64 twice": "Basic " + b64encode(token.encode()).decode(),
        "URL-safe, broken": "Basic " + token.replace(token[3], "-", 1),
        "no padding": "Basic " + token.rstrip("=") + "!",
        "hexadecimal": "Basic " + plain.encode().hex(),
        "two": f"{good}, {good}",
        "two, by semicolon": f"{good};{good}",
        "quoted": f'Basic "{token}"',
        "an umlaut": f"Basic {token}ü".encode(),
        "full-width": "\uff22asic ".encode() + token.encode(),
        "high bytes": bytes(byte | 0x80 for byte in good.encode()),
        "UTF-16": good.encode("utf-16-le").replace(b"\0", b"\x7f"),
        "a long one": "Basic " + "A" * 50_000,
        "empty": "",
    }
    pairs = {
        "no password": (user, ""),
        "no user": ("", password),
        "neither": ("", ""),
        "exchanged": (password, user),
        "user twice": (user, user),
        "upper case": (user.upper(), password),
        "password in upper case": (user, password.upper()),
        "a space": (user, password + " "),
        "a line": (user, password + "\n"),
        "a NUL": (user, password + "\0"),
        "a NUL before": ("\0" + user, password),
        "a prefix": (user, password[:-1]),
        "twice": (user, password * 2),
        "a colon more": (user + ":", password),
        "a colon behind": (user, password + ":"),
        "None": (user, "None"),
        "a star": ("*", "*"),
        "an umlaut": (user, "paßwort"),
        "a quote": (user, f"' or '{password}"),
    }
    for name, (someone, word) in pairs.items():
        encoded = b64encode(f"{someone}:{word}".encode()).decode()
        forms[f"pair: {name}"] = f"Basic {encoded}"
    for charset in ("utf-16", "utf-32", "cp037"):
        forms[f"in {charset}"] = "Basic " + b64encode(plain.encode(charset)).decode()
    for digits in range(20):
        guess = basic(user, f"{password}{digits}")
        forms[f"guess {digits}"] = guess
    for name, form in forms.items():
        yield name, "/sms_webhook", RECEIPT, [("authorization", form)]
    yield "none", "/sms_webhook", RECEIPT, []
    yield "x-header", "/sms_webhook", RECEIPT, [("x-authorization", good)]
    yield "a cookie", "/sms_webhook", RECEIPT, [("cookie", f"authorization={good}")]
    yield (
        "RBM's signature",
        "/sms_webhook",
        envelope(DATA),
        [("x-goog-signature", sign(DATA))],
    )


def forged_tokens(path: str, body: bytes) -> Iterator[Attempt]:
    """Yield what is not the app's `Authorization`, wherever it stands."""
    token = API_TOKEN
    raw, good = token.encode(), f"Bearer {token}"
    encoded = b64encode(raw).decode()
    claims = urlsafe_b64encode(encode({"sub": "app", "exp": 4102444800})).decode()
    unsigned = urlsafe_b64encode(encode({"alg": "none"})).decode()
    forms: dict[str, str | bytes] = {
        "empty": "",
        "bare": token,
        "the scheme alone": "Bearer",
        "no space": f"Bearer{token}",
        "two spaces": f"Bearer  {token}",
        "a tab": f"Bearer\t{token}",
        "a colon": f"Bearer: {token}",
        "an equals sign": f"Bearer={token}",
        "the scheme twice": f"Bearer {good}",
        "quoted": f'Bearer "{token}"',
        "named": f"Bearer token={token}",
        "two, the bad first": f"Bearer bad, {good}",
        "two, the good first": f"{good}, Bearer bad",
        "two, by semicolon": f"{good};{good}",
        "one letter less": good[:-1],
        "one letter more": good + "x",
        "the first half": good[: len(good) // 2],
        "twice": good + token,
        "reversed": f"Bearer {token[::-1]}",
        "upper case": f"Bearer {token.upper()}",
        "title case": f"Bearer {token.title()}",
        "a space inside": f"Bearer {token[:5]} {token[5:]}",
        "a NUL's name": good + "%00",
        "escaped": "Bearer " + token.replace("-", "%2D"),
        "a comma behind": good + ",",
        "its base64": f"Bearer {encoded}",
        "its hexadecimal": f"Bearer {raw.hex()}",
        "its digest": f"Bearer {sha256(raw).hexdigest()}",
        "UTF-16": good.encode("utf-16-le").replace(b"\0", b"\x7f"),
        "full-width": b"Bearer " + token.translate({97: 0xFF41}).encode(),
        "a byte-order mark": b"Bearer \xef\xbb\xbf" + raw,
        "an umlaut behind": good.encode() + "ü".encode(),
        "an umlaut alone": "Bearer ü".encode(),
        "high bytes": bytes(byte | 0x80 for byte in good.encode()),
        "no text": b"Bearer \xff",
        "a long one": "Bearer " + "A" * 50_000,
        "nobody's signature": f"Bearer {unsigned}.{claims}.",
        "RBM's token": f"Bearer {CLIENT_TOKEN}",
        "Bandwidth's password": f"Bearer {CREDENTIALS[1]}",
        "Bandwidth's credentials": basic(),
        "as a password": basic("app", token),
        "as a user": basic(token, ""),
    }
    for scheme in ("Basic", "Digest", "Token", "Negotiate", "bearer", "BEARER", "None"):
        forms[f"another scheme: {scheme}"] = f"{scheme} {token}"
    for word in ("None", "null", "undefined", "true", "*", "0", "[]", "' or ''='"):
        forms[f"the word {word}"] = f"Bearer {word}"
    for at in range(len(token)):
        wrong = token[:at] + chr(ord(token[at]) ^ 1) + token[at + 1 :]
        forms[f"another letter: {at}"] = f"Bearer {wrong}"
    for name, form in forms.items():
        yield name, path, body, [("authorization", form)]
    yield "none", path, body, []
    bad_first: list[tuple[str, str | bytes]] = [
        ("authorization", "Bearer bad"),
        ("authorization", good),
    ]
    yield "a bad one first", path, body, bad_first
    for header in ("x-authorization", "proxy-authorization", "x-api-key"):
        yield f"where it stands: {header}", path, body, [(header, good)]
    cookie = ("cookie", f"authorization={good}")
    yield "where it stands: a cookie", path, body, [cookie]
    for name in ("access_token", "token", "key", "authorization"):
        query = f"{path}?{name}={token}"
        yield f"where it stands: the query's {name}", query, body, []


def refused(
    call: Caller, attempts: Iterable[Attempt], statuses: Iterable[int] = (400, 401, 403)
) -> tuple[int, list[str]]:
    """Return how many attempts a client could make, and what was wrong after all.

    Each is answered by a short refusal, and together they change nothing.
    """
    right = {*statuses, 431}
    before = call.left_behind()
    made, wrong = 0, list[str]()
    for one in attempts:
        answer = attempt(call, one)
        made += answer is not None
        if answer and answer.status not in right:
            wrong.append(f"{one[0]} was answered {answer.status}")
        if answer and (len(answer.raw) >= SHORT or not is_quiet(answer)):
            wrong.append(f"{one[0]} was told {answer.raw[:SHORT]!r}")
    if call.left_behind() != before:
        wrong.append("something forged left something behind")
    return made, wrong


def attempt(call: Caller, one: Attempt) -> Answer | None:
    """Make one attempt; None if no client could send it, or read on to the end.

    Whoever is refused by the half of what it says is cut off in the middle of it.
    """
    import http.client

    _name, path, body, headers = one
    connection = http.client.HTTPConnection("127.0.0.1", call.port, timeout=20)
    try:
        connection.putrequest("POST", path)
        for name, value in headers:
            connection.putheader(name, value)
        connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    except (ValueError, UnicodeEncodeError, ConnectionError):
        return None
    finally:
        connection.close()


def is_quiet(answer: Answer) -> bool:
    """Whether an answer tells nothing: no trace, no word of what was sent."""
    told = answer.raw
    secrets = (CLIENT_TOKEN, *CREDENTIALS, API_TOKEN, CANARY)
    inside = (b"Traceback", b".py", *(secret.encode() for secret in secrets))
    return not any(word in told for word in inside)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.text(max_size=20)
    | st.sampled_from(["", CANARY, "\x00", "\ud800".encode(errors="ignore").decode()]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner)
    ),
    max_leaves=8,
)
NASTY = (
    b"",
    b"null",
    b"[" * 5000,
    b'{"a":' * 5000,
    b"1" * 4000,
    b"NaN",
    b"\xff\xfe",
    b'"\\ud800"',
    b'{"a":1,"a":2}',
    b"\x00",
    b"\x1f\x8b\x08",
)


@st.composite
def mutants(draw: st.DrawFn, originals: tuple[bytes, ...]) -> bytes:
    """Draw a real payload with something wrong in it: a value, a byte, a cut."""
    raw = draw(st.sampled_from(originals))
    how = draw(st.sampled_from(("value", "value", "byte", "cut", "insert", "nasty")))
    if how == "nasty":
        return draw(st.sampled_from(NASTY))
    if how == "value":
        value = json.loads(raw)
        _change(draw, value)
        return json.dumps(value).encode()
    at = draw(st.integers(0, len(raw)))
    if how == "cut":
        return raw[:at]
    piece = draw(st.binary(min_size=1, max_size=6))
    return raw[:at] + piece + raw[at + (how == "byte") :]


def _change(draw: st.DrawFn, value: Any) -> None:
    """Replace one value, at any depth."""
    if isinstance(value, list) and value:
        key: Any = draw(st.integers(0, len(value) - 1))
    elif isinstance(value, dict) and value:
        key = draw(st.sampled_from(sorted(value)))
    else:
        return
    if isinstance(value[key], (dict, list)) and draw(st.booleans()):
        _change(draw, value[key])
    else:
        value[key] = draw(JSON)


def samples(provider: str) -> tuple[bytes, ...]:
    """Return the recorded payloads of a provider."""
    files = sorted((FIXTURES / provider).glob("*.json"))
    return tuple(file.read_bytes().strip() for file in files)


SENDS = tuple(
    encode(body)
    for body in (
        {"contentMessage": {"text": CANARY}, "ttl": "600s"},
        {
            "contentMessage": {
                "richCard": {
                    "standaloneCard": {
                        "cardOrientation": "VERTICAL",
                        "cardContent": {
                            "title": CANARY,
                            "suggestions": [
                                {"reply": {"text": "a", "postbackData": "b"}}
                            ],
                        },
                    }
                }
            },
            "messageTrafficType": "PROMOTION",
            "expireTime": "2099-01-01T00:00:00Z",
            "fallback": {"text": CANARY, "media": ["https://e.x/a.png"]},
            "metadata": {"a": "b"},
        },
    )
)


def fuzz(
    originals: tuple[bytes, ...], examples: int, one: Callable[[bytes], None]
) -> None:
    """Try *one* with so many mutants. Raises what it raises, with the smallest."""

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(mutants(originals))
    def each(raw: bytes) -> None:
        one(raw)

    each()


def check_send(call: Caller) -> Callable[[bytes], None]:
    """Whatever is sent to `/v1` is taken or refused; a refusal leaves nothing."""

    def one(raw: bytes) -> None:
        since = call.newest_event()
        answer = call("POST", f"/v1/phones/{PHONE}/agentMessages", raw)
        assert answer.status < 500, answer.raw
        if answer.status >= 400:
            assert is_quiet(answer), answer.raw
            assert call.newest_event() == since

    return one


def check_webhook(call: Caller) -> Callable[[bytes], None]:
    """What is signed is published; what is not is refused, and is no event."""

    def one(raw: bytes) -> None:
        signed: dict[str, str | bytes] = {"x-goog-signature": sign(raw)}
        forged: dict[str, str | bytes] = {"x-goog-signature": sign(raw, "another")}
        good = call("POST", "/webhook", envelope(raw), signed)
        assert good.status == 200, good.raw
        assert is_quiet(good)
        since = call.newest_event()
        for body, headers in ((raw, signed), (envelope(raw), forged)):
            bad = call("POST", "/webhook", body, headers)
            assert bad.status in {400, 401}, bad.raw
            assert is_quiet(bad)
        assert call.newest_event() == since

    return one


def check_sms_webhook(call: Caller) -> Callable[[bytes], None]:
    """Whatever an authorised callback holds is news; a stranger's is no event."""

    def one(raw: bytes) -> None:
        good = call("POST", "/sms_webhook", raw, {"authorization": basic()})
        assert good.status == 200, good.raw
        assert is_quiet(good)
        since = call.newest_event()
        bad = call("POST", "/sms_webhook", raw, {"authorization": basic("a", "b")})
        assert bad.status == 401, bad.raw
        assert is_quiet(bad)
        assert call.newest_event() == since

    return one


FUZZED: dict[str, tuple[tuple[bytes, ...], Callable[[Caller], Callable[[bytes], None]]]]
FUZZED = {
    "/v1": (SENDS, check_send),
    "/webhook": (samples("rbm"), check_webhook),
    "/sms_webhook": (samples("bandwidth"), check_sms_webhook),
}


def flips(raw: bytes) -> Iterator[bytes]:
    """Yield *raw* with each of its bits turned once."""
    for at in range(len(raw)):
        for bit in range(8):
            yield raw[:at] + bytes((raw[at] ^ 1 << bit,)) + raw[at + 1 :]


FLIPS = 8 * (len(DATA) + len(sign(DATA)))


def believed_changes(others: int, seed: int) -> Iterator[str]:
    """Yield what is believed of the signed payload with anything changed in it."""
    tokens, good, chance = (CLIENT_TOKEN.encode(),), sign(DATA).encode(), Random(seed)
    cases = [(data, good) for data in flips(DATA)]
    cases += [(DATA, signature) for signature in flips(good)]
    while len(cases) < FLIPS + others:
        pair = [DATA, good]
        which = chance.randrange(2)
        pair[which] = _changed(chance, pair[which])
        if pair[which] != (DATA, good)[which]:
            cases.append((pair[0], pair[1]))
    for data, signature in cases:
        try:
            rbm.verify(rbm.parse(envelope(data)), signature, tokens)
        except rbm.Forged:
            continue
        yield f"{data[:80]!r} under {signature[:20]!r}"


def _changed(chance: Random, raw: bytes) -> bytes:
    """Cut off, add, exchange, double or recode a part."""
    at, to = sorted(chance.choices(range(len(raw) + 1), k=2))
    some = chance.randbytes(chance.randrange(1, 9))
    return chance.choice(
        (
            raw[:at],
            raw[at + 1 :],
            raw[:at] + some + raw[at:],
            raw[:at] + some + raw[to:],
            raw[:at] + raw[at:to] * 2 + raw[to:],
            raw[:at] + raw[at:to].swapcase() + raw[to:],
            raw[:at] + raw[at:to][::-1] + raw[to:],
            raw + b"\n" * len(some),
            raw.decode().encode("utf-16"),
        )
    )
