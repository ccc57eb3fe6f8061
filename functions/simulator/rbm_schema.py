"""The shape of what an agent may send, field by field."""

from .protojson import (
    BOOL,
    DOUBLE,
    DURATION,
    INT,
    STRING,
    TIMESTAMP,
    Enum,
    Many,
    message,
)

_LAT_LONG = message(latitude=DOUBLE, longitude=DOUBLE)
ACTIONS = {
    "dialAction": message(phoneNumber=STRING),
    "openUrlAction": message(
        url=STRING,
        application=Enum(("OPEN_URL_APPLICATION_UNSPECIFIED", "BROWSER", "WEBVIEW")),
        webviewViewMode=Enum(("WEBVIEW_VIEW_MODE_UNSPECIFIED", "FULL", "HALF", "TALL")),
        description=STRING,
    ),
    "viewLocationAction": message(latLong=_LAT_LONG, label=STRING, query=STRING),
    "createCalendarEventAction": message(
        startTime=TIMESTAMP, endTime=TIMESTAMP, title=STRING, description=STRING
    ),
    "shareLocationAction": message(),
    "composeAction": message(
        composeTextMessage=message(phoneNumber=STRING, text=STRING),
        composeRecordingMessage=message(
            phoneNumber=STRING, type=Enum(("TYPE_UNSPECIFIED", "AUDIO", "VIDEO"))
        ),
    ),
}
_SUGGESTION = message(
    {"option": ("reply", "action")},
    reply=message(text=STRING, postbackData=STRING),
    action=message(
        {"action": tuple(ACTIONS)},
        text=STRING,
        postbackData=STRING,
        fallbackUrl=STRING,
        **ACTIONS,
    ),
)
_CONTENT_INFO = message(fileUrl=STRING, thumbnailUrl=STRING, forceRefresh=BOOL)
_UPLOADED = message(fileName=STRING, thumbnailName=STRING)
_MEDIA = message(
    {"content": ("fileName", "uploadedRbmFile", "contentInfo")},
    height=Enum(("HEIGHT_UNSPECIFIED", "SHORT", "MEDIUM", "TALL")),
    fileName=STRING,
    uploadedRbmFile=_UPLOADED,
    contentInfo=_CONTENT_INFO,
)
_CARD = message(
    title=STRING, description=STRING, media=_MEDIA, suggestions=Many(_SUGGESTION)
)
CONTENTS = ("text", "fileName", "uploadedRbmFile", "richCard", "contentInfo")
TRAFFIC_TYPES = (
    "MESSAGE_TRAFFIC_TYPE_UNSPECIFIED",
    "AUTHENTICATION",
    "TRANSACTION",
    "PROMOTION",
    "SERVICEREQUEST",
    "ACKNOWLEDGEMENT",
)

AGENT_MESSAGE = message(
    {"expiration": ("expireTime", "ttl")},
    name=STRING,
    sendTime=TIMESTAMP,
    messageTrafficType=Enum(TRAFFIC_TYPES),
    expireTime=TIMESTAMP,
    ttl=DURATION,
    carrier=STRING,
    totalPayloadSizeBytes=INT,
    contentMessage=message(
        {"content": CONTENTS},
        text=STRING,
        fileName=STRING,
        uploadedRbmFile=_UPLOADED,
        contentInfo=_CONTENT_INFO,
        richCard=message(
            {"card": ("carouselCard", "standaloneCard")},
            standaloneCard=message(
                cardOrientation=Enum(
                    ("CARD_ORIENTATION_UNSPECIFIED", "HORIZONTAL", "VERTICAL")
                ),
                thumbnailImageAlignment=Enum(
                    ("THUMBNAIL_IMAGE_ALIGNMENT_UNSPECIFIED", "LEFT", "RIGHT")
                ),
                cardContent=_CARD,
            ),
            carouselCard=message(
                cardWidth=Enum(("CARD_WIDTH_UNSPECIFIED", "SMALL", "MEDIUM")),
                cardContents=Many(_CARD),
            ),
        ),
        suggestions=Many(_SUGGESTION),
    ),
)
AGENT_EVENT = message(
    name=STRING,
    eventType=Enum(("TYPE_UNSPECIFIED", "IS_TYPING", "READ")),
    messageId=STRING,
    sendTime=TIMESTAMP,
)
BATCH = message(users=Many(STRING), agentId=STRING)
FILE = message(
    fileUrl=STRING, thumbnailUrl=STRING, agentId=STRING, contentDescription=STRING
)
TESTER = message(
    name=STRING,
    inviteStatus=Enum(("INVITE_STATUS_UNSPECIFIED", "PENDING", "ACCEPTED", "DECLINED")),
)
DIALOGFLOW = message(name=STRING, eventName=STRING, languageCode=STRING)
CAPABILITY = message(requestId=STRING)
