"""The API, asked at random within its document and beyond it, answers in its form."""

import re
from zlib import crc32

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from documents.reader import Document
from machine.documents import openapi

EXAMPLES = 40
OPERATIONS = Document(openapi.document()).operations
RULES = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
ELSEWHERE = ("agentId", "pageToken")
"""What only a deployment, or an earlier answer, can tell."""

IN_WORDS = re.compile(
    "ttl|expireTime|at|fallback.from|fallback.text"
    r"|contentMessage\.richCard\..*(cardContent|cardContents\[\d+\]|height)"
)
"""Fields with a rule that the document states in words only."""

load_all_checks()
CHECKED = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "allow_header_conformance",
    ]
)


@pytest.fixture(scope="module")
def schema(local, call):
    for number in range(4):
        path = f"/v1/phones/+1555123000{number}/agentMessages?messageId=fuzz-{number}"
        assert call("POST", path, {"contentMessage": {"text": "Hello"}}).status == 200
    return schemathesis.openapi.from_url(f"{local.url}/openapi.json")


def known(values):
    """Return a path's values as those of a message that there is."""
    number = crc32(values["phone"].encode()) % 4 if values else 0
    there = {"phone": f"+1555123000{number}", "messageId": f"fuzz-{number}"}
    return {name: there[name] for name in values or {}}


@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
@pytest.mark.parametrize("name", OPERATIONS)
def test_fuzz(schema, local, name, mode, seed):
    """Never a 5xx, always a documented status and form; nothing valid is refused."""
    operation = schema.find_operation_by_id(name)
    own = "default" not in OPERATIONS[name].told["responses"]

    @seeded(seed)
    @RULES
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case):
        within = mode is GenerationMode.POSITIVE
        if within:
            case.path_parameters = known(case.path_parameters)
            case.query = {n: v for n, v in case.query.items() if n not in ELSEWHERE}
        answer = case.call_and_validate(base_url=local.url, checks=CHECKED)
        if within and own and answer.status_code == 400:
            assert all(map(IN_WORDS.fullmatch, refused(answer.json()))), answer.text

    ask()


def refused(body):
    """Return the fields that a refusal names; an opt-out is no field's fault."""
    return [
        violation["field"]
        for detail in body["error"].get("details", [])
        for violation in detail.get("fieldViolations", [])
    ]
