"""Every refusal that the document shows is what the API answers."""

import pytest

from documents.reader import Document
from machine.documents import openapi

API = Document(openapi.document())
PHONE = "+15551230002"
NO_RCS = "+15550199003"

UNPROVOKED = {
    "try-again": "a store that does not answer",
    "a-bug": "one of ours",
    "nothing-came": "takes as long as it says",
    "RBM-is-busy of getCapabilities": "the simulated RBM never is, of this",
    "RBM-did-not-answer of getCapabilities": "the simulated RBM always does, to this",
    "too-large of uploadFile": "a hundred megabytes",
}


def invalid_phone(call, operation):
    return call(operation.method, operation.target(phone="12"), _body(operation))


def unknown_agent(call, operation):
    target = operation.target(agentId="nobody")
    return call(operation.method, target, _body(operation))


def invalid_field(call, operation):
    body = {**operation.requests[0], "ttl": "1382400s"}
    return call(operation.method, operation.target(messageId="far"), body)


def opted_out(call, operation):
    call("PUT", "/v1/phones/+15551230003/consent", {"state": "OPTED_OUT"})
    target = operation.target(phone="+15551230003", messageId="advert")
    body = {"contentMessage": {"text": "Sale"}, "messageTrafficType": "PROMOTION"}
    return call(operation.method, target, body)


def no_message(call, operation):
    target = operation.target(messageId="never-sent")
    return call(operation.method, target, _body(operation))


def too_late(call, operation):
    send(call, "late-1")
    call("POST", "/simulator/clock", {"advance": "5s"})
    return call(operation.method, operation.target(messageId="late-1"))


def no_rcs(call, operation):
    return call(operation.method, operation.target(phone=NO_RCS), _body(operation))


def another_body(call, operation):
    send(call, "twice-1")
    return send(call, "twice-1", text="Something else")


def messages_id(call, operation):
    send(call, "both-1")
    return call("POST", operation.target(eventId="both-1"), _body(operation))


def busy(call, operation):
    return _faulty(call, operation, status=429)


def silent(call, operation):
    return _faulty(call, operation, status=503)


def too_large(call, operation):
    shown = next(body for status, _, body in operation.refusals() if status == 413)
    limit = int(shown["error"]["message"].split()[-2])
    return call(operation.method, operation.target(), b" " * (limit + 1))


PROVOKED = {
    "an-invalid-phone": invalid_phone,
    "an-unknown-agent": unknown_agent,
    "an-invalid-field": invalid_field,
    "opted-out": opted_out,
    "no-such-message": no_message,
    "too-late": too_late,
    "RCS-does-not-reach-it": no_rcs,
    "another-body": another_body,
    "a-messages-id": messages_id,
    "RBM-is-busy": busy,
    "RBM-did-not-answer": silent,
    "too-large": too_large,
}
ELSEWHERE = {"no-token", "not-reached", "too-much-is-due"}


def shown():
    for operation in API.operations.values():
        for status, name, body in operation.refusals():
            case = f"{name} of {operation.name}"
            if not {name, case} & {*UNPROVOKED, *ELSEWHERE}:
                yield pytest.param(operation, name, status, body, id=case)


@pytest.mark.parametrize(("operation", "name", "status", "body"), list(shown()))
def test_the_refusal_is_as_shown(call, operation, name, status, body):
    answer = PROVOKED[name](call, operation)

    assert (answer.status, answer.json) == (status, body)
    documented = operation.told["responses"][str(status)].get("headers", {})
    for header in ("Retry-After", "WWW-Authenticate"):
        if header in answer.headers:
            assert documented[header]["example"] == answer.headers[header]


def send(call, name, text="Hello"):
    target = f"/v1/phones/{PHONE}/agentMessages?messageId={name}"
    return call("POST", target, {"contentMessage": {"text": text}})


def _body(operation):
    return operation.requests[0]


def _faulty(call, operation, **faults):
    call("PUT", "/simulator/carriers/rbm", faults)
    try:
        return call(operation.method, operation.target(), _body(operation))
    finally:
        call("DELETE", "/simulator/carriers/rbm")
