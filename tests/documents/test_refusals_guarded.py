"""The refusals of a machine with a token, whose RBM is not there."""

import pytest

from documents.reader import Document
from machine.documents import openapi

API = Document(openapi.document())
OPERATIONS = API.operations.values()
TOKEN = {"Authorization": "Bearer the-api-token"}
CASES = [
    pytest.param(operation, body, id=operation.name)
    for operation in OPERATIONS
    for _status, name, body in operation.refusals()
    if name == "no-token"
]
HANDED_ON = [
    pytest.param(operation, body, id=operation.name)
    for operation in OPERATIONS
    for _status, name, body in operation.refusals()
    if name == "not-reached"
]


@pytest.fixture(scope="module")
def environ():
    return {"API_TOKEN": "the-api-token", "RBM_URL": "http://127.0.0.1:9"}


@pytest.mark.parametrize(("operation", "body"), CASES)
def test_no_token(call, operation, body):
    answer = call(operation.method, operation.target(), operation.requests[0])

    assert (answer.status, answer.json) == (401, body)
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(("operation", "body"), HANDED_ON)
def test_no_rbm(call, operation, body):
    answer = call(operation.method, operation.target(), operation.requests[0], TOKEN)

    assert (answer.status, answer.json) == (503, body)


def test_every_operation_may_ask_for_a_token():
    assert len(CASES) == len(OPERATIONS)
