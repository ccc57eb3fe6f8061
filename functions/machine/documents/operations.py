"""What an app may call: the API's operations, as a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from backstop.domain.consent import Consent
from backstop.domain.message import Json, Outcome
from backstop.edge import api, device, passage
from backstop.edge.answers import Problem
from backstop.usecases.accept import draft
from backstop.usecases.view import agent_message, consent_view
from machine.documents import problems, samples
from machine.documents.forms import COUNT, STRING, thing
from machine.documents.schemas import ref, said

UNPROVED = {401: {"no token": problems.UNPROVED}}
BROKEN = {500: {"a bug": problems.BUG}, 503: {"try again": problems.UNAVAILABLE}}
UNKNOWN = {404: {"no such message": problems.UNKNOWN}}
NOT_FOR_RCS = {"RCS does not reach it": problems.NO_RCS}
BUSY = {429: {"RBM is busy": problems.BUSY}}

Refusals = Mapping[int, Mapping[str, Problem]]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one path.

    `limit` is what a body may weigh, 0 where there is none to send. The first of
    the `requests` is the one to begin with. What RBM answers is `handed_on`.
    """

    name: str
    method: str
    path: str
    group: str
    summary: str
    text: str = ""
    query: Sequence[str] = ()
    limit: int = 0
    media_type: str = "application/json"
    body: Json | None = None
    requests: Mapping[str, Any] = field(default_factory=dict)
    answer: Json
    answers: Mapping[str, Json]
    refusals: Refusals = field(default_factory=dict)
    handed_on: bool = False

    @property
    def problems(self) -> Refusals:
        """All that it may refuse with, by status."""
        found: dict[int, Mapping[str, Problem]] = {}
        for each in (self._wrong, self.refusals, UNPROVED, self._too_large, BROKEN):
            for status, named in each.items():
                found[status] = {**found.get(status, {}), **named}
        return dict(sorted(found.items()))

    @property
    def _wrong(self) -> Refusals:
        if "{phone}" in self.path:
            return {400: {"an invalid phone": problems.PHONE}}
        return {400: {"an unknown agent": problems.AGENT}}

    @property
    def _too_large(self) -> Refusals:
        if not self.limit:
            return {}
        return {413: {"too large": Problem(413, problems.LIMIT.format(self.limit))}}


@cache
def operations() -> Sequence[Operation]:
    """Return all of them, in the order in which a newcomer meets them."""
    return (*_messages(), *_consent(), *_phone(), *_files())


def _messages() -> Sequence[Operation]:
    sent = agent_message(samples.answered())
    fell_back = agent_message(samples.lives()[Outcome.DELIVERED_SMS].message)
    acknowledged = agent_message(samples.lives()[Outcome.ACKNOWLEDGED].message)
    collection = "/v1/phones/{phone}/agentMessages"
    one = f"{collection}/{{messageId}}"
    group = "Messages"
    return (
        Operation(
            name="sendMessage",
            method="post",
            path=collection,
            group=group,
            summary="Send a message",
            text="The message is sent by RCS; if the phone has not confirmed it by its"
            " deadline, it is withdrawn and sent by SMS. 200 says that it is durable"
            " and on its way, not that it arrived. A repeat with the same `messageId`"
            " and body is answered as before, and sends nothing.",
            query=("messageId", "agentId", "validateOnly"),
            limit=api.BODY_LIMIT,
            body=ref("SendRequest"),
            requests=samples.REQUESTS,
            answer={"anyOf": [ref("AgentMessage"), ref("Preview")]},
            answers={"accepted": sent, "validateOnly": _preview()},
            refusals={
                400: {
                    "an invalid field": problems.FIELD,
                    "opted out": problems.OPTED_OUT,
                },
                409: {"another body": problems.USED},
                503: {"too much is due": problems.TOO_MUCH},
            },
        ),
        Operation(
            name="getMessage",
            method="get",
            path=one,
            group=group,
            summary="Ask what became of a message",
            text="`delivery` says which rule decided, and what happens next.",
            query=("agentId",),
            answer=ref("AgentMessage"),
            answers={"fell back to SMS": fell_back},
            refusals=UNKNOWN,
        ),
        Operation(
            name="listMessages",
            method="get",
            path=collection,
            group=group,
            summary="List the messages of a recipient",
            text="Newest first, those of all agents or of the one named. A page"
            " may hold fewer than asked for.",
            query=("pageSize", "pageToken", "agentId"),
            answer=ref("AgentMessages"),
            answers={"one message": {"agentMessages": [fell_back]}},
        ),
        Operation(
            name="cancelMessage",
            method="delete",
            path=one,
            group=group,
            summary="Cancel a message",
            text="It is withdrawn from RBM, and no SMS is sent. 404 says that it is"
            " too late: the message was delivered, or its SMS is on its way.",
            query=("agentId",),
            answer=ref("Empty"),
            answers={"cancelled": {}},
            refusals={404: {**UNKNOWN[404], "too late": problems.TOO_LATE}},
        ),
        Operation(
            name="acknowledgeMessage",
            method="post",
            path=f"{one}:acknowledge",
            group=group,
            summary="Say that the user has acted",
            text="The code was typed, the link opened: what can be withdrawn is, and"
            " nothing more is sent. Safe at any moment, any number of times.",
            query=("agentId",),
            answer=ref("AgentMessage"),
            answers={"acknowledged": acknowledged},
            refusals=UNKNOWN,
        ),
    )


