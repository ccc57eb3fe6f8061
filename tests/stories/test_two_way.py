"""What the user says back, on either channel, and what it does."""

from typing import Any

import pytest

from stories.world import World

PHONE = "+15551230001"
CAROUSEL = {
    "richCard": {
        "carouselCard": {
            "cardWidth": "MEDIUM",
            "cardContents": [
                {
                    "title": "Tuesday",
                    "description": "10:00 with Kim",
                    "suggestions": [
                        {"reply": {"text": "Take Tuesday", "postbackData": "day:2"}}
                    ],
                },
                {
                    "title": "Friday",
                    "description": "16:30 with Lee",
                    "suggestions": [
                        {"reply": {"text": "Take Friday", "postbackData": "day:5"}},
                        {
                            "action": {
                                "text": "See the place",
                                "postbackData": "map",
                                "openUrlAction": {"url": "https://example.com/map"},
                            }
                        },
                    ],
                },
            ],
        }
    },
    "suggestions": [{"reply": {"text": "Neither", "postbackData": "none"}}],
}
MENU = """\
Tuesday
10:00 with Kim
1 Take Tuesday

Friday
16:30 with Lee
See the place: https://example.com/map
2 Take Friday

3 Neither"""


def offer(world: World, phone: str = PHONE) -> Any:
    """Send the carousel to a phone that has no RCS, by SMS then."""
    world.phone(phone, rcs=False)
    sent = world.send(phone, contentMessage=CAROUSEL, messageTrafficType="TRANSACTION")
    world.settle()
    return sent


def history(world: World, sent: Any) -> list[str]:
    return [event["type"] for event in world.delivery(sent)["events"]]


def test_a_carousel_reads_well_as_text(world: World):
    """Cards one after the other, replies numbered over all of them."""
    sent = offer(world)

    assert world.inbox(PHONE, "SMS") == [MENU]
    assert sent["fallback"]["replies"][1] == {
        "number": 2,
        "text": "Take Friday",
        "postbackData": "day:5",
    }
    assert sent["fallback"]["encoding"] == "GSM-7"
    assert sent["fallback"]["segments"] == world.delivery(sent)["sms"]["segments"]


@pytest.mark.parametrize("said", ["2", "take friday!", "2."])
def test_a_texted_choice_is_the_tap_it_stands_for(world: World, said: str):
    """Same type, same postback, its channel and its cause told."""
    sent = offer(world)
    world.says(PHONE, text=said, channel="SMS")
    world.settle()

    (tap,) = world.events("backstop.rcs.suggestion")
    (texted,) = world.events("backstop.sms.received")
    assert tap["data"]["suggestionResponse"] == {
        "postbackData": "day:5",
        "text": "Take Friday",
        "type": "REPLY",
    }
    assert tap["attributes"]["channel"] == "SMS"
    assert tap["attributes"]["causedBy"] == texted["id"]
    assert tap["attributes"]["messageId"] == sent["name"].rpartition("/")[2]
    # Two events, in whichever order the bus brings them.
    recorded = {"backstop.sms.received", "backstop.rcs.suggestion"}
    assert set(history(world, sent)[-2:]) == recorded


def test_an_ordinary_text_stays_one(world: World):
    """What is not on the menu is no tap."""
    sent = offer(world)
    world.says(PHONE, text="2 pm works for me", channel="SMS")
    world.settle()

    assert world.events("backstop.rcs.suggestion") == []
    assert history(world, sent)[-1] == "backstop.sms.received"


def test_a_menu_ends(world: World):
    """After a day a number is a number again."""
    offer(world)
    world.elapse(25 * 3600)
    world.says(PHONE, text="2", channel="SMS")
    world.settle()

    assert world.events("backstop.rcs.suggestion") == []


def test_a_menu_belongs_to_the_last_message(world: World):
    """A later SMS without choices ends the one before."""
    offer(world)
    world.send(PHONE, "Your table is ready")
    world.settle()
    world.says(PHONE, text="2", channel="SMS")
    world.settle()

    assert world.events("backstop.rcs.suggestion") == []


def test_a_menu_belongs_to_its_recipient(world: World):
    """Somebody else's 2 is nobody's tap."""
    offer(world)
    world.says("+15551230002", text="2", channel="SMS")
    world.settle()

    assert world.events("backstop.rcs.suggestion") == []


REPLIES = {
    "text": {"text": "Thank you"},
    "suggestion": {"suggestion": {"postbackData": "good"}},
    "file": {"file": {"fileUri": "https://example.com/a.png", "fileName": "a.png"}},
    "location": {"location": {"latitude": 37.4, "longitude": -122.1}},
}


