"""What goes in and what comes out: the schemas that both documents are made of."""

from backstop.domain import policy
from backstop.domain.consent import KEPT, LONGEST_WORDING, Wish
from backstop.domain.message import Closed, Do, Json, Outcome, Policy, Rcs, Sms, Traffic
from backstop.domain.signal import Kind
from backstop.domain.sms_text import LIMIT as SMS_TEXT_LIMIT
from backstop.edge import api, order
from backstop.edge.asked import ID
from backstop.providers.rbm import schema as rbm
from machine.documents.forms import COUNT, STRING, TIME, Forms, thing, whole, words

VERSION = "1.0.0"
"""Of both documents. What breaks a client that keeps to one raises the first part."""

MOST_MEDIA = 10
LONGEST_MEDIA_URL = 4096

NAMED = {
    "ContentMessage": rbm.AGENT_MESSAGE.fields["contentMessage"],
    "RichCard": rbm.RICH_CARD,
    "Card": rbm.CARD,
    "Suggestion": rbm.SUGGESTION,
    "ContentInfo": rbm.CONTENT_INFO,
    "UploadedFile": rbm.UPLOADED_FILE,
}
COMPONENTS = "#/components/schemas/"

AGENT = STRING | {"minLength": 1}
EVENT_ID: Json = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
EVENT_NAME: Json = {"type": "string", "pattern": r"^backstop\.[a-z_.]+$"}
MESSAGE_ID: Json = {
    "type": "string",
    "pattern": whole(ID),
    # Another path to every client and proxy on the way.
    "not": {"enum": [".", ".."]},
}

RULES = sorted(
    {rule.rule for rule in vars(policy).values() if isinstance(rule, policy.Decision)}
    | {reason.value.lower() for reason in Closed}
    | {"accepted"}
)
PASSING = (
    Kind.DEADLINE_PASSED,
    Kind.GRACE_OVER,
    Kind.ANSWER_LOST,
    Kind.RECEIPT_OVERDUE,
)
COMING = sorted(
    [kind.value for kind in PASSING]
    + [f"{again.lower()}_again" for again in (Do.CREATE, Do.REVOKE, Do.FALL_BACK)]
)


OF_EVENT = {"eventType", "messageId"}


def said(schema: Json, description: str) -> Json:
    return {**schema, "description": description}


def components() -> Json:
    """Return all that the API document refers to by name."""
    forms = Forms(NAMED, COMPONENTS)
    message = agent_message()
    return {
        "SendRequest": send_request(forms),
        "Fallback": fallback(),
        "Metadata": metadata(),
        **forms.definitions(),
        "AgentMessage": message,
        "Preview": preview(message),
        "AgentMessages": thing(
            {"agentMessages": {"type": "array", "items": ref("AgentMessage")}},
            {"nextPageToken": said(STRING, "Absent on the last page.")},
        ),
        "Sms": sms(),
        "Delivery": delivery(),
        "AgentEventRequest": agent_event_request(forms),
        "AgentEvent": agent_event(),
        "Capabilities": capabilities(),
        "ConsentRequest": consent_request(),
        "Consent": consent(),
        "Empty": {"type": "object", "maxProperties": 0},
        "Error": error(),
    }


def ref(name: str) -> Json:
    return {"$ref": COMPONENTS + name}


def send_request(forms: Forms) -> Json:
    """Return RBM's AgentMessage, with what Backstop adds to it."""
    schema = forms.schema(rbm.AGENT_MESSAGE)
    own = {"fallback": ref("Fallback"), "metadata": ref("Metadata")}
    fields = {**schema["properties"], **own}
    for name, words_ in {
        "messageTrafficType": "What kind of message it is. It decides the default"
        " policy and deadline, and whether an opt-out stops it.",
        "ttl": 'How long RCS alone is tried, such as "600s": more than nothing, at'
        " most 15 days.",
        "expireTime": "Until when RCS alone is tried, in place of `ttl`: in the"
        " future, at most 15 days ahead.",
    }.items():
        fields[name] = said(fields[name], words_)
    return {
        **schema,
        "properties": fields,
        "not": {"required": ["ttl", "expireTime"]},
        "description": "RBM's AgentMessage and two fields of Backstop's own."
        " Content without words of its own needs `fallback.text`, or no fallback."
        " A field that is null, or an empty string or list, counts as absent; names"
        " in snake_case and enums as numbers are understood as well. At most 250 KB"
        " without the two.",
    }


