"""Six production servers on Google's own protocols, and what may befall them."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from contracts.waiting import until
from google_cloud.conftest import LOOK
from google_cloud.servers import start_alone
from machine.bus import TRIES

PATIENCE = 60.0
DEADLINE = 606
BODY = {"contentMessage": {"text": "Your table is ready"}, "ttl": "600s"}


def until_outcome(world, sent):
    """Wait in real time: Pub/Sub's retries do not follow the message clock."""
    end = time.monotonic() + PATIENCE
    while (outcome := world.outcome(sent)) == "PENDING":
        assert time.monotonic() < end, "no outcome came about"
        time.sleep(LOOK)
    return outcome


def test_a_cancelled_message_leaves_no_timer(deployment):
    """Its task is deleted: it would ring for nothing."""
    phone = "+15551230003"
    deployment.phone(phone, online=False)
    sent = deployment.send(phone)

    assert deployment.ok("DELETE", f"/v1/{sent['name']}") == {}
    deployment.settle()
    assert deployment.outcome(sent) == "CANCELLED"
    assert deployment.ok("GET", "/simulator/timers") == {"timers": []}


@pytest.mark.parametrize(
    ("dead", "phone"),
    [
        ("fallback", "+15551230201"),
        ("record", "+15551230202"),
        ("revoke", "+15550199006"),
        ("webhook", "+15551230203"),
        ("sms_webhook", "+15551230204"),
    ],
)
def test_a_function_that_was_missing_for_a_while(deployment, dead, phone):
    """What it was called for waits in the queues, and happens when it is back."""
    if not phone.startswith("+15550199"):
        deployment.phone(phone, online=False)
    sent = deployment.send(phone)
    deployment.kill(dead)
    deployment.jump(DEADLINE)
    deployment.revive(dead)
    deployment.call("POST", "/simulator/clock", {"advance": "1800s"})

    assert until_outcome(deployment, sent) == "DELIVERED_SMS"
    assert len(deployment.inbox(phone, "SMS")) == 1


def test_the_oldest_timer_that_nobody_answers_is_told_of(deployment):
    """It is late by its own instant, however often Cloud Tasks puts it off."""
    sent = deployment.send("+15550199006")
    deployment.kill("revoke")
    deployment.jump(DEADLINE + 61)
    late = deployment.call("GET", "/simulator/clock").json()["oldestDueSeconds"]
    deployment.revive("revoke")
    deployment.call("POST", "/simulator/clock", {"advance": "1800s"})

    assert late > 30
    assert until_outcome(deployment, sent) == "DELIVERED_SMS"


def test_send_that_was_missing_knows_its_messages(deployment):
    """Another instance answers a repeat as the first one did."""
    first = deployment.send("+15551230205", name="twice")
    deployment.kill("send")
    path = "/v1/phones/+15551230205/agentMessages?messageId=twice"
    assert deployment.call("POST", path, BODY).status_code == 503
    deployment.revive("send")

    again = deployment.ok("POST", path, BODY)
    assert again["name"] == first["name"]
    assert len(deployment.inbox("+15551230205", "RCS")) == 1


def test_a_store_that_answers_nobody_costs_nothing_but_time(deployment):
    """No 200 for what is not stored; the same request works when it is back."""
    phone = "+15551230301"
    path = f"/v1/phones/{phone}/agentMessages?messageId=paused"
    with deployment.firestore.paused():
        answer = deployment.call("POST", path, BODY)

    assert answer.status_code == 503
    assert answer.json()["error"]["status"] == "UNAVAILABLE"
    assert answer.headers["retry-after"]
    sent = deployment.ok("POST", path, BODY)
    deployment.settle()
    assert until_outcome(deployment, sent) == "DELIVERED_RCS"
    assert len(deployment.inbox(phone, "RCS")) == 1


