"""Forgers, fuzzers and the curious get nothing, and leave nothing behind."""

import socket
import threading
from base64 import b64decode
from pathlib import Path

import pytest

from backstop.providers.bandwidth import wire as bandwidth
from backstop.providers.rbm import wire as rbm
from entrypoints.caller import (
    CLIENT_TOKEN,
    CREDENTIALS,
    MESSAGES,
    PHONE,
    Caller,
    basic,
    envelope,
    sign,
)
from machine import Machine
from proof.attack import (
    DATA,
    FLIPS,
    FUZZED,
    believed_changes,
    flips,
    forged_bodies,
    forged_credentials,
    forged_signatures,
    fuzz,
    refused,
)
from proof.standstill import standstill

EXAMPLES = 100
ATTACKS = {
    "signatures": (forged_signatures, 50),
    "bodies": (forged_bodies, 15),
    "credentials": (forged_credentials, 60),
}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory):
    state = tmp_path_factory.mktemp("state")
    with standstill(state) as local:
        yield local
    log = (state / "log.jsonl").read_text()
    assert '"crash"' not in log
    for secret in (CLIENT_TOKEN, CREDENTIALS[1], PHONE[1:], "canary"):
        assert secret not in log


@pytest.fixture(scope="module")
def call(local: Machine) -> Caller:
    return Caller(local)


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_forged_is_believed(call: Caller, name: str):
    """Each attempt is a short refusal, and together they change nothing."""
    attacks, at_least = ATTACKS[name]

    made, wrong = refused(call, attacks())

    assert wrong == []
    assert made >= at_least


def test_no_bit_may_be_turned():
    """Each bit of a signed payload and of its signature, turned once."""
    tokens, good = (CLIENT_TOKEN.encode(),), sign(DATA).encode()

    def believed(data: bytes, signature: bytes) -> bool:
        try:
            rbm.verify(rbm.parse(envelope(data)), signature, tokens)
        except rbm.Forged:
            return False
        return True

    assert believed(DATA, good)
    assert FLIPS == 600 * 8 + 88 * 8
    assert not any(believed(data, good) for data in flips(DATA))
    assert not any(believed(DATA, signature) for signature in flips(good))


def test_no_byte_may_be_changed(seed: int):
    """Cut off, added, exchanged, doubled or recoded, in either of the two."""
    assert list(believed_changes(5000, seed)) == []


def test_no_bit_of_the_credentials_may_be_turned():
    """Apart from those that mean nothing: the scheme's case, base64's last bits."""
    good = basic().encode()

    assert bandwidth.authorised(good, (CREDENTIALS,))
    for header in flips(good):
        if _plain(header) != _plain(good):
            assert not bandwidth.authorised(header, (CREDENTIALS,)), header


def _plain(header: bytes) -> tuple[bytes, bytes]:
    scheme, _, encoded = header.partition(b" ")
    try:
        return scheme.lower(), b64decode(encoded, validate=True)
    except ValueError:
        return scheme, encoded


def test_a_replay_is_old_news(call: Caller):
    """A captured webhook, sent again and again, is one event to every subscriber."""
    since = call.newest_event()
    headers = {"x-goog-signature": sign(DATA)}
    for _ in range(20):
        assert call("POST", "/webhook", envelope(DATA), headers).status == 200

    carrier = [
        event
        for event in call.published(since)
        if event.attributes["ce-type"].startswith("backstop.rcs.")
    ]
    assert len({event.attributes["ce-id"] for event in carrier}) == 1
    assert call("POST", "/sms_webhook", envelope(DATA), headers).status == 401


@pytest.mark.parametrize("door", FUZZED)
def test_nothing_breaks_what_is_thrown_at(call: Caller, door: str):
    """Mutated real payloads: no 5xx, no traceback, nothing echoed."""
    originals, check = FUZZED[door]

    fuzz(originals, EXAMPLES, check(call))


def test_nobody_fetches_what_a_caller_names(call: Caller):
    """Media and file URLs are the carriers' to fetch, never ours."""
    visits: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.2)
        url = f"http://127.0.0.1:{trap.getsockname()[1]}/latest/meta-data"
        watching = threading.Thread(target=_watch, args=(trap, visits))
        watching.start()
        content = {"contentInfo": {"fileUrl": url, "thumbnailUrl": url}}
        body = {
            "contentMessage": content,
            "ttl": "600s",
            "fallback": {"text": "Look", "media": [url]},
        }
        phone = MESSAGES.replace("0001", "0077")
        call("PUT", "/simulator/phones/+15551230077", {"rcs": False})
        sent = call("POST", f"{phone}?messageId=trap", body)
        looked = call("POST", "/simulator/clock", {"advance": "900s"})
        watching.join()

    assert (sent.status, looked.status) == (200, 200)
    assert visits == []


def _watch(trap: socket.socket, visits: list[object]) -> None:
    for _ in range(5):
        try:
            visits.append(trap.accept())
        except TimeoutError:
            continue


def test_secrets_are_not_in_the_state(call: Caller, local: Machine):
    """No token, password or key lies in any file of ours."""
    state = Path(local._log_file.name).parent
    files = [file for file in state.glob("backstop.db*") if file.is_file()]
    stored = b"".join(file.read_bytes() for file in files)

    assert files
    for secret in (CLIENT_TOKEN, CREDENTIALS[1], "local-client-secret", "PRIVATE KEY"):
        assert secret.encode() not in stored
