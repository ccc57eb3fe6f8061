"""The console in a real browser, as somebody meets it who has read nothing."""

import re

import pytest
from starlette.responses import Response

from console.conftest import Open, World

ANDROID, IPHONE, SMS_ONLY = "+15551230001", "+15551230002", "+15551230003"
CHIPS = [
    {"reply": {"text": "I am coming", "postbackData": "yes"}},
    {"reply": {"text": "Cancel it", "postbackData": "no"}},
]


def expect(locator):
    from playwright.sync_api import expect

    return expect(locator)


def phone(page, number):
    return page.locator(f'[data-phone="{number}"]')


def test_a_newcomer_sees_a_message_fall_back_and_why(opened: Open, world: World):
    """Two clicks on a page that nobody has explained."""
    page = opened()
    page.get_by_role("button", name="Show me").click()
    expect(page.locator("#why")).to_contain_text("Backstop waits for the phone")
    page.get_by_role("button", name="Past the deadline", exact=True).click()

    expect(page.locator("#why")).to_contain_text("Delivered by SMS")
    expect(page.locator("#why")).to_contain_text("RBM confirmed that it withdrew")
    thread = phone(page, ANDROID).locator(".thread.sms")
    expect(thread).to_contain_text("Your parcel arrives today")
    expect(page.locator(".timeline li").last).to_contain_text("delivered by SMS")
    assert world.ok("GET", "/simulator/numbers")["fellBack"] == 1


def test_a_message_is_written_and_falls_back(opened: Open, world: World):
    """To an offline phone, by form; the clock jumps past the deadline."""
    world.ok("PUT", f"/simulator/phones/{ANDROID}", {"online": False})
    page = opened()
    page.keyboard.press("n")
    page.locator("#to").fill(ANDROID)
    page.get_by_label("Text", exact=True).fill("Two tables are ready")
    page.locator("#send").click()
    expect(page.locator("#detail h2")).to_contain_text("Two tables are ready")
    expect(phone(page, ANDROID)).to_contain_text("no data")
    page.get_by_text("Jump", exact=True).click()
    page.get_by_label("Let pass").fill("2m")
    page.get_by_label("Let pass").press("Enter")

    expect(phone(page, ANDROID).locator(".thread.sms")).to_contain_text("Two tables")
    expect(page.locator("#why")).to_contain_text("Delivered by SMS")


def test_errors_of_the_api_stand_at_the_field(opened: Open):
    """What the API says of a field is said beside it."""
    page = opened()
    page.keyboard.press("n")
    page.locator("#ttl").fill("soon")
    page.locator("#send").click()

    field = page.locator('[data-field="ttl"]')
    expect(field.locator(".error")).to_contain_text("must be a duration")
    expect(page.locator("#ttl")).to_have_attribute("aria-invalid", "true")


def test_every_kind_of_content_can_be_written(opened: Open, world: World):
    """What the form offers is accepted as it stands, and shown on the phone."""
    page = opened()
    for sent, kind in enumerate(("Card", "Carousel", "JSON"), start=1):
        page.keyboard.press("n")
        page.get_by_role("button", name=kind, exact=True).click()
        expect(page.locator(".face-shown.iphone .card").first).to_be_visible()
        page.locator("#send").click()
        expect(page.locator("#composer")).to_have_count(0)
        world.elapse(1)
        expect(phone(page, ANDROID).locator(".thread.rcs .theirs")).to_have_count(sent)


def test_the_sms_is_previewed(opened: Open, world: World):
    """What it will say, how large it is and why, before anything is sent."""
    page = opened()
    page.keyboard.press("n")
    page.get_by_label("Text", exact=True).fill("Zażółć gęślą jaźń")

    expect(page.locator("#sms-face")).to_contain_text("jaźń")
    expect(page.locator("#sms-face")).to_contain_text("1 I am coming")
    expect(page.locator("#sms-size")).to_contain_text(
        "1 segment · UCS-2 · because of “ż”"
    )
    assert world.ok("GET", "/simulator/messages")["messages"] == []


def test_a_chip_is_tapped(opened: Open, world: World):
    """The owner's tap goes to the agent, and the chips go away."""
    content = {"text": "Your table is ready", "suggestions": CHIPS}
    world.send(ANDROID, "chips", contentMessage=content)
    world.elapse(1)
    page = opened()
    page.get_by_role("button", name="I am coming").click()

    expect(page.locator(".thread .mine")).to_contain_text("I am coming")
    expect(page.get_by_role("button", name="I am coming")).to_have_count(0)
    page.get_by_role("link", name="Events").click()
    expect(page.get_by_role("option", name="The user tapped")).to_have_count(1)
    (tapped,) = [e for e in world.events() if e["type"] == "backstop.rcs.suggestion"]
    assert tapped["data"]["suggestionResponse"]["postbackData"] == "yes"


