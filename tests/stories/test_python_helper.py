"""Google's own Python helper: its requests as they went over the wire."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stories.world import World

RECORDED = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "python_helper.json").read_text()
)
SENT = [
    call for call in RECORDED if call["path"].partition("?")[0].endswith("Messages")
]
PHONE = "+15551230001"


@pytest.mark.parametrize("call", SENT, ids=lambda call: call["name"])
def test_what_it_sends_is_delivered(world: World, call: dict[str, Any]):
    """Nulls, snake_case, empty suggestions and ids that are no UUIDs included."""
    sent = world.ok(call["method"], call["path"], call["body"])
    world.settle()

    assert world.outcome(sent) == "DELIVERED_RCS"
    assert "null" not in json.dumps(sent["contentMessage"])
    (received,) = world.phone(PHONE)["inbox"]
    assert f"messageId={received['messageId']}&" in call["path"]


def test_what_it_revokes_is_cancelled(world: World):
    """DELETE of a message that waits answers `{}`, of an unknown one 404."""
    (revoke,) = (call for call in RECORDED if call["method"] == "DELETE")
    assert world.call("DELETE", revoke["path"]).status_code == 404
    name = revoke["path"].partition("?")[0].rpartition("/")[2]
    world.phone(PHONE, online=False)
    world.send(PHONE, name=name)

    assert world.ok("DELETE", revoke["path"]) == {}


ANSWERED: dict[str, Callable[[Any], Any]] = {
    # Its `upload_file` returns the name, to be shown in a card.
    "upload": lambda answer: answer["name"].startswith("files/"),
    "capabilities": lambda answer: "RICHCARD_CAROUSEL" in answer["features"],
    "typing": lambda answer: answer["eventType"] == "IS_TYPING",
    "read": lambda answer: answer["messageId"] == "MxUser1",
    "batch of capabilities": lambda answer: PHONE in answer["reachableUsers"],
    "tester": lambda answer: answer["inviteStatus"] == "PENDING",
}


@pytest.mark.parametrize(
    "call",
    [call for call in RECORDED if call not in SENT and call["method"] != "DELETE"],
    ids=lambda call: call["name"],
)
def test_what_else_it_asks_is_answered(world: World, call: dict[str, Any]):
    """As RBM itself answers it."""
    answer = world.ok(call["method"], call["path"], call["body"])

    assert ANSWERED[call["name"]](answer)
