"""The page shows both documents, by itself."""

from collections import Counter
from html.parser import HTMLParser

import pytest

from documents.reader import Document
from machine.documents import catalogue, openapi, page

API = Document(openapi.document())
EVENTS = catalogue.document()["events"]
UNCLOSED = {"meta", "link", "br", "li"}
SERVED = {
    "/openapi.json": "application/json",
    "/events.json": "application/json",
    "/docs": "text/html; charset=utf-8",
    "/docs.css": "text/css; charset=utf-8",
}


class Page(HTMLParser):
    """What stands on the page: elements, anchors, and where its links go."""

    def __init__(self, text):
        super().__init__()
        self.open = []
        self.tags = Counter()
        self.ids = Counter()
        self.links = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        if tag not in UNCLOSED:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids[value] += 1
            if name in {"href", "src"}:
                self.links.append(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def text(call):
    return call("GET", "/docs").raw.decode()


@pytest.fixture(scope="module")
def shown(text):
    return Page(text)


@pytest.mark.parametrize("path", SERVED)
def test_it_is_served(call, path):
    answer = call("GET", path)

    assert (answer.status, answer.headers["content-type"]) == (200, SERVED[path])
    assert call("POST", path).status == 405


def test_what_is_served_is_what_is_made(call):
    assert call("GET", "/openapi.json").json == API.whole
    assert call("GET", "/events.json").json["events"] == EVENTS


def test_every_element_is_closed(shown):
    assert shown.open == []


def test_everything_has_its_one_anchor(shown):
    wanted = {*API.operations, *(event["name"] for event in EVENTS)}
    wanted |= {f"schema-{name}" for name in API.whole["components"]["schemas"]}

    assert wanted <= shown.ids.keys()
    assert set(shown.ids.values()) == {1}


def test_every_link_leads_somewhere_here(shown):
    anchors = {f"#{name}" for name in shown.ids}
    assert set(shown.links) - anchors <= SERVED.keys()


def test_it_needs_no_script(shown, call):
    assert shown.tags["script"] == 0
    policy = call("GET", "/docs").headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'")


def test_every_command_goes_to_this_machine(call, text):
    url = f"http://127.0.0.1:{call.port}"
    made = page.render(API.whole, catalogue.document(), url=url)

    assert text == made
    assert text.count("<code>curl ") == len(API.operations)