def test_the_two_systems_show_suggestions_differently(opened: Open, world: World):
    """On Android chips go with the next words; on the iPhone they stay a list."""
    for number, system in ((ANDROID, "android"), (IPHONE, "iphone")):
        world.ok("PUT", f"/simulator/phones/{number}", {"system": system})
        content = {"text": "Your table is ready", "suggestions": CHIPS}
        world.send(number, f"first-{system}", contentMessage=content)
        world.elapse(1)
        world.send(number, f"second-{system}")
        world.elapse(1)
    page = opened(size=(2000, 900))

    expect(phone(page, IPHONE).locator(".list .reply")).to_have_count(2)
    expect(phone(page, ANDROID).locator(".theirs")).to_have_count(2)
    expect(phone(page, ANDROID).locator(".chip")).to_have_count(0)


def test_the_owner_unsubscribes(opened: Open, world: World):
    """By the phone's own menu; a promotion is refused from then on, and said to be."""
    world.send(ANDROID, "hello")
    world.elapse(1)
    page = opened()
    menu = phone(page, ANDROID).locator(".head .menu")
    menu.locator("summary").click()
    menu.get_by_text("Unsubscribe").click()
    expect(page.locator(".thread .mine")).to_contain_text("STOP")
    world.elapse(1)
    page.keyboard.press("n")
    page.get_by_label("Kind of message", exact=True).select_option("PROMOTION")
    page.locator("#send").click()

    expect(page.locator("#composer").get_by_role("alert")).to_contain_text("opted out")


def test_a_dead_letter_is_replayed(
    opened: Open, world: World, monkeypatch: pytest.MonkeyPatch
):
    """What a broken subscriber would not take is taken once it works again."""

    async def broken(_request):
        return Response(status_code=500)

    with monkeypatch.context() as patch:
        patch.setitem(world.machine.ground.entries, "record", broken)
        world.send(ANDROID, "stuck", ttl="172800s")
        world.elapse(7200)
    assert world.outcome(ANDROID, "stuck") == "PENDING"
    page = opened("#/events/dead")
    page.get_by_role("option").first.click()
    page.locator("#replay").click()

    expect(page.get_by_role("option")).to_have_count(1)
    page.get_by_role("option").first.click()
    page.locator("#replay").click()
    expect(page.get_by_text("every event was taken")).to_be_visible()
    world.elapse(1)
    assert world.outcome(ANDROID, "stuck") == "DELIVERED_RCS"


def test_a_forged_call_is_seen_to_be_refused(opened: Open, world: World):
    """A carrier's call shows both digests; a forged one is answered 401."""
    world.send(ANDROID, "signed")
    world.elapse(1)
    page = opened("#/events/callbacks")
    page.get_by_role("option").first.click()
    expect(page.locator(".proof")).to_contain_text("Believed")
    before = len(world.events())
    page.get_by_role("button", name="Resend with a forged proof").click()
    expect(page.get_by_role("option", name="refused")).to_have_count(1)
    page.get_by_role("option", name="refused").click()

    expect(page.locator(".proof")).to_contain_text("Refused")
    expect(page.locator(".proof dl")).to_contain_text("401")
    assert len(world.events()) == before


def test_a_link_shows_its_message(opened: Open, world: World):
    """Whoever is sent the address sees the same message, and an event its bytes."""
    world.send(ANDROID, "linked")
    world.elapse(1)
    world.send(SMS_ONLY, "newer")
    page = opened(f"#/messages/demo_agent/%2B{ANDROID[1:]}/linked")

    expect(page.locator("#why")).to_contain_text("Delivered by RCS")
    page.locator(".timeline a").first.click()
    expect(page.locator("#event h2")).to_contain_text("backstop.rcs.")
    expect(page.locator("#event")).to_contain_text("X-Goog-Signature")


def test_what_happens_comes_into_view(opened: Open, world: World):
    """Another program sends: its message, and its phone, come to the front."""
    page = opened()
    expect(phone(page, ANDROID)).to_be_visible()
    world.send(SMS_ONLY, "elsewhere", contentMessage={"text": "Gate B12"})
    expect(page.locator("#detail h2")).to_contain_text("Gate B12")
    world.elapse(1)

    expect(phone(page, SMS_ONLY).locator(".thread.sms")).to_contain_text("Gate B12")


