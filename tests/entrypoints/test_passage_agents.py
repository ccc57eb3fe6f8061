"""Where several agents are configured, each call says for which it is."""

import pytest

from entrypoints.caller import PHONE, check_refusal

PATHS = ("/v1/files", "/v1/users:batchGet", f"/v1/phones/{PHONE}/testers")
FILE = {"fileUrl": "https://example.com/a.png"}


@pytest.fixture(scope="module")
def environ():
    return {
        "AGENTS": '{"one": {"senders": ["+15550100001"]},'
        ' "two": {"senders": ["+15550100002"]}}'
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("POST", path) for path in (*PATHS, "/upload/v1/files")),
        ("POST", f"/v1/phones/{PHONE}/agentEvents"),
        ("GET", f"/v1/phones/{PHONE}/capabilities"),
    ],
)
def test_without_one_it_is_refused(call, method, path):
    """Nobody guesses."""
    check_refusal(call(method, path, {}), 400, "agentId")


def test_the_query_may_name_it(call):
    """As everywhere."""
    assert call("POST", "/v1/files?agentId=two", FILE).status == 200


def test_the_body_may_name_it(call):
    """Where RBM documents it there, and nowhere else."""
    assert call("POST", "/v1/files", FILE | {"agentId": "two"}).status == 200
    tester = f"/v1/phones/{PHONE}/testers"
    check_refusal(call("POST", tester, {"agentId": "two"}), 400, "agentId")