def fallback() -> Json:
    """Return what an app may say about the SMS."""
    chosen = [each.value for each in Policy if each in order.CHOICES]
    url = {"type": "string", "pattern": "^https?://", "maxLength": LONGEST_MEDIA_URL}
    fields: Json = {
        "text": said(
            STRING | {"maxLength": SMS_TEXT_LIMIT},
            "What the SMS says. Without it the words come from the content.",
        ),
        "media": {
            "type": "array",
            "items": url,
            "maxItems": MOST_MEDIA,
            "description": "Files by URL: with them it is an MMS.",
        },
        "from": said(STRING, "One of the agent's numbers; else the first of them."),
        "policy": said(
            {"type": "string", "enum": chosen},
            "When the SMS may leave: PROMPT at the deadline, CONFIRMED when RBM has"
            " withdrawn the RCS message or a grace period is over, STRICT only when"
            " it has, HEDGE at once.",
        ),
    }
    never = said({"const": False}, "No SMS, whatever becomes of the RCS message.")
    how = {"type": "object", "properties": fields, "additionalProperties": False}
    return {"description": "The SMS, if there is to be one.", "anyOf": [how, never]}


def metadata() -> Json:
    value = STRING | {"maxLength": order.METADATA_VALUE_LIMIT}
    return {
        "type": "object",
        "maxProperties": order.METADATA_LIMIT,
        "additionalProperties": value,
        "description": "The app's own notes, given back in every answer and outcome"
        " event.",
    }


def agent_message() -> Json:
    """Return the answer about a message."""
    return thing(
        {
            "name": said(STRING, "`phones/{phone}/agentMessages/{messageId}`."),
            "sendTime": said(TIME, "When Backstop accepted it."),
            "contentMessage": ref("ContentMessage"),
            "expireTime": said(TIME, "The deadline: until then RCS alone is tried."),
            "fallback": {
                "description": "What the SMS says, or would say; false for none.",
                "anyOf": [ref("Sms"), {"const": False}],
            },
            "delivery": ref("Delivery"),
        },
        {
            "messageTrafficType": words(Traffic),
            "rcsLength": said(COUNT, "Of a text, in UTF-8 bytes, as RBM bills it."),
            "metadata": ref("Metadata"),
        },
        description="RBM's AgentMessage, and what became of it.",
    )


def preview(message: Json) -> Json:
    """Return the answer to `validateOnly`: nothing has become of it."""
    unknown = {"sendTime", "delivery"}
    fields = {k: v for k, v in message["properties"].items() if k not in unknown}
    return {
        **message,
        "properties": fields,
        "required": [name for name in message["required"] if name not in unknown],
        "description": "What the message would be. Nothing was sent or kept.",
    }


def sms() -> Json:
    reply = thing({"number": COUNT, "text": STRING, "postbackData": STRING})
    return thing(
        {
            "text": STRING,
            "from": said(STRING, "The number it comes from."),
            "cut": said({"type": "boolean"}, "Whether only a part fitted."),
        },
        {
            "media": {"type": "array", "items": STRING},
            "encoding": {"type": "string", "enum": ["GSM-7", "UCS-2"]},
            "segments": said(COUNT, "How many SMS it is billed as."),
            "forcedBy": {
                "type": "array",
                "items": STRING,
                "description": "The characters that GSM-7 does not have.",
            },
            "replies": {
                "type": "array",
                "items": reply,
                "description": "The suggested replies that it lists. To text back"
                " the number is to tap.",
            },
        },
        description="The SMS of a message.",
    )


