"""The API document says what the API does, and nothing else."""

import ast
import inspect
import re
import textwrap

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from backstop.domain.times import parse_time
from backstop.edge.api import Api
from backstop.edge.passage import METHODS, METHODS_OF_A_PHONE
from documents.reader import Document, check
from domain.drawing import README
from machine.documents import openapi, page
from machine.documents.openapi import QUERY_PARAMETERS

API = Document(openapi.document())
OPERATIONS = API.operations.values()
HTTP = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
NOT_ANSWERED = {404, 405, 501}


def by_name(values):
    return pytest.mark.parametrize("operation", values, ids=lambda each: each.name)


@pytest.fixture
def sent(call):
    """The message that the examples are about, not delivered yet."""
    first = API.operations["sendMessage"]
    answer = call("POST", first.target(), first.requests[0])
    assert answer.status == 200


def send(call, operation, body, **values):
    headers = {"Content-Type": operation.media_type} if body is not None else {}
    return call(operation.method, operation.target(**values), body, headers)


def test_the_document_is_openapi():
    OpenAPIV31SpecValidator(API.whole).validate()


def test_every_path_of_the_code_is_documented():
    """What `Api` matches and what is handed on are the documented paths."""
    source = ast.parse(textwrap.dedent(inspect.getsource(Api.__call__)))
    matched = {
        "/" + "/".join(_part(each) for each in node.patterns)
        for node in ast.walk(source)
        if isinstance(node, ast.MatchSequence)
    }
    handed_on = {f"/{'/'.join(segments)}" for segments in METHODS}
    handed_on |= {f"/v1/phones/{{}}/{name}" for name in METHODS_OF_A_PHONE}
    documented = {
        re.sub(r"\{\w+\}", "{}", each.path).removesuffix(":acknowledge")
        for each in OPERATIONS
    }
    assert matched | handed_on == documented


def _part(pattern):
    if isinstance(pattern, ast.MatchValue):
        assert isinstance(pattern.value, ast.Constant)
        return str(pattern.value.value)
    return "{}"


@by_name(OPERATIONS)
def test_every_example_is_accepted(call, sent, operation):
    """Each documented request is answered, in the documented form."""
    for number, body in enumerate(operation.requests):
        sending = operation.name == "sendMessage"
        ids = {"messageId": f"example-{number}"} if sending else {}
        answer = send(call, operation, body, **ids)
        assert answer.status not in NOT_ANSWERED, answer.raw
        # RBM itself refuses a Dialogflow event unless the agent may send some.
        assert answer.status == (403 if "Dialogflow" in operation.name else 200)
        API.check_answer(operation, answer.status, answer.json)


@pytest.mark.parametrize("path", sorted(API.whole["paths"]))
def test_no_other_method_is_answered(call, path):
    """An undocumented method of a documented path is refused, in Google's form."""
    operation = next(each for each in OPERATIONS if each.path == path)
    known = {each.method for each in OPERATIONS if each.path == path}
    for method in sorted(set(HTTP) - known):
        answer = call(method, operation.target(messageId="nobody"))
        assert answer.status in {404, 405}, method
        if method != "HEAD":
            check(API.schema({"$ref": "#/components/schemas/Error"}), answer.json)


@by_name(OPERATIONS)
def test_every_shown_answer_has_the_documented_form(operation):
    for status, response in operation.told["responses"].items():
        for content in response["content"].values():
            for example in content.get("examples", {}).values():
                code = int(status) if status.isdecimal() else 400
                API.check_answer(operation, code, example["value"])


SHOWN = {"accepted": "false", "validateOnly": "true"}


@pytest.mark.parametrize("name", SHOWN)
def test_the_shown_answer_is_the_answer(call, name):
    """But for its times, which are as far apart."""
    operation = API.operations["sendMessage"]
    told = operation.told["responses"]["200"]["content"]["application/json"]
    shown = told["examples"][name]["value"]
    target = operation.target(messageId="shown", validateOnly=SHOWN[name])
    answer = call("POST", target, operation.requests[0]).json

    answer["name"] = answer["name"].replace("shown", "code-1")
    assert _rebased(answer) == _rebased(shown)


def _rebased(answer):
    """Return an answer with its times counted from the deadline."""
    zero = parse_time(answer["expireTime"])

    def rebase(value):
        if isinstance(value, dict):
            return {name: rebase(each) for name, each in value.items()}
        if isinstance(value, list):
            return [rebase(each) for each in value]
        try:
            return (parse_time(value) - zero).total_seconds()
        except (TypeError, ValueError):
            return value

    return rebase(answer)


@by_name(OPERATIONS)
def test_every_operation_has_its_command(operation):
    command = page.curl(operation.method, operation.path, operation.told, "http://host")

    assert operation.target() in command
    assert all(
        body in (None, b"\x89PNG") or "{" in command for body in operation.requests
    )


def test_the_readme_names_the_same_operations():
    """But for one of an older RBM's."""
    section = README.read_text().partition("## The API")[2].partition("\n### ")[0]
    section = section.replace("…", "/v1/phones/{E.164}")
    section = section.replace("{E.164}", "{phone}").replace("{id}", "{messageId}")
    named = {
        (method, path)
        for call in re.findall(r"^\| (`.*?`) \|", section, re.MULTILINE)
        for method in re.findall(r"`([A-Z]+)\b", call)
        for path in re.findall(r"/[\w/{}:]+", call)
    }

    documented = {(each.method, each.path) for each in OPERATIONS}
    legacy = API.operations["requestCapabilityCallback"]
    assert named == documented - {(legacy.method, legacy.path)}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_the_parameters_of_other_operations_are_refused(call, sent, operation):
    """Else `validateOnly` would cancel."""
    own = {each["name"] for each in operation.told["parameters"]}
    for name in sorted(QUERY_PARAMETERS.keys() - own):
        target = operation.target()
        target += f"{'&' if '?' in target else '?'}{name}=1"
        answer = call(operation.method, target, operation.requests[0])
        assert (answer.status, name) == (400, name)
