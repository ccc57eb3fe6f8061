"""What is published is what the catalogue says."""

import json
from pathlib import Path

import pytest

from backstop.domain.event import CATALOGUE, Kind, read_attributes
from documents.reader import check, closed
from entrypoints.caller import basic, envelope, sign
from machine.documents import catalogue
from machine.documents.payloads import BANDWIDTH, RBM
from stories.test_two_way import CAROUSEL
from stories.world import VIRTUAL, World

FIXTURES = Path(__file__).parent.parent / "fixtures"
EVENTS = {event["name"]: event for event in catalogue.document()["events"]}
TYPES = pytest.mark.parametrize("kind", CATALOGUE.values(), ids=lambda kind: kind.name)
RECORDED = {
    "sms.unknown": "bandwidth/read",
    **{
        f"{family}.{path.stem}": f"{folder}/{path.stem}"
        for family, folder in (("rcs", "rbm"), ("sms", "bandwidth"))
        for path in (FIXTURES / folder).iterdir()
        if path.stem != "read" or family == "rcs"
    },
}


def check_event(attributes, data):
    entry = EVENTS[attributes["ce-type"]]
    ours = entry["kind"] in {Kind.OUTCOME, Kind.DUE} or "consent" in entry["name"]
    check(closed(entry["attributes"]), attributes)
    # A carrier may say more than is known of it.
    check(closed(entry["data"]) if ours else entry["data"], data)


def test_the_catalogue_is_complete():
    assert list(EVENTS) == list(CATALOGUE)


@TYPES
def test_the_example_is_an_event_as_it_is_published(kind):
    event = catalogue.example(kind)
    shown = EVENTS[kind.name]["example"]

    check_event(shown["attributes"], shown["data"])
    assert shown == {"attributes": event.attributes(), "data": json.loads(event.data)}
    assert event.type is kind
    assert read_attributes(event.attributes(), event.data) == event


@pytest.mark.parametrize("name", RECORDED)
def test_the_example_is_what_was_recorded(name):
    payloads = {kind.name: payload for kind, payload in (RBM | BANDWIDTH).items()}
    recorded = json.loads((FIXTURES / f"{RECORDED[name]}.json").read_text())

    whole = recorded[0] if isinstance(recorded, list) else recorded
    assert payloads[f"backstop.{name}"] == whole


@pytest.fixture(scope="module")
def world(local, tmp_path_factory):
    world = World(local, VIRTUAL, "confirming", tmp_path_factory.mktemp("log"))
    yield world
    world.close()


@pytest.fixture(scope="module")
def published(world, call):
    """All that is published in a few lives of messages."""
    send_everywhere(world)
    withdraw(world)
    say_everything(world)
    for payload in (RBM[kind] for kind in RBM if kind.kind in NOT_SIMULATED):
        raw = json.dumps(payload).encode()
        headers = {"X-Goog-Signature": sign(raw)}
        assert call("POST", "/webhook", envelope(raw), headers).status == 200
    (unknown,) = (BANDWIDTH[kind] for kind in BANDWIDTH if kind.kind is Kind.UNKNOWN)
    credentials = {"Authorization": basic()}
    assert call("POST", "/sms_webhook", [unknown], credentials).status == 200
    world.settle()
    return world.machine.ground.newest_events(1000)


NOT_SIMULATED = {Kind.UNKNOWN, Kind.NOTICE}


def send_everywhere(world):
    """Each reserved number whose messages end in its own way, past all deadlines."""
    for last in ("00", "02", "03", "04", "07", "13", "14", "20", "24", "29", "30"):
        metadata = {"metadata": {"order": last}, "messageTrafficType": "TRANSACTION"}
        world.send(f"+155501990{last}", name=f"to-{last}", **metadata)
    world.pass_grace()
    world.elapse(VIRTUAL.receipt_wait)


def withdraw(world):
    offline = "+15551230005"
    world.phone(offline, online=False)
    cancelled, acknowledged = world.send(offline), world.send(offline)
    world.send(offline, messageTrafficType="PROMOTION")
    world.ok("DELETE", f"/v1/{cancelled['name']}")
    world.ok("POST", f"/v1/{acknowledged['name']}:acknowledge")
    world.ok("PUT", f"/v1/phones/{offline}/consent", {"state": "OPTED_OUT"})
    world.settle()


def say_everything(world):
    by_rcs, by_sms = "+15551230006", "+15551230007"
    world.carrier("bandwidth", messageSent=True)
    chips = [{"reply": {"text": "Good", "postbackData": "good"}}]
    asked = {"text": "How was it?", "suggestions": chips}
    sent = world.send(by_rcs, contentMessage=asked)
    world.settle()
    for said in (
        {"suggestion": {"postbackData": "good"}},
        {"text": "Thank you"},
        {"file": {"fileUri": "https://example.com/a.png", "fileName": "a.png"}},
        {"location": {"latitude": 37.4, "longitude": -122.1}},
        {"event": "IS_TYPING"},
        {"event": "UNSUBSCRIBE"},
        {"event": "SUBSCRIBE"},
        {"text": "please stop texting me"},
    ):
        world.says(by_rcs, **said)
        world.settle()
    assert world.delivery(sent)["rcs"]["state"] in {"DELIVERED", "READ"}
    world.phone(by_sms, rcs=False)
    world.send(by_sms, contentMessage=CAROUSEL, messageTrafficType="TRANSACTION")
    world.settle()
    world.says(by_sms, text="2", channel="SMS")
    # The answer is to the menu of the last SMS: another has none.
    world.settle()
    world.send(by_sms, fallback={"media": ["https://example.com/a.png"]})
    world.settle()


def test_every_event_has_the_form_that_is_said(published):
    assert len(published) > 50
    for event in published:
        check_event(event.attributes, json.loads(event.data))


def test_every_type_was_published(published):
    assert {event.attributes["ce-type"] for event in published} == set(EVENTS)


def test_a_texted_tap_names_its_cause(published):
    taps = [e for e in published if e.attributes.get("causedBy")]
    assert {e.attributes["channel"] for e in taps} == {"RCS", "SMS"}