@pytest.mark.parametrize("kind", REPLIES)
def test_a_reply_is_recorded_with_the_message_it_answers(world: World, kind: str):
    """Published once, and once in GET."""
    chips = [{"reply": {"text": "Good", "postbackData": "good"}}]
    content = {"text": "How was it?", "suggestions": chips}
    sent = world.send(PHONE, contentMessage=content)
    world.settle()
    world.says(PHONE, **REPLIES[kind])
    world.settle()

    assert len(world.events(f"backstop.rcs.{kind}")) == 1
    assert history(world, sent).count(f"backstop.rcs.{kind}") == 1


def test_a_reply_repeated_by_the_carrier_is_recorded_once(world: World):
    """Every copy carries the same id."""
    world.carrier("rbm", duplicate=True)
    sent = world.send(PHONE)
    world.settle()
    world.says(PHONE, text="Thank you")
    world.settle()

    texts = world.events("backstop.rcs.text")
    assert len(texts) == 2
    assert len({event["id"] for event in texts}) == 1
    assert history(world, sent).count("backstop.rcs.text") == 1


@pytest.mark.parametrize("wish", ["OPTED_OUT", "OPTED_IN"])
def test_the_app_may_record_a_choice(world: World, wish: str):
    """PUT consent does what the user's own word does, and says so."""
    path = f"/v1/phones/{PHONE}/consent"
    assert world.ok("GET", path)["state"] == "UNKNOWN"

    told = world.ok("PUT", path, {"state": wish})

    assert told == world.ok("GET", path)
    assert told["state"] == wish
    assert told["channel"] == "APP"
    assert [change["state"] for change in told["history"]] == [wish]
    answer = world.call(
        "POST",
        f"/v1/phones/{PHONE}/agentMessages",
        {"contentMessage": {"text": "Sale"}, "messageTrafficType": "PROMOTION"},
    )
    assert answer.status_code == (400 if wish == "OPTED_OUT" else 200)


def test_a_near_miss_is_for_a_person_to_read(world: World):
    """Neither taken as an opt-out nor lost."""
    world.says(PHONE, text="please stop texting me", channel="SMS")
    world.settle()

    (review,) = world.events("backstop.consent.review")
    assert review["data"]["text"] == "please stop texting me"
    assert world.ok("GET", f"/v1/phones/{PHONE}/consent")["state"] == "UNKNOWN"


def test_twins_are_counted_once(world: World):
    """UNSUBSCRIBE comes with its keyword text: one change in the history."""
    world.says(PHONE, event="UNSUBSCRIBE")
    world.settle()

    assert len(world.events("backstop.rcs.unsubscribed")) == 1
    told = world.ok("GET", f"/v1/phones/{PHONE}/consent")
    assert told["state"] == "OPTED_OUT"
    assert len(told["history"]) == 1


def test_stop_by_sms_stops_rcs(world: World):
    """The number's word counts for the agent that uses it."""
    world.send(PHONE, "Hello", messageTrafficType="TRANSACTION")
    world.says(PHONE, text="Stop.", channel="SMS")
    world.settle()

    answer = world.call(
        "POST",
        f"/v1/phones/{PHONE}/agentMessages",
        {"contentMessage": {"text": "Sale"}, "messageTrafficType": "PROMOTION"},
    )
    assert answer.status_code == 400
    history = world.ok("GET", f"/v1/phones/{PHONE}/consent")["history"]
    assert history[0]["wording"] == "Stop."
    assert history[0]["channel"] == "SMS"


def test_validate_only_sends_nothing(world: World):
    """The three faces of a message, without a message."""
    path = f"/v1/phones/{PHONE}/agentMessages?messageId=draft&validateOnly=true"
    body = {"contentMessage": {"text": "Grüße, 3 €"}, "messageTrafficType": "PROMOTION"}

    shown = world.ok("POST", path, body)

    assert shown["rcsLength"] == len("Grüße, 3 €".encode())
    assert shown["fallback"]["text"].endswith("Reply STOP to opt out")
    assert shown["fallback"]["encoding"] == "GSM-7"
    assert "delivery" not in shown
    assert world.call("GET", f"/v1/{shown['name']}").status_code == 404
    assert world.ok("GET", "/simulator/timers") == {"timers": []}


def test_what_forces_ucs_2_is_named(world: World):
    """One character may double the price."""
    path = f"/v1/phones/{PHONE}/agentMessages?validateOnly=true"
    shown = world.ok("POST", path, {"contentMessage": {"text": "Ready ✓ " + "x" * 80}})

    assert shown["fallback"]["encoding"] == "UCS-2"
    assert shown["fallback"]["forcedBy"] == ["✓"]
    assert shown["fallback"]["segments"] == 2