def delivery() -> Json:
    """Return what became of a message: alike in answers and outcome events."""
    leg = {"at": TIME}
    sms_leg = {
        "segments": COUNT,
        "by": said(
            {"type": "string", "enum": ["carrier", "handset"]},
            "Whose word DELIVERED is.",
        ),
        "code": said(COUNT, "The SMS provider's error code."),
    }
    step = thing(
        {
            "time": TIME,
            "type": said(STRING, "An event of the catalogue, or a step of our own."),
            "leg": {"type": "string", "enum": ["rcs", "sms", ""]},
            "id": said(STRING, 'The `ce-id` of the event; "" for our own steps.'),
        }
    )
    return thing(
        {
            "outcome": said(words(Outcome), "What became of it so far."),
            "policy": words(Policy),
            "deadline": TIME,
            "rcs": thing({"state": words(Rcs), **leg}),
            "rule": said(
                {"type": "string", "enum": RULES}, "What was decided last, and why."
            ),
            "events": {"type": "array", "items": step},
        },
        {
            "sms": thing({"state": words(Sms), **leg, "attempts": COUNT}, sms_leg),
            "closed": said(words(Closed), "Why nothing more is sent."),
            "revision": said(
                COUNT, "How often an outcome was published: corrections count."
            ),
            "next": thing(
                {"what": {"type": "string", "enum": COMING}, "at": TIME},
                description="What time does next, and when.",
            ),
        },
        description="What became of a message, which rule decided, and what happens"
        " next.",
    )


def agent_event_request(forms: Forms) -> Json:
    """Return RBM's AgentEvent: READ says of which message, and nothing else does."""
    schema = forms.schema(rbm.AGENT_EVENT)
    fields = schema["properties"]

    def one(kind: str, *more: str) -> Json:
        own = {name: each for name, each in fields.items() if name not in OF_EVENT}
        own |= {"eventType": {"const": kind}} | {name: fields[name] for name in more}
        return {**schema, "properties": own, "required": ["eventType", *more]}

    message = said(fields["messageId"] | {"minLength": 1}, "The user's message.")
    fields["messageId"] = message
    return {"anyOf": [one("READ", "messageId"), one("IS_TYPING")]}


def agent_event() -> Json:
    return thing(
        {
            "name": said(STRING, "`phones/{phone}/agentEvents/{eventId}`."),
            "eventType": {"type": "string", "enum": ["IS_TYPING", "READ"]},
        },
        {"messageId": STRING, "sendTime": TIME},
        description="RBM's AgentEvent.",
    )


def capabilities() -> Json:
    return thing(
        {},
        {
            "features": {"type": "array", "items": STRING},
            "carrier": STRING,
        },
        description="What RBM says that the phone can show, as RBM says it.",
    )


def consent_request() -> Json:
    chosen = [wish.value for wish in Wish if wish.value in api.CHOSEN]
    return {
        "type": "object",
        "properties": {
            "state": {"type": "string", "enum": chosen},
            "at": said(TIME, "When the choice was made, if it was not just now."),
        },
        "required": ["state"],
        "additionalProperties": False,
        "description": "A choice that the recipient made elsewhere.",
    }


def consent() -> Json:
    change: Json = {
        "at": TIME,
        "channel": {"type": "string", "enum": ["APP", "RCS", "SMS"]},
        "evidence": said(EVENT_ID, "The event that proves it."),
    }
    wording: Json = {
        "wording": said(STRING | {"maxLength": LONGEST_WORDING}, "What was said.")
    }
    state = words(Wish)
    return thing(
        {
            "name": said(STRING, "`phones/{phone}/consent`."),
            "agentId": AGENT,
            "state": said(state, "UNKNOWN may be sent to."),
            "history": {
                "type": "array",
                "maxItems": KEPT,
                "items": thing({"state": state, **change}, wording),
                "description": "Every change, newest first.",
            },
        },
        {**change, **wording},
        description="What the recipient chose, and where that came from.",
    )


def error() -> Json:
    violation = thing({"field": STRING, "description": STRING})
    details = thing(
        {"@type": STRING},
        {
            "fieldViolations": {"type": "array", "items": violation},
            "reason": STRING,
            "domain": STRING,
        },
    )
    return thing(
        {
            "error": thing(
                {
                    "code": said({"type": "integer"}, "The HTTP status once more."),
                    "message": said(STRING, "For people: it may change."),
                    "status": said(STRING, "For programs, beside `reason`."),
                },
                {"details": {"type": "array", "items": details}},
            )
        },
        description="Google's error.",
    )
