"""The refusals of the API, each as it is answered."""

import json

from backstop.domain.message import Json, Outcome
from backstop.edge.answers import Problem, bad_request, error_info

LIMIT = "body: must not be larger than {} bytes"


def body(problem: Problem) -> Json:
    whole: Json = json.loads(bytes(problem.response().body))
    return whole


FIELD = bad_request((("ttl", "must be at most 15 days ahead"),))
PHONE = bad_request((("phone", "must be + and 7 to 15 digits (E.164)"),))
AGENT = bad_request((("agentId", "is not an agent of this deployment"),))
OPTED_OUT = Problem(
    400,
    "the recipient has opted out of messages like this one",
    status="FAILED_PRECONDITION",
    details=(error_info("RECIPIENT_OPTED_OUT"),),
)
UNPROVED = Problem(
    401, "a valid bearer token is needed", headers={"WWW-Authenticate": "Bearer"}
)
UNKNOWN = Problem(404, "no such message")
TOO_LATE = Problem(
    404,
    "too late to cancel: the message was delivered, or its SMS is on its way",
    details=(error_info(Outcome.DELIVERED_RCS.value),),
)
NO_RCS = Problem(404, "RCS does not reach this phone for this agent")
USED = Problem(409, "messageId: already used by a message with another body or phone")
USED_BY_MESSAGE = Problem(
    409, "eventId: a message has this id; RBM has one set for both"
)
SLOW = Problem(408, "body: nothing came for 20 seconds", status="DEADLINE_EXCEEDED")
BUSY = Problem(
    429,
    "RBM takes no more of this at present",
    status="RESOURCE_EXHAUSTED",
    headers={"Retry-After": "10"},
)
UNAVAILABLE = Problem(503, "try again", headers={"Retry-After": "1"})
TOO_MUCH = Problem(
    503,
    "more is due than this machine can do at once; try again",
    headers={"Retry-After": "1"},
)
SILENT = Problem(503, "RBM did not answer: outcome unknown, ask again")
SILENT_TO_EVENT = Problem(
    503,
    "RBM did not answer: outcome unknown, repeat with the same eventId, typing-1",
)
NOT_REACHED = Problem(
    503, "RBM was not reached, and did nothing", headers={"Retry-After": "1"}
)
BUG = Problem(500, "internal error")
