"""The main job on Google Cloud's own protocols, in six production servers."""

from datetime import timedelta
from itertools import count

import pytest

import emulators
from google_cloud.deployment import Deployment, start_alone

TTL = timedelta(minutes=10)
NUMBERS = count(1)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    with emulators.firestore() as firestore, emulators.pubsub() as pubsub:
        state = tmp_path_factory.mktemp("deployment")
        deployment = Deployment(state, firestore=firestore, pubsub=pubsub)
        yield deployment
        deployment.stop()


@pytest.fixture
def send(deployment, request):
    """Send a message to a phone under an id of this test's."""

    def send(phone, **body):
        message = {"contentMessage": {"text": "Hello"}, "ttl": "600s", **body}
        name = f"{request.node.originalname}-{next(NUMBERS)}"
        path = f"/v1/phones/{phone}/agentMessages?messageId={name}"
        return deployment.ok("POST", path, message)["name"]

    return send


def test_an_online_phone_gets_rcs(deployment, send):
    """The receipt comes by webhook and Pub/Sub, and no SMS follows."""
    phone = "+15551230001"
    name = send(phone)
    deployment.elapse(timedelta(seconds=5))

    assert deployment.until_outcome(name) == "DELIVERED_RCS"
    deployment.elapse(TTL)
    assert deployment.texts(phone) == []


@pytest.mark.parametrize(
    ("policy", "phone"),
    [
        ("PROMPT", "+15551230101"),
        ("CONFIRMED", "+15551230102"),
        ("STRICT", "+15551230103"),
    ],
)
def test_an_offline_phone_gets_the_sms(deployment, send, policy, phone):
    """The expiry event comes by Pub/Sub, and `fallback` sends."""
    deployment.ok("PUT", f"/simulator/phones/{phone}", {"online": False})
    name = send(phone, fallback={"policy": policy})
    deployment.elapse(TTL + timedelta(seconds=10))

    assert deployment.until_outcome(name) == "DELIVERED_SMS"
    assert deployment.texts(phone) == ["Hello"]


def test_a_silent_platform_is_asked_by_the_watch(deployment, send):
    """The task rings `revoke`, which withdraws and hands over."""
    name = send("+15550199006")
    deployment.elapse(TTL + timedelta(seconds=10))

    assert deployment.until_outcome(name) == "DELIVERED_SMS"
    assert deployment.texts("+15550199006") == ["Hello"]


def test_a_late_receipt_ends_as_both(deployment, send):
    """DELIVERED after the SMS is told as what it is."""
    name = send("+15550199004", fallback={"policy": "PROMPT"})
    deployment.elapse(TTL + timedelta(seconds=10))
    assert deployment.until_outcome(name) == "DELIVERED_SMS"

    deployment.elapse(timedelta(seconds=100))
    assert deployment.outcome(name) == "DELIVERED_BOTH"


def test_a_cancelled_message_leaves_no_timer(deployment, send):
    """Cancelled before its deadline: neither RCS nor SMS, nor a ring."""
    phone = "+15551230003"
    deployment.ok("PUT", f"/simulator/phones/{phone}", {"online": False})
    name = send(phone)
    before = deployment.tasks.operations()

    assert deployment.ok("DELETE", f"/v1/{name}") == {}
    assert deployment.outcome(name) == "CANCELLED"
    assert (deployment.tasks.operations() - before)["DeleteTask"] == 1


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
def test_a_function_that_was_missing_for_a_while(deployment, send, dead, phone):
    """What it was called for waits in the queues, and happens when it is back."""
    already = len(deployment.texts(phone))
    deployment.ok("PUT", f"/simulator/phones/{phone}", {"online": False})
    name = send(phone)
    deployment.kill(dead)
    deployment.elapse(TTL - timedelta(seconds=1))
    deployment.clock.jump_to(deployment.clock.now() + timedelta(seconds=10))
    deployment.revive(dead)
    deployment.elapse(timedelta(minutes=30))

    assert deployment.until_outcome(name) == "DELIVERED_SMS"
    assert len(deployment.texts(phone)) == already + 1


def test_a_store_that_answers_nobody_costs_nothing_but_time(deployment, send):
    """No 200 for what is not stored; the same request works when it is back."""
    phone = "+15551230301"
    body = {"contentMessage": {"text": "Hello"}, "ttl": "600s"}
    path = f"/v1/phones/{phone}/agentMessages?messageId=paused"
    with deployment.firestore.paused():
        answer = deployment.call("POST", path, body)

    assert answer.status_code == 503
    assert answer.json()["error"]["status"] == "UNAVAILABLE"
    assert answer.headers["retry-after"]
    name = deployment.ok("POST", path, body)["name"]
    deployment.elapse(timedelta(seconds=5))
    assert deployment.until_outcome(name) == "DELIVERED_RCS"
    assert len(deployment.ok("GET", f"/simulator/phones/{phone}")["inbox"]) == 1


def test_a_bus_that_answers_nobody_loses_no_receipt(deployment, send):
    """The webhook answers no 200 for what is not published: the carrier comes again."""
    name = send("+15551230302")
    with deployment.pubsub.paused():
        deployment.clock.jump_to(deployment.clock.now() + timedelta(seconds=1))
        refused = deployment.refused("webhook")
    deployment.elapse(timedelta(minutes=5))

    assert refused
    assert deployment.until_outcome(name) == "DELIVERED_RCS"


def test_the_logs_are_quiet_about_people(deployment):
    """No text, no whole number, no token and no traceback in six servers' output."""
    for name in deployment.urls:
        log = deployment.log(name)
        for word in ("Hello", "+1555", "15551230", "Traceback", "local-client-secret"):
            assert word not in log, f"{name}: {word}"


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
