"""The limits in the document are the code's."""

import copy
import itertools

import pytest

from backstop.providers.rbm import content
from documents.limits import tries
from documents.reader import Document
from machine.documents import openapi

WHOLE = openapi.document()
SCHEMAS = {
    "SendRequest": ("POST", "sendMessage"),
    "AgentEventRequest": ("POST", "sendEvent"),
    "ConsentRequest": ("PUT", "putConsent"),
}
NUMBERS = itertools.count()


def wrong(call, whole, name):
    """Return the limits of a schema at which the API thinks otherwise."""
    api = Document(whole)
    method, operation = SCHEMAS[name]
    found = []
    for limit, body, within in tries(api, {"$ref": f"#/components/schemas/{name}"}):
        target = api.operations[operation].target(
            validateOnly="true", eventId=f"limit-{next(NUMBERS)}"
        )
        answer = call(method, target, body)
        assert answer.status in {200, 400}, answer.raw
        if (answer.status == 200) != within:
            found.append((limit, answer.status, answer.raw[:200]))
    return found


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_limits_are_the_codes(call, name):
    """At each limit the API accepts, one step beyond it refuses."""
    assert wrong(call, WHOLE, name) == []


def change(fields, limit, by):
    """Return a copy of the document with one limit of one schema changed."""
    whole = copy.deepcopy(WHOLE)
    schema = whole["components"]["schemas"]
    for field in fields:
        schema = schema[field]
    schema[limit] = by(schema[limit])
    return whole


CHANGES = {
    "a text": (("ContentMessage", "properties", "text"), "maxLength", lambda n: n + 1),
    "suggestions": (
        ("ContentMessage", "properties", "suggestions"),
        "maxItems",
        lambda n: n - 1,
    ),
    "a policy": (
        ("Fallback", "anyOf", 0, "properties", "policy"),
        "enum",
        lambda words: [*words, "NONE"],
    ),
    "metadata": (("Metadata",), "maxProperties", lambda n: n + 1),
    "a required field": (("SendRequest",), "required", lambda _: ["ttl"]),
}


@pytest.mark.parametrize(("fields", "limit", "by"), CHANGES.values(), ids=CHANGES)
def test_another_limit_would_be_noticed(call, fields, limit, by):
    assert wrong(call, change(fields, limit, by), "SendRequest") != []


def test_fifteen_days_are_the_codes():
    """What is said in words only."""
    assert content._LONGEST_LIFE.days == 15
    assert content._LARGEST == 250 * 1024