def test_markup_in_a_message_is_text(opened: Open, world: World):
    """Nothing that a message says becomes part of the page."""
    words = "<img src=x onerror=alert(1)><b>bold</b>"
    world.send(ANDROID, "markup", contentMessage={"text": words})
    world.elapse(1)
    page = opened(f"#/messages/demo_agent/%2B{ANDROID[1:]}/markup")

    expect(page.locator(".thread.rcs .bubble")).to_have_text(words)
    expect(page.locator("#detail h2")).to_have_text(words)
    world.ok("PUT", f"/simulator/phones/{ANDROID}", {"rcs": False})
    world.send(ANDROID, "markup-2", contentMessage={"text": words})
    world.elapse(1)
    expect(page.locator(".thread.sms .bubble")).to_have_text(words)
    assert page.locator("main img").count() == 0


def test_the_keyboard_is_enough(opened: Open, world: World):
    """Views, the list and the clock are reached without a mouse."""
    for number in range(3):
        world.send(ANDROID, f"key-{number}", contentMessage={"text": f"No. {number}"})
        world.elapse(1)
    page = opened()
    expect(page.locator("#detail h2")).to_have_text("No. 2")
    page.get_by_role("listbox").focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page.locator("#detail h2")).to_have_text("No. 0")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.locator("#detail h2")).to_have_text("No. 1")
    page.keyboard.press("4")
    expect(page.get_by_role("heading", name="Numbers")).to_be_visible()
    page.keyboard.press("p")
    expect(page.get_by_role("button", name="Real time")).to_have_attribute(
        "aria-pressed", "true"
    )


def test_the_next_timer_is_a_click_away(opened: Open, world: World):
    """The clock jumps to what is due, and says what that is."""
    world.ok("PUT", f"/simulator/phones/{ANDROID}", {"online": False})
    world.send(ANDROID, "timed", ttl="86400s", fallback={"policy": "CONFIRMED"})
    page = opened()
    expect(page.locator(".timeline .next").first).to_contain_text("The deadline")
    page.locator("#next-timer").click()

    expect(page.locator("#why")).to_contain_text("Delivered by SMS")


def test_a_thousand_messages_are_a_few_rows(opened: Open, world: World):
    """Only what is in view is in the document, at the end of the list as well."""
    page = opened()
    told = [
        {
            "name": f"phones/{ANDROID}/agentMessages/many-{number}",
            "agentId": "demo_agent",
            "sendTime": "2026-11-20T12:00:00Z",
            "text": f"No. {number}",
            "steps": 2,
            "outcome": "DELIVERED_RCS",
            "policy": "CONFIRMED",
            "rule": "delivered",
            "deadline": "2026-11-20T12:01:00Z",
            "rcs": {"state": "READ", "at": "2026-11-20T12:00:01Z"},
        }
        for number in range(1000)
    ]
    page.route(
        re.compile("/simulator/messages"),
        lambda route: route.fulfill(json={"messages": told}),
    )
    world.ok("PUT", f"/simulator/phones/{ANDROID}", {"reads": False})
    expect(page.locator("#count")).to_have_text("1000 messages")
    page.get_by_role("listbox").focus()
    page.keyboard.press("End")

    expect(page.get_by_role("option", name="No. 999")).to_be_visible()
    assert page.get_by_role("option").count() < 60


def test_numbers_are_drawn(opened: Open, world: World):
    """Shares and times of what was sent."""
    world.send(ANDROID, "by-rcs")
    world.ok("PUT", f"/simulator/phones/{SMS_ONLY}", {"rcs": False})
    world.send(SMS_ONLY, "by-sms")
    world.send(SMS_ONLY, "by-sms-2")
    world.elapse(5)
    page = opened("#/numbers")

    told = world.ok("GET", "/simulator/numbers")
    assert told["reached"]["count"] == told["messages"] == 3
    fallbacks = page.locator("#numbers .box").filter(has_text="Fallback share")
    expect(fallbacks).to_contain_text("67 %")
    chart = page.get_by_role("img", name="Outcomes.")
    expect(chart).to_have_accessible_name(
        "Outcomes. Delivered by SMS: 2, Delivered by RCS: 1"
    )


def test_consent_stands_on_the_timeline(opened: Open, world: World):
    """What was known when it was checked, and what the recipient said since."""
    world.send(ANDROID, "asked")
    world.elapse(3)
    path = f"/simulator/phones/{ANDROID}/messages"
    world.ok("POST", path, {"event": "UNSUBSCRIBE"})
    world.elapse(1)
    page = opened(f"#/messages/demo_agent/%2B{ANDROID[1:]}/asked")

    timeline = page.get_by_role("list", name="What happened")
    expect(timeline).to_contain_text("Consent is checked: nothing is recorded")
    expect(timeline.get_by_role("listitem").last).to_contain_text("opts out")