def test_a_bus_that_answers_nobody_loses_no_receipt(deployment):
    """The webhook answers no 200 for what is not published: the carrier comes again."""
    sent = deployment.send("+15551230302")
    deployment.listen()
    with deployment.pubsub.paused():
        deployment.jump(1)
        deployment.said("unavailable")
    deployment.call("POST", "/simulator/clock", {"advance": "300s"})

    assert until_outcome(deployment, sent) == "DELIVERED_RCS"


def test_a_store_cut_off_in_the_middle_is_waited_for(deployment):
    """Pushes and rings come again until the store is back."""
    phone = "+15551230303"
    deployment.phone(phone, online=False)
    sent = deployment.send(phone)
    deployment.listen()
    with deployment.to_firestore.severed():
        deployment.jump(DEADLINE)
        deployment.said("unavailable")
    deployment.call("POST", "/simulator/clock", {"advance": "1800s"})

    assert until_outcome(deployment, sent) == "DELIVERED_SMS"
    assert len(deployment.inbox(phone, "SMS")) == 1


@pytest.mark.parametrize("line", ["to_firestore", "to_pubsub"])
def test_connections_that_break_under_load(deployment, line):
    """Whatever got a 200 reaches its outcome, once; a 503 may be sent again."""
    proxy = getattr(deployment, line)
    phones = [f"+155512304{n:02}" for n in range(24)]
    for phone in phones[::2]:
        deployment.phone(phone, online=False)

    def accepted(phone):
        path = f"/v1/phones/{phone}/agentMessages?messageId={line}-{phone[-2:]}"
        for _ in range(20):
            answer = deployment.call("POST", path, BODY)
            if answer.status_code == 200:
                return answer.json()
            assert answer.status_code == 503, answer.text
        raise AssertionError("it was never accepted")

    with ThreadPoolExecutor(8) as callers:
        sending = [callers.submit(accepted, phone) for phone in phones]
        while not all(sent.done() for sent in sending):
            time.sleep(0.05)
            proxy.cut()
    # A create whose record was answered by nobody is begun anew by the watch.
    deployment.call("POST", "/simulator/clock", {"advance": "120s"})
    deployment.jump(DEADLINE)
    for _ in range(10):
        time.sleep(0.05)
        proxy.cut()
    deployment.call("POST", "/simulator/clock", {"advance": "1800s"})

    for phone, sent in zip(phones, sending, strict=True):
        offline = phone in phones[::2]
        wanted = "DELIVERED_SMS" if offline else "DELIVERED_RCS"
        assert until_outcome(deployment, sent.result()) == wanted
        assert len(deployment.inbox(phone, "SMS")) == offline
        assert len(deployment.inbox(phone, "RCS")) == (not offline)


def test_a_slow_line_is_no_failure(deployment):
    """A quarter of a second each way costs time, not messages."""
    phone = "+15551230305"
    deployment.phone(phone, online=False)
    with deployment.to_firestore.slow(0.25), deployment.to_pubsub.slow(0.25):
        sent = deployment.send(phone)
        deployment.call("POST", "/simulator/clock", {"advance": "1800s"})

        assert until_outcome(deployment, sent) == "DELIVERED_SMS"
    assert len(deployment.inbox(phone, "SMS")) == 1


def test_tasks_that_ring_twice_or_whose_answer_is_lost(deployment):
    """A ring is a question; asking it again changes nothing."""
    tasks = deployment.ground.tasks
    tasks.duplicate(True)
    tasks.lose_answers(3)
    try:
        sent = deployment.send("+15550199006")
        deployment.elapse(DEADLINE + 900)
    finally:
        tasks.duplicate(False)

    assert until_outcome(deployment, sent) == "DELIVERED_SMS"
    assert len(deployment.inbox("+15550199006", "SMS")) == 1


