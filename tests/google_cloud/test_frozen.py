"""An instance gets no processor after its answer, and a platform may stop and go on."""

import json
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from google_cloud.test_deployed import until_outcome
from machine.bus import FILTERS
from machine.emulators import free_port
from machine.servers import Server

BODY = {"contentMessage": {"text": "Your table is ready"}, "ttl": "600s"}
PAUSES = 4


@contextmanager
def frozen_after_its_answer(ground, name):
    """Stop a function's process as soon as it has answered once; another goes on."""
    server = ground._servers[name]
    other = Server(name, free_port(), server._state, server._environ)
    ground._leash.hold(other.spawn())
    other.wait()
    call, first, frozen = server.call, threading.Lock(), threading.Event()

    def answer_and_freeze(request, body):
        # The emulator filters nothing: what a function need not do, proves nothing.
        if name in FILTERS:
            kind = json.loads(body)["message"]["attributes"].get("kind")
            if kind not in FILTERS[name]:
                return other.call(request, body)
        if not first.acquire(blocking=False):
            return other.call(request, body)
        answer = call(request, body)
        os.killpg(server._process.pid, signal.SIGSTOP)
        frozen.set()
        return answer

    server.call = answer_and_freeze
    try:
        yield frozen
    finally:
        del server.call
        os.killpg(server._process.pid, signal.SIGCONT)
        other.kill()


@pytest.mark.parametrize(
    ("name", "phone"),
    [
        ("send", "+15551230501"),
        ("webhook", "+15551230502"),
        ("sms_webhook", "+15551230503"),
        ("revoke", "+15550199006"),
        ("fallback", "+15551230504"),
        ("record", "+15551230505"),
    ],
)
def test_nothing_is_left_for_after_the_answer(deployment, name, phone):
    """All that an answer promised happens through other processes."""
    if not phone.startswith("+15550199"):
        deployment.phone(phone, online=False)
    with frozen_after_its_answer(deployment.ground, name) as frozen:
        sent = deployment.send(phone)
        deployment.jump(606)
        deployment.call("POST", "/simulator/clock", {"advance": "1800s"})

        assert until_outcome(deployment, sent) == "DELIVERED_SMS"
        assert frozen.is_set()
    assert len(deployment.inbox(phone, "SMS")) == 1


def test_emulators_that_stop_and_go_on_under_load(deployment):
    """Whatever got a 200 reaches its outcome, once; what got none is sent again."""
    phones = [f"+15551206{n:03}" for n in range(24)]
    for phone in phones[::2]:
        deployment.phone(phone, online=False)

    def accepted(phone):
        path = f"/v1/phones/{phone}/agentMessages?messageId=stop-{phone[-3:]}"
        for _ in range(30):
            answer = deployment.call("POST", path, BODY)
            if answer.status_code == 200:
                return answer.json()
            assert answer.status_code == 503, answer.text
        raise AssertionError("it was never accepted")

    with ThreadPoolExecutor(6) as callers:
        sending = [callers.submit(accepted, phone) for phone in phones]
        for emulator in (deployment.firestore, deployment.pubsub) * (PAUSES // 2):
            with emulator.paused():
                time.sleep(0.3)
            time.sleep(0.1)
        sent = [work.result() for work in sending]
    deployment.jump(606)
    for emulator in (deployment.firestore, deployment.pubsub):
        with emulator.paused():
            time.sleep(0.3)
    deployment.call("POST", "/simulator/clock", {"advance": "1800s"})

    for phone, message in zip(phones, sent, strict=True):
        offline = phone in phones[::2]
        wanted = "DELIVERED_SMS" if offline else "DELIVERED_RCS"
        assert until_outcome(deployment, message) == wanted
        assert len(deployment.inbox(phone, "SMS")) == offline
        assert len(deployment.inbox(phone, "RCS")) == (not offline)
