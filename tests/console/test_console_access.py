"""The console for everybody: axe finds nothing, and it is true at any width."""

import pytest

from console.conftest import Open, World

ANDROID, SMS_ONLY = "+15551230001", "+15551230003"
VIEWS = ("#/messages", "#/events", "#/events/dead", "#/carriers", "#/numbers")


def audit(page):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        (violation["id"], [node["html"][:120] for node in violation["nodes"]])
        for violation in found
    ]


def fill(world: World) -> None:
    card = {
        "title": "Table for two",
        "media": {"height": "TALL", "contentInfo": {"fileUrl": "https://e.org/a.gif"}},
        "suggestions": [{"reply": {"text": "Yes", "postbackData": "y"}}] * 2,
    }
    carousel = {"cardWidth": "MEDIUM", "cardContents": [card, card]}
    rich = {"richCard": {"carouselCard": carousel}}
    world.ok("PUT", f"/simulator/phones/{SMS_ONLY}", {"rcs": False})
    world.send(ANDROID, "rich", contentMessage=rich)
    world.send(SMS_ONLY, "plain")
    world.elapse(5)
    world.ok("PUT", f"/simulator/phones/{ANDROID}", {"online": False})
    world.send(ANDROID, "open")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(opened: Open, world: World, scheme: str):
    """Every view, an opened event and message, and the composer, in both themes."""
    fill(world)
    page = opened(color_scheme=scheme)
    page.get_by_role("listbox").get_by_role("option").first.click()
    page.locator("#why").wait_for()
    found = {"message": audit(page)}
    for view in VIEWS:
        page.evaluate("view => { location.hash = view; }", view)
        page.locator(f'nav [href^="{view[:6]}"][aria-current]').wait_for()
        found[view] = audit(page)
    page.evaluate("() => { location.hash = '#/events/callbacks/rbm-1'; }")
    page.locator(".proof").wait_for()
    found["proof"] = audit(page)
    page.keyboard.press("n")
    page.get_by_role("button", name="Carousel").click()
    found["composer"] = audit(page)

    assert {view: told for view, told in found.items() if told} == {}


@pytest.mark.parametrize("size", [(360, 740), (3840, 2160)], ids=["phone", "4K"])
def test_nothing_is_wider_than_the_window(
    opened: Open, world: World, size: tuple[int, int]
):
    """No view has to be pushed sideways."""
    fill(world)
    page = opened(f"#/messages/demo_agent/%2B{SMS_ONLY[1:]}/plain", size=size)
    page.locator("#why").wait_for()
    widths = {}
    for view in ("", *VIEWS, "#/events/callbacks/rbm-1"):
        if view:
            page.evaluate("view => { location.hash = view; }", view)
            page.locator(f'nav [href^="{view[:6]}"][aria-current]').wait_for()
        widths[view] = page.evaluate("document.documentElement.scrollWidth")
    page.keyboard.press("n")
    page.locator("#composer").wait_for()
    widths["composer"] = page.evaluate(
        "document.querySelector('#composer').scrollWidth"
    )

    assert {view: wide for view, wide in widths.items() if wide > size[0]} == {}