def _consent() -> Sequence[Operation]:
    path = "/v1/phones/{phone}/consent"
    known = consent_view(samples.PHONE, samples.AGENT, samples.opted_out())
    told = {
        "nothing is known": consent_view(samples.PHONE, samples.AGENT, Consent()),
        "opted out by SMS": known,
    }
    return (
        Operation(
            name="getConsent",
            method="get",
            path=path,
            group="Consent",
            summary="Ask what a recipient chose",
            query=("agentId",),
            answer=ref("Consent"),
            answers=told,
        ),
        Operation(
            name="putConsent",
            method="put",
            path=path,
            group="Consent",
            summary="Record a choice made elsewhere",
            text="It has the effect of the recipient's own word: after an opt-out"
            " nothing of type PROMOTION, and nothing untyped, is sent, also not what"
            " was accepted before.",
            query=("agentId",),
            limit=api.CONSENT_LIMIT,
            body=ref("ConsentRequest"),
            requests={
                "opted in": {"state": "OPTED_IN", "at": "2026-04-05T12:00:00Z"},
                "opted out": {"state": "OPTED_OUT"},
            },
            answer=ref("Consent"),
            answers=told,
        ),
    )


def _phone() -> Sequence[Operation]:
    phone = "/v1/phones/{phone}"
    tester = {"name": f"phones/{samples.PHONE}/testers", "inviteStatus": "PENDING"}
    return (
        Operation(
            name="sendEvent",
            method="post",
            path=f"{phone}/agentEvents",
            group="Phones",
            summary="Show the user that you type, or have read",
            text="An `eventId` that was used before is ignored. It must not be that of"
            " a message.",
            query=("eventId", "agentId"),
            limit=device.BODY_LIMIT,
            body=ref("AgentEventRequest"),
            requests={
                "typing": {"eventType": "IS_TYPING"},
                "read": {"eventType": "READ", "messageId": "MxIgT-4pWCQu2tH9hMkSTljQ"},
            },
            answer=ref("AgentEvent"),
            answers={
                "typing": {
                    "name": f"phones/{samples.PHONE}/agentEvents/typing-1",
                    "eventType": "IS_TYPING",
                    "sendTime": "2026-04-05T12:00:00Z",
                }
            },
            refusals={
                404: NOT_FOR_RCS,
                409: {"a message's id": problems.USED_BY_MESSAGE},
                **BUSY,
                503: {"RBM did not answer": problems.SILENT_TO_EVENT},
            },
        ),
        Operation(
            name="getCapabilities",
            method="get",
            path=f"{phone}/capabilities",
            group="Phones",
            summary="Ask what RCS can do on a phone",
            text="Under the setting `REACH_FIRST` the answer is remembered for a while:"
            " a message to a phone that is known to have no RCS goes straight to SMS.",
            query=("requestId", "agentId"),
            answer=ref("Capabilities"),
            answers={"a phone with RCS": {"features": ["RICHCARD_STANDALONE"]}},
            refusals={
                404: NOT_FOR_RCS,
                **BUSY,
                503: {"RBM did not answer": problems.SILENT},
            },
        ),
        _passed(
            "/v1/users:batchGet",
            name="batchGetUsers",
            group="Phones",
            summary="Ask which of many phones RCS reaches",
            text="The answer is remembered as that of `capabilities` is.",
            body=thing(
                {"users": {"type": "array", "items": STRING, "minItems": 1}},
                {"agentId": STRING},
            ),
            requests={"two phones": {"users": [samples.PHONE, "+15551230001"]}},
            answer=thing(
                {},
                {
                    "reachableUsers": {"type": "array", "items": STRING},
                    "totalRandomSampleUserCount": COUNT,
                    "reachableRandomSampleUserCount": COUNT,
                },
            ),
            answers={
                "one of them": {
                    "reachableUsers": [samples.PHONE],
                    "totalRandomSampleUserCount": 0,
                    "reachableRandomSampleUserCount": 0,
                }
            },
        ),
        _passed(
            f"{phone}/testers",
            name="inviteTester",
            group="Phones",
            summary="Invite a phone to test an agent",
            body={"type": "object"},
            requests={"a tester": {}},
            answer=thing({"name": STRING}, {"inviteStatus": STRING}),
            answers={"invited": tester},
        ),
        _passed(
            f"{phone}/dialogflowMessages",
            name="sendDialogflowEvent",
            group="Phones",
            summary="Start a Dialogflow event",
            text="RBM refuses it with 403 unless Dialogflow is enabled for the agent.",
            query=("messageIdPrefix", "agentId"),
            body=thing(
                {"eventName": STRING},
                {"parameters": {"type": "object"}, "languageCode": STRING},
            ),
            requests={"an event": {"eventName": "welcome"}},
            answer={"type": "object"},
            answers={"started": {"eventName": "welcome"}},
        ),
        _passed(
            f"{phone}/capability:requestCapabilityCallback",
            name="requestCapabilityCallback",
            group="Phones",
            summary="Ask for capabilities, to be told by the webhook",
            text="Of an older RBM; a newer one may not know it.",
            query=(),
            body=thing({"requestId": STRING}),
            requests={"a request": {"requestId": "asked-1"}},
            answer={"type": "object"},
            answers={"asked": {}},
        ),
    )