def test_a_push_that_comes_again_changes_nothing(deployment):
    """Every event so far, pushed once more to both subscribers."""
    phone = "+15551230306"
    deployment.phone(phone, online=False)
    sent = deployment.send(phone, policy="PROMPT")
    deployment.pass_deadline()
    assert until_outcome(deployment, sent) == "DELIVERED_SMS"
    before = deployment.look(sent)

    for event in deployment.events():
        message = {
            "messageId": event["id"],
            "attributes": event["attributes"],
            "data": event["dataBase64"],
        }
        for subscriber in ("fallback", "record"):
            deployment.ok("POST", f"/{subscriber}", {"message": message})
    deployment.settle()

    assert deployment.look(sent) == before
    assert len(deployment.inbox(phone, "SMS")) == 1


def test_a_push_that_nobody_takes_becomes_a_dead_letter(deployment):
    """It is told, kept, and replayed by hand; meanwhile time is not settled."""
    phone = "+15551230307"
    deployment.phone(phone, rcs=False)
    deployment.give_up_after(5)
    deployment.kill("record")
    sent = deployment.send(phone)
    moved = deployment.ok("POST", "/simulator/clock", {"advance": "60s"})
    assert moved["settled"] is False
    until(
        lambda: "backstop.sms.delivered" in dead(deployment),
        within=PATIENCE,
        pause=LOOK,
    )
    deployment.revive("record")
    deployment.give_up_after(TRIES)
    assert deployment.outcome(sent) == "PENDING"

    for letter in dead(deployment).values():
        assert letter["subscription"] == "record"
        deployment.ok("POST", f"/simulator/dead-letters/{letter['id']}:replay")
    assert until_outcome(deployment, sent) == "DELIVERED_SMS"
    assert dead(deployment) == {}


def dead(deployment):
    letters = deployment.ok("GET", "/simulator/dead-letters")["deadLetters"]
    return {letter["event"]["type"]: letter for letter in letters}


def test_one_trace_from_send_to_the_sms(deployment):
    """Through Cloud Tasks to `revoke`, and through Pub/Sub to `fallback`."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    sent = requests.post(
        f"{deployment.machine.url}/v1/phones/+15550199006/agentMessages",
        json=BODY,
        headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"},
        timeout=PATIENCE,
    ).json()
    deployment.pass_deadline()
    assert until_outcome(deployment, sent) == "DELIVERED_SMS"

    told = [json.loads(line) for line in deployment.heard().splitlines()]
    ours = [
        (line["message"], line["logging.googleapis.com/spanId"])
        for line in told
        if line["logging.googleapis.com/trace"]
        == f"projects/{deployment.ground.project}/traces/{trace}"
    ]
    assert {message for message, _span in ours} == {
        *("accepted", "step", "ring", "sms_request")
    }
    assert {span for _message, span in ours} == {"00f067aa0ba902b7"}
    (due,) = deployment.events("backstop.sms.due")
    assert trace in due["attributes"]["ce-traceparent"]


def test_the_logs_are_quiet_about_people(deployment):
    """No text, no whole number, no token and no traceback in six servers' output."""
    written = [deployment.log, *deployment.log.parent.glob("*.err")]
    log = "".join(file.read_text() for file in written)

    assert "accepted" in log
    for word in ("Your table", "+1555", "15551230", "local-client-secret"):
        assert word not in log
    assert "Traceback" not in log


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("send", ("AGENTS", "RBM_KEY")),
        ("webhook", ("RBM_CLIENT_TOKENS",)),
        ("fallback", ("BANDWIDTH_ACCOUNT", "BANDWIDTH_SECRET")),
    ],
)
def test_a_missing_setting_stops_the_start(name, missing):
    """All that is missing is named, before anyone is served."""
    status, said = start_alone(name, {"PLATFORM": "google"})

    assert status != 0
    for setting in missing:
        assert f"{setting} is missing" in said


def test_an_unknown_platform_stops_the_start():
    """Nothing is guessed."""
    status, said = start_alone("record", {"PLATFORM": "clouds"})

    assert status != 0
    assert "PLATFORM clouds is not google" in said
