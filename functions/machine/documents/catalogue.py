"""Every type of event that is published: when, and in which form."""

import json

from backstop.domain import event as events
from backstop.domain.event import (
    CATALOGUE,
    OUTCOMES,
    SOURCE,
    Event,
    Kind,
    Type,
    event_id,
)
from backstop.domain.message import Json
from backstop.providers.bandwidth import wire as bandwidth
from backstop.providers.rbm import wire as rbm
from backstop.tracing import ATTRIBUTE as TRACEPARENT
from machine.documents import samples
from machine.documents.forms import COUNT, STRING, TIME, thing
from machine.documents.payloads import BANDWIDTH, RBM
from machine.documents.schemas import (
    AGENT,
    EVENT_ID,
    MESSAGE_ID,
    RULES,
    VERSION,
    agent_message,
    delivery,
    metadata,
    said,
)

DRAFT = "https://json-schema.org/draft/2020-12/schema"

INTRODUCTION = """\
Events are CloudEvents 1.0 on one Pub/Sub topic, in binary mode: the attributes of a \
message are the event's, its data is the event's data. Subscribe with a filter on an \
attribute, such as `attributes.kind = "outcome"`.

Events come at least once and in any order; a repeat has the same `ce-id`. That of an \
outcome says the same `outcome` and `revision`, but its `delivery` and its time may be \
newer. The data of a carrier's event is what the carrier sent, byte for byte, after \
its signature or credentials held. Fields may be added, and types: ignore those that \
you do not know.
"""

CHANNELS = {"rcs", "sms"}

_FILE = thing(
    {},
    {
        "mimeType": STRING,
        "fileSizeBytes": COUNT,
        "fileName": STRING,
        "fileUri": STRING,
    },
)
_DEGREES: Json = {"type": "number"}
_TAP = {"postbackData": STRING, "text": STRING, "type": STRING}

RBM_CONTENT = {
    events.RCS_TEXT: {"text": STRING},
    events.RCS_FILE: {"userFile": thing({}, {"payload": _FILE, "thumbnail": _FILE})},
    events.RCS_LOCATION: {
        "location": thing({}, {"latitude": _DEGREES, "longitude": _DEGREES})
    },
    events.RCS_SUGGESTION: {"suggestionResponse": thing({}, _TAP)},
}


def document() -> Json:
    """Return the catalogue."""
    return {
        "info": {
            "title": "Events of Backstop",
            "version": VERSION,
            "description": INTRODUCTION,
        },
        "events": [_entry(kind) for kind in CATALOGUE.values()],
    }


def example(kind: Type) -> Event:
    """Return an event of that type, as it is published."""
    for outcome, known in OUTCOMES.items():
        if known is kind:
            return samples.outcome_event(outcome)
    if kind in RBM:
        return rbm.announce(_bytes(RBM[kind]), received_at=samples.NOW)
    if kind in BANDWIDTH:
        (event,) = bandwidth.announce(_bytes(BANDWIDTH[kind]), received_at=samples.NOW)
        return event
    return samples.due_event() if kind is events.SMS_DUE else _review()


def _entry(kind: Type) -> Json:
    event = example(kind)
    return {
        "name": kind.name,
        "kind": kind.kind.value,
        "when": kind.when,
        "attributes": {"$schema": DRAFT, **attributes(kind)},
        "data": {"$schema": DRAFT, **data(kind)},
        "example": {
            "attributes": event.attributes(),
            "data": json.loads(event.data),
        },
    }


def attributes(kind: Type) -> Json:
    """Return the schema of a type's attributes, which are all strings."""
    family = kind.name.split(".")[1]
    texted = kind in {events.RCS_SUGGESTION, events.CONSENT_REVIEW}
    channels = ["RCS", "SMS"] if texted else [family.upper()] * (family in CHANNELS)
    sources = [channel.lower() for channel in channels] or [family]
    required: Json = {
        "ce-specversion": {"const": "1.0"},
        "ce-id": said(EVENT_ID, "The same whenever the same event comes again."),
        "ce-type": {"const": kind.name},
        "ce-source": {"enum": [f"{SOURCE}/{source}" for source in sources]},
        "ce-time": said(TIME, "When it happened, by the clock of whoever tells."),
        "ce-datacontenttype": {"const": "application/json"},
        "kind": said({"const": kind.kind.value}, "What subscriptions filter on."),
        **({"channel": {"enum": channels}} if channels else {}),
    }
    optional: Json = {
        TRACEPARENT: said(STRING, "The trace that this delivery belongs to."),
        "agentId": said(AGENT, "The agent it is about, if it names one."),
    }
    message = {
        "agentId": said(AGENT, "The agent it is about."),
        "messageId": said(AGENT, "The message it is about."),
        "ce-subject": said(
            {"type": "string", "pattern": "^agents/.+/messages/.+$"},
            "The message as well: `agents/{agentId}/messages/{messageId}`.",
        ),
    }
    cause = said(EVENT_ID, "The `ce-id` of the event that it was read from.")
    if _names_message(kind):
        required |= message
    elif texted or kind.kind is Kind.RECEIPT:
        optional |= message
    if kind is events.CONSENT_REVIEW:
        required["causedBy"] = cause
    elif texted:
        optional["causedBy"] = cause
    if family == "sms" and kind.kind is Kind.RECEIPT:
        number: Json = {"type": "string", "pattern": "^[1-9][0-9]*$"}
        optional["attempt"] = said(number, "Which SMS of the message it is about.")
    return thing(required, optional)


