"""What honest callers do oddly, and rude ones on purpose, at every door.

Each check tries something so many times and yields what was wrong.
"""

import gzip
import http.client
import json
import socket
from base64 import b64decode
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

from backstop.logs import CATALOGUE
from entrypoints.caller import (
    CLIENT_TOKEN,
    CREDENTIALS,
    Answer,
    Caller,
    basic,
    encode,
    envelope,
    sign,
)
from machine import Machine
from proof.attack import is_quiet
from proof.standstill import standstill

DOORS = ("/v1/phones/+15550006666/agentMessages", "/webhook", "/sms_webhook")
METHODS = (
    *("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"),
    *("PROPFIND", "post", "X" * 200, "G\x7fT"),
)
LENGTHS = ("-1", "x", "99999999999999999999", "1, 2", "", "1_0", "+2", "0x2")
ROUND = 120
"""Rude requests of one round, about."""

WIDTH = 8
ALL = 10**6

Wrong = Iterator[str]
Thrown = tuple[str, bytes, dict[str, str | bytes]]
"""What it is, the body and the headers."""


def wide(work: Any, items: Iterable[Any]) -> list[Any]:
    with ThreadPoolExecutor(WIDTH) as threads:
        return list(threads.map(work, items))


def entry(phone: str, name: str) -> dict[str, Any]:
    """Return a texted STOP, as Bandwidth tells of it."""
    return {
        "type": "message-received",
        "time": "2026-11-20T17:00:03.456789Z",
        "to": "+15550100001",
        "message": {"id": name, "from": phone, "text": "STOP"},
    }


UNKNOWN, GIVEN_UP = "backstop.sms.unknown", "backstop.sms.received"
BAD: dict[bytes, str] = {
    **dict.fromkeys(
        (
            *(b"null", b"7", b'"x"', b"[]", b"{}", b"true", b"1e400", b"-0"),
            b'{"type": null}',
            b'{"type": "message-received"}',
            b'{"type": "message-received", "message": []}',
            b'{"type": "of-the-future", "message": {"id": "x"}}',
            b'{"type": "message-received", "time": "yesterday", "message": {}}',
            b'{"type": "message-received", "message": {"text": "\\ud800"}}',
            b'{"a": 1, "a": 2}',
            b"[" * 200 + b"]" * 200,
            b"1" * 4000,
        ),
        UNKNOWN,
    ),
    b'{"type": "message-received", "message": {"id": 7, "from": 8, "text": 9}}': (
        GIVEN_UP
    ),
    b'{"type": "message-delivered", "message": {"tag": "\\u0000/\\u0000/x"}}': (
        "backstop.sms.delivered"
    ),
    b'{"type": "message-failed", "errorCode": "x", "message": {"tag": "a/b/99999"}}': (
        "backstop.sms.failed"
    ),
}
"""Bad entries, and the event that each becomes, with all of its bytes.

What names nobody is given up as a dead letter. A receipt of no message of ours is
old news, and what is unknown has no subscriber of ours.
"""


def lists(machine: Machine, tries: int) -> Wrong:
    """S4: the good entries of a list take effect once, and the bad one is kept."""
    call = Caller(machine)
    kinds = list(BAD)
    beside = [kinds[number % len(kinds)] for number in range(tries)]

    def one(number: int) -> list[str]:
        bad, place = beside[number], number // len(kinds) % 4
        phones = [f"+15556{number:05}{n}" for n in range(3)]
        good = [encode(entry(phone, f"good-{phone}")) for phone in phones]
        body = b"[" + b",".join([*good[:place], bad, *good[place:]]) + b"]"
        headers: dict[str, str | bytes] = {"authorization": basic()}
        answer = call("POST", "/sms_webhook", body, headers)
        return phones if answer.status == 200 else []

    taken = wide(one, range(tries))
    if not machine.settle():
        yield "the queues do not become empty"
    yield from ("a list was refused" for phones in taken if not phones)
    for number, phones in enumerate(taken):
        for phone in phones:
            told = call("GET", f"/v1/phones/{phone}/consent").json
            if told["state"] != "OPTED_OUT" or len(told["history"]) != 1:
                how = f"{told['state']}, {len(told.get('history', []))} times"
                yield f"beside {beside[number][:60]!r} a STOP became {how}"
    yield from _kept(call, Counter(beside))