def _files() -> Sequence[Operation]:
    answer = thing({"name": said(STRING, "For `fileName` in a message.")})
    named = {"a file": {"name": "files/0d5a4d6a-1b11-4a55-9a0e-7c1f0c0e6a52"}}
    return (
        _passed(
            "/v1/files",
            name="createFile",
            group="Files",
            summary="Hand RBM a file by its URL",
            body=thing(
                {"fileUrl": STRING},
                {"thumbnailUrl": STRING, "agentId": STRING},
            ),
            requests={"an image": {"fileUrl": "https://example.com/menu.png"}},
            answer=answer,
            answers=named,
        ),
        _passed(
            "/upload/v1/files",
            name="uploadFile",
            group="Files",
            summary="Hand RBM a file",
            text="The body is the file itself, in one request, under its own content"
            " type. It is streamed, and kept nowhere on the way.",
            media_type="image/png",
            body={},
            requests={},
            answer=answer,
            answers=named,
            refusals={
                408: {"nothing came": problems.SLOW},
            },
        ),
    )


def _passed(path: str, **more: Any) -> Operation:
    """Return an operation of RBM's that is handed on to it."""
    last = path.rpartition("/")[2]
    method = passage.METHODS_OF_A_PHONE.get(last) or next(
        method for method in passage.METHODS.values() if method.path == path
    )
    more.setdefault("query", ("agentId",) if "agentId" in method.own else ())
    refusals = {**more.pop("refusals", {}), 503: {"not reached": problems.NOT_REACHED}}
    return Operation(
        path=path,
        method="post",
        limit=method.limit,
        refusals=refusals,
        handed_on=True,
        **more,
    )


def _preview() -> Json:
    preview = agent_message(draft(samples.order()))
    return {k: v for k, v in preview.items() if k not in {"delivery", "sendTime"}}
