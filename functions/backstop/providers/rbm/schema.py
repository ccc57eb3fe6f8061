"""RBM's AgentMessage as a table: every field, its form and its published limit."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from backstop.domain.times import parse_duration, parse_time

_URL = re.compile(r"https?://[^\s\x00-\x1f\x7f]+", re.IGNORECASE)
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s\x00-\x1f\x7f]+")
_DIALLED = re.compile(r"[0-9+*#]+")
_ENUM_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_URL_LIMIT = 2048


@dataclass(frozen=True, kw_only=True)
class Text:
    """A string, never longer than `limit` characters; an empty one is unset."""

    limit: int | None = None
    pattern: re.Pattern[str] | None = None
    form: str = ""


@dataclass(frozen=True, kw_only=True)
class Instant:
    """An RFC 3339 time."""

    form = "an RFC 3339 time such as 2030-01-31T12:00:00Z"
    read = staticmethod(parse_time)


@dataclass(frozen=True, kw_only=True)
class Span:
    """A duration in seconds."""

    form = 'a duration such as "600s"'
    read = staticmethod(parse_duration)


@dataclass(frozen=True)
class Enum:
    """One of some names, or its place among them as a number.

    Without names any name passes: Google has not published the list.
    """

    names: tuple[str, ...] = ()
    pattern = _ENUM_NAME


@dataclass(frozen=True)
class Number:
    """A number within a range, or the same as a string."""

    low: float
    high: float


@dataclass(frozen=True)
class Flag:
    """True or false."""


@dataclass(frozen=True)
class Ignored:
    """Written by RBM only. Google takes no notice when a client sends it."""


@dataclass(frozen=True, kw_only=True)
class Many:
    """A list; an empty one is unset."""

    of: "Object"
    least: int = 0
    most: int


@dataclass(frozen=True)
class Object:
    """Fields by name; `one_of` names the fields of which exactly one is set."""

    fields: Mapping[str, "Form"]
    required: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    spellings: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        spellings = {name: name for name in self.fields}
        spellings |= {_snake(name): name for name in self.fields}
        object.__setattr__(self, "spellings", spellings)


Form = Text | Instant | Span | Enum | Number | Flag | Ignored | Many | Object


def _snake(name: str) -> str:
    return re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), name)


_FILE_URL = Text(limit=_URL_LIMIT, pattern=_URL, form="an http or https URL")
_LINK = Text(limit=_URL_LIMIT, pattern=_URI, form="a URL")
_LABEL = Text(limit=25)
_POSTBACK = Text(limit=2048)
_PHONE = Text(pattern=_DIALLED, form="digits, +, * and #")

CONTENT_INFO = Object(
    {"fileUrl": _FILE_URL, "thumbnailUrl": _FILE_URL, "forceRefresh": Flag()},
    required=("fileUrl",),
)
UPLOADED_FILE = Object(
    {"fileName": Text(), "thumbnailName": Text()}, required=("fileName",)
)

_COMPOSE = Object(
    {
        "composeTextMessage": Object(
            {"phoneNumber": _PHONE, "text": Text()}, required=("phoneNumber",)
        ),
        "composeRecordingMessage": Object(
            {"phoneNumber": _PHONE, "type": Enum()}, required=("phoneNumber",)
        ),
    },
    one_of=("composeTextMessage", "composeRecordingMessage"),
)
_ACTIONS: dict[str, Form] = {
    "dialAction": Object({"phoneNumber": _PHONE}, required=("phoneNumber",)),
    "openUrlAction": Object(
        {
            "url": _LINK,
            "application": Enum(),
            "webviewViewMode": Enum(
                ("WEBVIEW_VIEW_MODE_UNSPECIFIED", "FULL", "HALF", "TALL")
            ),
            "description": Text(),
        },
        required=("url",),
    ),
    "viewLocationAction": Object(
        {
            "latLong": Object(
                {"latitude": Number(-90, 90), "longitude": Number(-180, 180)}
            ),
            "label": Text(),
            "query": Text(),
        },
        any_of=("latLong", "query"),
    ),
    "createCalendarEventAction": Object(
        {
            "startTime": Instant(),
            "endTime": Instant(),
            "title": Text(limit=100),
            "description": Text(limit=500),
        },
        required=("startTime", "endTime", "title"),
    ),
    "shareLocationAction": Object({}),
    "composeAction": _COMPOSE,
}
SUGGESTION = Object(
    {
        "reply": Object(
            {"text": _LABEL, "postbackData": _POSTBACK}, required=("text",)
        ),
        "action": Object(
            {
                "text": _LABEL,
                "postbackData": _POSTBACK,
                "fallbackUrl": _LINK,
                **_ACTIONS,
            },
            required=("text",),
            one_of=tuple(_ACTIONS),
        ),
    },
    one_of=("reply", "action"),
)

CARD = Object(
    {
        "title": Text(limit=200),
        "description": Text(limit=2000),
        "media": Object(
            {
                "height": Enum(("HEIGHT_UNSPECIFIED", "SHORT", "MEDIUM", "TALL")),
                "contentInfo": CONTENT_INFO,
                "uploadedRbmFile": UPLOADED_FILE,
                "fileName": Text(),
            },
            one_of=("contentInfo", "uploadedRbmFile", "fileName"),
        ),
        # Google's guide says 4, its newer client library 10.
        "suggestions": Many(of=SUGGESTION, most=10),
    },
    any_of=("title", "description", "media"),
)
RICH_CARD = Object(
    {
        "standaloneCard": Object(
            {
                "cardOrientation": Enum(
                    ("CARD_ORIENTATION_UNSPECIFIED", "HORIZONTAL", "VERTICAL")
                ),
                "thumbnailImageAlignment": Enum(
                    ("THUMBNAIL_IMAGE_ALIGNMENT_UNSPECIFIED", "LEFT", "RIGHT")
                ),
                "cardContent": CARD,
            },
            required=("cardContent",),
        ),
        "carouselCard": Object(
            {
                "cardWidth": Enum(("CARD_WIDTH_UNSPECIFIED", "SMALL", "MEDIUM")),
                "cardContents": Many(of=CARD, least=2, most=10),
            },
            required=("cardContents",),
        ),
    },
    one_of=("standaloneCard", "carouselCard"),
)

_KINDS: dict[str, Form] = {
    "text": Text(limit=3072),
    "fileName": Text(),
    "uploadedRbmFile": UPLOADED_FILE,
    "richCard": RICH_CARD,
    "contentInfo": CONTENT_INFO,
}
AGENT_MESSAGE = Object(
    {
        "contentMessage": Object(
            {**_KINDS, "suggestions": Many(of=SUGGESTION, most=11)},
            one_of=tuple(_KINDS),
        ),
        "messageTrafficType": Enum(
            (
                "MESSAGE_TRAFFIC_TYPE_UNSPECIFIED",
                "AUTHENTICATION",
                "TRANSACTION",
                "PROMOTION",
                "SERVICEREQUEST",
                "ACKNOWLEDGEMENT",
            )
        ),
        "ttl": Span(),
        "expireTime": Instant(),
        "name": Ignored(),
        "sendTime": Ignored(),
        "richMessageClassification": Ignored(),
        "totalPayloadSizeBytes": Ignored(),
        "carrier": Ignored(),
    },
    required=("contentMessage",),
)
AGENT_EVENT = Object(
    {
        "eventType": Enum(("TYPE_UNSPECIFIED", "IS_TYPING", "READ")),
        "messageId": Text(limit=256),
        "name": Ignored(),
        "sendTime": Ignored(),
    },
    required=("eventType",),
)