def data(kind: Type) -> Json:
    """Return the schema of a type's data."""
    if kind.kind is Kind.UNKNOWN:
        return {"description": "Whatever the carrier sent. It may not even be JSON."}
    if kind.kind is Kind.OUTCOME:
        return _outcome(kind)
    if kind is events.SMS_DUE:
        rule = said({"type": "string", "enum": RULES}, "Why the SMS may leave.")
        return thing({"name": said(STRING, "The message."), "rule": rule})
    if kind is events.CONSENT_REVIEW:
        channel = {"type": "string", "enum": ["RCS", "SMS"]}
        return thing({"phone": STRING, "channel": channel, "text": STRING})
    return _rbm(kind) if kind in RBM else _bandwidth(kind)


def _names_message(kind: Type) -> bool:
    """Whether a type is always about one message of ours."""
    if kind.kind in {Kind.EXPIRY, Kind.DUE, Kind.OUTCOME}:
        return True
    return kind in {events.RCS_DELIVERED, events.RCS_READ}


def _outcome(kind: Type) -> Json:
    (outcome,) = (outcome for outcome, known in OUTCOMES.items() if known is kind)
    revision = "1 at first; each correction counts on. The highest one is true."
    message = agent_message()["properties"]
    return thing(
        {
            "name": message["name"],
            "agentId": AGENT,
            "messageId": MESSAGE_ID,
            "outcome": {"const": outcome.value},
            "revision": said({"type": "integer", "minimum": 1}, revision),
            "sendTime": message["sendTime"],
            "expireTime": message["expireTime"],
            "delivery": delivery(),
        },
        {
            "messageTrafficType": message["messageTrafficType"],
            "rcsLength": message["rcsLength"],
            "metadata": metadata(),
        },
        description="The message without its content, and what became of it.",
    )


def _rbm(kind: Type) -> Json:
    """Return RBM's own form: what a type is told by, and what may stand beside it."""
    beside: Json = {
        "senderPhoneNumber": said(STRING, "The user's phone."),
        "phoneNumber": said(STRING, "The phone, where RBM itself tells."),
        "agentId": said(STRING, "With `@rbm.goog` behind it."),
        "eventId": STRING,
        "messageId": said(STRING, "Of our message in a receipt, else of the user's."),
        "sendTime": TIME,
    }
    if kind is events.RCS_LAUNCH:
        return thing({"newLaunchState": STRING}, beside | {"oldLaunchState": STRING})
    name = RBM[kind].get("eventType")
    own: Json = {"eventType": {"const": name}} if name else RBM_CONTENT[kind]
    if _names_message(kind):
        own |= {"agentId": beside["agentId"], "messageId": beside["messageId"]}
    return thing(own, {k: v for k, v in beside.items() if k not in own})


def _bandwidth(kind: Type) -> Json:
    """Return the form of one entry of Bandwidth's callbacks."""
    message = thing(
        {},
        {
            "id": STRING,
            "time": TIME,
            "direction": {"type": "string", "enum": ["in", "out"]},
            "owner": said(STRING, "The number of ours."),
            "from": STRING,
            "to": {"type": "array", "items": STRING},
            "text": STRING,
            "media": {"type": "array", "items": STRING},
            "segmentCount": COUNT,
            "tag": said(STRING, "`agent/messageId/attempt`, as we sent it."),
        },
    )
    return thing(
        {"type": {"const": BANDWIDTH[kind]["type"]}, "message": message},
        {
            "time": TIME,
            "description": STRING,
            "to": STRING,
            "errorCode": {"type": ["integer", "string"]},
        },
    )


def _review() -> Event:
    told = {"phone": samples.PHONE, "channel": "SMS", "text": "please stop texting me"}
    cause = event_id("text")
    return Event(
        id=event_id(cause, "review"),
        type=events.CONSENT_REVIEW,
        time=samples.NOW,
        data=_bytes(told),
        agent=samples.AGENT,
        message_id=samples.MESSAGE_ID,
        channel="SMS",
        cause=cause,
    )


def _bytes(payload: Json) -> bytes:
    return json.dumps(payload, ensure_ascii=False).encode()