def _kept(call: Caller, thrown: Counter[bytes]) -> Wrong:
    """Look for each bad entry where it belongs, once for each time it was sent."""
    _advance(call, "3600s")
    ground = call.local.ground
    events = Counter(
        (event.data, event.attributes["ce-type"]) for event in ground.newest_events(ALL)
    )
    letters = Counter(letter.event.data for letter in ground.dead_letters(ALL))
    for bad, times in thrown.items():
        if events[bad, BAD[bad]] != times:
            yield f"{bad[:60]!r} is not {times} times {BAD[bad]}"
        if letters[bad] != (times if BAD[bad] == GIVEN_UP else 0):
            yield f"{bad[:60]!r} is {letters[bad]} dead letters"
    if letters.total() != sum(letters[bad] for bad in thrown):
        yield "a good entry became a dead letter"


def rotated(state: Path, requests: int) -> Wrong:
    """S8: while a secret is changed both count, and afterwards the new one alone."""
    old, new = CLIENT_TOKEN, "the-next-client-token-of-this-agent"
    user, password = CREDENTIALS
    pairs = (password, "the-next-password-of-bandwidth")
    before = {"RBM_CLIENT_TOKENS": old, "BANDWIDTH_CALLBACKS": f"{user}:{password}"}
    both = {name: f"{known}," for name, known in before.items()}
    both["RBM_CLIENT_TOKENS"] += new
    both["BANDWIDTH_CALLBACKS"] += f"{user}:{pairs[1]}"
    after = {
        "RBM_CLIENT_TOKENS": new,
        "BANDWIDTH_CALLBACKS": f"{user}:{pairs[1]}",
    }
    for name, environ, valid in (
        ("before", before, (True, False)),
        ("during", both, (True, True)),
        ("after", after, (False, True)),
    ):
        with standstill(state, environ) as machine:
            call = Caller(machine)

            def one(number: int, call: Caller = call) -> tuple[int, int]:
                which = number % 2
                data = encode({"eventType": "IS_TYPING", "eventId": f"r-{number}"})
                signed = {"x-goog-signature": sign(data, (old, new)[which])}
                by_rbm = call("POST", "/webhook", envelope(data), signed)
                entries = [{"type": "of-the-future", "message": {"id": f"{number}"}}]
                proof = {"authorization": basic(user, pairs[which])}
                by_sms = call("POST", "/sms_webhook", entries, proof)
                return by_rbm.status, by_sms.status

            share = max(4, requests // 6)
            for number, answers in enumerate(wide(one, range(share))):
                which = number % 2
                wanted = 200 if valid[which] else 401
                if answers != (wanted, wanted):
                    secret = ("old", "new")[which]
                    yield f"{name} the change the {secret} secret got {answers}"


OTHER = "other_agent@rbm.goog"


def replayed(machine: Machine, lives: int, seed: int) -> Wrong:
    """S5: captured callbacks, sent again for eight days, are old news.

    So they are for another agent, and at the other door they are not even read.
    """
    call = Caller(machine)
    chance = Random(seed)
    phones = [f"+15557{n:06}" for n in range(lives)]

    def send(numbered: tuple[int, str]) -> None:
        number, phone = numbered
        profile = ({}, {"online": False}, {"rcs": False})[number % 3]
        if profile:
            call("PUT", f"/simulator/phones/{phone}", profile)
        body = {
            "contentMessage": {"text": "Hello"},
            "messageTrafficType": "TRANSACTION",
            "ttl": "60s",
        }
        call("POST", f"/v1/phones/{phone}/agentMessages?messageId=p-{number}", body)

    def reply(phone: str) -> None:
        said = {"text": "STOP", "channel": "SMS"}
        call("POST", f"/simulator/phones/{phone}/messages", said)

    wide(send, enumerate(phones))
    _advance(call, "600s")
    wide(reply, phones[::5])
    _advance(call, "5s")
    captured = call("GET", "/simulator/callbacks").json["callbacks"]
    before = _world(machine, call, phones)
    for wait in ("1s", "3599s", "687600s"):
        _advance(call, wait)
        chance.shuffle(captured)
        wide(lambda told: _again(call, told), captured)
        if not machine.settle():
            yield "the queues do not become empty"
        if _world(machine, call, phones) != before:
            yield f"a replay after {wait} more changed something"
    if {told["carrier"] for told in captured} != {"rbm", "bandwidth"}:
        yield "nothing was captured of one carrier"
    for wrong in wide(lambda told: list(_misdirected(call, told)), captured):
        yield from wrong
    if not machine.settle() or _world(machine, call, phones) != before:
        yield "what was sent elsewhere changed something"


def _misdirected(call: Caller, told: Any) -> Wrong:
    """Send one callback for another agent, and to the other door."""
    sent = told["body"].encode()
    proof: dict[str, str | bytes]
    if told["carrier"] == "rbm":
        wrapped = json.loads(sent)
        data = b64decode(wrapped["message"]["data"])
        wrapped["message"]["attributes"]["business_id"] = OTHER
        payload = encode(json.loads(data) | {"agentId": OTHER})
        proof = {"x-goog-signature": sign(data)}
        cases = [
            ("/webhook", encode(wrapped), {200}),
            ("/webhook", envelope(data, agentId=OTHER), {200}),
            ("/webhook", envelope(payload), {401}),
            ("/sms_webhook", sent, {401}),
        ]
    else:
        # Its proof is of the sender alone: whoever has it may name any agent.
        proof = {"authorization": basic()}
        cases = [
            ("/sms_webhook", sent.replace(b"demo_agent/", b"other_agent/"), {200}),
            ("/webhook", sent, {400, 401}),
        ]
    for door, body, right in cases:
        status = call("POST", door, body, proof).status
        if status not in right:
            yield f"{told['carrier']}'s, sent to {door}, was answered {status}"


def _again(call: Caller, told: Any) -> None:
    call("POST", f"/simulator/callbacks/{told['id']}:resend", {})


def _advance(call: Caller, by: str) -> None:
    call("POST", "/simulator/clock", {"advance": by}, wait=600)


def _world(machine: Machine, call: Caller, phones: list[str]) -> Any:
    """Return what a second effect would change.

    An outcome may be told again, under the same id.
    """
    states = sorted(
        (m.message_id, m.outcome, m.announced, len(m.history), m.rcs_state)
        for m in machine.ground.newest_messages(ALL)
    )
    inboxes = [
        [i["channel"] for i in call("GET", f"/simulator/phones/{p}").json["inbox"]]
        for p in phones
    ]
    names = {e.attributes["ce-id"] for e in machine.ground.newest_events(ALL)}
    consents = [call("GET", f"/v1/phones/{p}/consent").json for p in phones]
    return states, inboxes, names, consents


def repeated(machine: Machine, times: int) -> Wrong:
    """S13: one id, however often and at once, is one message."""
    call = Caller(machine)
    path = "/v1/phones/+15550007777/agentMessages"
    body = {"contentMessage": {"text": "once"}, "ttl": "600s"}

    def send(_number: int) -> Answer:
        return call("POST", f"{path}?messageId=once", body, wait=60)

    answers = wide(send, range(times))
    kept = [
        (a.status, {k: v for k, v in a.json.items() if k != "delivery"})
        for a in answers
    ]
    for status, message in kept:
        if (status, message) != (200, kept[0][1]):
            yield f"a repeat was answered {status}, or otherwise than the first"
    other = call("POST", f"{path}?messageId=once", {**body, "ttl": "601s"})
    if other.status != 409:
        yield f"another body was answered {other.status}"
    elsewhere = path.replace("7777", "7778")
    if call("POST", f"{elsewhere}?messageId=once", body).status != 409:
        yield "the same id to another phone was taken"
    long = call("POST", f"{path}?messageId={'x' * 257}", body)
    if long.status != 400:
        yield f"an id of 257 letters was answered {long.status}"
    _advance(call, "5s")
    _advance(call, "86400s")
    if send(0).status != 200:
        yield "a repeat a day later was refused"
    _advance(call, "5s")
    inbox = call("GET", "/simulator/phones/+15550007777").json["inbox"]
    if len(inbox) != 1:
        yield f"the phone got {len(inbox)} messages"


ODD = (
    *("\r\nSet-Cookie: a=b", '\n{"message": "forged"}', "\x00", "\x1b[2J", "\x7f"),
    *("?a=b&c=d#e", "../../etc", "%0d%0a%00", "{{7*7}}", "${jndi:ldap://x}", "{0}%s"),
    *('=HYPERLINK("x")', "'; drop table messages; --", "<script>x</script>"),
    *("\u2028", "\u202e", "\ufeff", "\\", '"', "&amp;", "@+-="),
)


def injected(machine: Machine, tries: int, seed: int, log: Path) -> Wrong:
    """S14: what is a text stays one, to the carriers, to the phone and in the log."""
    call = Caller(machine)
    chance = Random(seed)
    cases = [
        (number, "a" + "".join(chance.choices(ODD, k=3)) + "z")
        for number in range(tries)
    ]

    def send(case: tuple[int, str]) -> str:
        number, text = case
        phone = f"+15558{number:06}"
        if number % 2:
            call("PUT", f"/simulator/phones/{phone}", {"rcs": False})
        body = {
            "contentMessage": {"text": text},
            "messageTrafficType": "TRANSACTION",
            "ttl": "600s",
            "metadata": {"note": text},
            "fallback": {"text": text},
        }
        path = f"/v1/phones/{phone}/agentMessages?messageId=inject-{number}"
        answer = call("POST", path, body)
        if answer.status not in {200, 400}:
            return f"{text!r} was answered {answer.status}"
        return "taken" if answer.status == 200 else ""

    results = wide(send, cases)
    yield from (result for result in results if result not in {"", "taken"})
    _advance(call, "5s")
    for (number, text), result in zip(cases, results, strict=True):
        phone = f"+15558{number:06}"
        inbox = call("GET", f"/simulator/phones/{phone}").json["inbox"]
        got = [(item["channel"], item["text"]) for item in inbox]
        wanted = [("SMS" if number % 2 else "RCS", text)] if result else []
        if got != wanted:
            yield f"{text!r} arrived as {got}"
    yield from _odd_paths(call)
    for line in log.read_text().splitlines():
        if json.loads(line)["message"] not in CATALOGUE:
            yield f"a forged line: {line[:80]}"


def _odd_paths(call: Caller) -> Wrong:
    """What stands in a path or an id is a phone and an id, or is refused."""
    for odd in ODD:
        escaped = quote(odd, safe="")
        for path in (
            f"/v1/phones/{escaped}/agentMessages",
            f"/v1/phones/+15550007779{escaped}/agentMessages",
            f"/v1/phones/+15550007779/agentMessages?messageId=a{escaped}/b",
        ):
            answer = call("POST", path, {"contentMessage": {"text": "x"}})
            if answer.status not in {400, 404, 405}:
                yield f"{path!r} was answered {answer.status}"


def rude(call: Caller, tries: int) -> Wrong:
    """S3: what no fuzzer of payloads sends: methods, lengths, depths and bombs."""
    for _ in range(max(1, tries // ROUND)):
        for door in DOORS:
            since = call.newest_event()
            yield from _odd_requests(call, door)
            if call.newest_event() != since:
                yield f"odd requests at {door} became events"
            for raw in _shapes():
                for how, body, headers in _dressed(door, raw):
                    yield from _thrown(call, door, (how, body, headers))


def _dressed(door: str, raw: bytes) -> Iterator[Thrown]:
    """Yield *raw* as anybody may send it, and as only a carrier can."""
    yield "bare", raw, {}
    proof = _proof(raw)
    if door == "/webhook":
        yield "signed but bare", raw, proof
        yield "proved", envelope(raw), proof
    else:
        yield "proved" if door == "/sms_webhook" else "with proofs", raw, proof


def _thrown(call: Caller, door: str, thrown: Thrown) -> Wrong:
    """Send one: what is proved is taken, if it is not too long, and else no event."""
    how, body, headers = thrown
    since = call.newest_event()
    answer = call("POST", door, body, headers, wait=30)
    right = {200, 413} if how == "proved" else range(400, 500)
    if answer.status not in right or not is_quiet(answer):
        yield f"{body[:20]!r}, {how}, at {door} was answered {answer.status}"
    if answer.status != 200 and call.newest_event() != since:
        yield f"{body[:20]!r}, {how}, at {door} was refused and is an event"


def _odd_requests(call: Caller, door: str) -> Wrong:
    odd = [(method, "2") for method in METHODS]
    odd += [("POST", length) for length in LENGTHS]
    for method, length in odd:
        status = _raw(call, door, method, b"{}", length)
        if status is not None and status >= 500:
            yield f"{method[:9]} of {length!r} at {door} was answered {status}"


def _shapes() -> Iterator[bytes]:
    yield b"[" * 10_000 + b"]" * 10_000
    yield b'{"a":' * 10_000 + b"1" + b"}" * 10_000
    yield b"1" + b"0" * 4000
    yield b'{"message": {"data": "\\ud800"}}'
    yield b"[]"
    yield b"[" + b",".join([b"{}"] * 10_000) + b"]"
    yield gzip.compress(b"0" * 10_000_000)
    yield b"\x00" * 1000
    yield b"[NaN, Infinity, 1e999]"
    yield b" " * 300_000


def _proof(raw: bytes) -> dict[str, str | bytes]:
    return {
        "x-goog-signature": sign(raw),
        "authorization": basic(),
        "content-encoding": "gzip" if raw[:2] == b"\x1f\x8b" else "identity",
    }


def _raw(call: Caller, path: str, method: str, body: bytes, length: str) -> int | None:
    """Send what no client would; None when the server hangs up without a word."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{call.port}\r\n"
    head += f"Content-Length: {length}\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", call.port), timeout=10) as line:
        line.sendall(head.encode("latin-1") + body)
        # Whoever announced more than it sends has ended.
        line.shutdown(socket.SHUT_WR)
        try:
            answer = http.client.HTTPResponse(line, method=method)
            answer.begin()
        except (http.client.HTTPException, ConnectionError):
            return None
        return answer.status
