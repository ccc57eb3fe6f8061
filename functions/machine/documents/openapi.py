"""The app API as an OpenAPI 3.1 document, made of the code that answers it."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from backstop.domain.message import Json
from backstop.edge import api
from backstop.edge.answers import Problem
from backstop.edge.asked import GOOGLES, PHONE
from machine.documents import problems, samples
from machine.documents.forms import STRING, whole
from machine.documents.operations import Operation, operations
from machine.documents.schemas import MESSAGE_ID, VERSION, components, ref

PHONE_NUMBER: Json = {"type": "string", "pattern": whole(PHONE)}

PATH_PARAMETERS: Mapping[str, Json] = {
    "phone": {
        "description": "The recipient, in E.164.",
        "schema": PHONE_NUMBER,
        "example": samples.PHONE,
    },
    "messageId": {
        "description": "The id under which the message was sent.",
        "schema": MESSAGE_ID,
        "example": samples.MESSAGE_ID,
    },
}

QUERY_PARAMETERS: Mapping[str, Json] = {
    "messageId": {
        "description": "Your own id, new for each message and the same for each"
        " repeat of it. Without one a repeat cannot be recognised, and is sent"
        " once more.",
        "schema": MESSAGE_ID,
        "example": samples.MESSAGE_ID,
    },
    "agentId": {
        "description": "Which agent it is about. It may be left out where one is"
        " configured.",
        "schema": STRING,
    },
    "validateOnly": {
        "description": "Answer what the message would be, SMS included; send and"
        " keep nothing.",
        "schema": {"type": "boolean"},
    },
    "pageSize": {
        "description": f"How many at most; never more than {api.LARGEST_PAGE}.",
        "schema": {
            "type": "integer",
            "minimum": 1,
            "maximum": 999_999_999,
            "default": api.PAGE_SIZE,
        },
        "example": 10,
    },
    "pageToken": {
        "description": "The `nextPageToken` of the page before.",
        "schema": STRING,
    },
    "eventId": {
        "description": "Your own id, new for each event. Made for you when absent.",
        "schema": MESSAGE_ID,
        "example": "typing-1",
    },
    "requestId": {
        "description": "Your own id. Made for you when absent.",
        "schema": MESSAGE_ID,
    },
    "messageIdPrefix": {
        "description": "What the ids of the messages begin with.",
        "schema": STRING,
        "example": "welcome",
    },
}

INTRODUCTION = f"""\
Send a message by RCS and, when the phone has not confirmed it by its deadline, by SMS.

The API has the shape of Google's RBM API: an RBM client gains the SMS by changing its \
base URL. Where it is deployed it asks for a bearer token; on one machine it does not \
until one is configured.

Ids and phones are yours to escape in a path, `+` may stand as it is. A query \
parameter that is not known is refused with 400, an empty one counts as absent. \
Google's own are taken on every method, and change nothing except where a call is \
handed on to RBM: \
{", ".join(f"`{name}`" for name in sorted(GOOGLES))}.

A method that a path does not have is answered 405, a path that does not exist 404. \
Fields may be added to answers: ignore those that you do not know.

What becomes of messages, and what users say back, is published as events: see the \
catalogue of events.
"""


def document() -> Json:
    """Return the document."""
    paths: dict[str, Json] = {}
    for operation in operations():
        paths.setdefault(operation.path, _path(operation))
        paths[operation.path][operation.method] = _operation(operation)
    groups = dict.fromkeys(operation.group for operation in operations())
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Backstop",
            "version": VERSION,
            "summary": "RCS first, SMS when that does not arrive.",
            "description": INTRODUCTION,
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {}],
        "tags": [{"name": group} for group in groups],
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": components(),
        },
    }


def _path(operation: Operation) -> Json:
    parameters = [
        {"name": name, "in": "path", "required": True, **told}
        for name, told in PATH_PARAMETERS.items()
        if f"{{{name}}}" in operation.path
    ]
    return {"parameters": parameters} if parameters else {}


def _operation(operation: Operation) -> Json:
    return {
        "operationId": operation.name,
        "tags": [operation.group],
        "summary": operation.summary,
        **({"description": operation.text} if operation.text else {}),
        **({"parameters": _query(operation)} if operation.query else {}),
        **({"requestBody": _body(operation)} if operation.body is not None else {}),
        "responses": _responses(operation),
    }


def _query(operation: Operation) -> list[Json]:
    return [
        {"name": name, "in": "query", **QUERY_PARAMETERS[name]}
        for name in operation.query
    ]


def _body(operation: Operation) -> Json:
    content: Json = {"schema": operation.body}
    if operation.requests:
        content["examples"] = _examples(operation.requests)
    return {
        "required": True,
        "description": f"At most {operation.limit // 1024} KiB.",
        "content": {operation.media_type: content},
    }


def _responses(operation: Operation) -> Json:
    done = {
        "description": "Done." if not operation.handed_on else "RBM's answer.",
        "content": _json(operation.answer, operation.answers),
    }
    refused = {
        str(status): _refusal(status, named)
        for status, named in operation.problems.items()
    }
    others: Json = {}
    if operation.handed_on:
        others["default"] = {
            "description": "RBM's own refusal, handed on.",
            "content": _json(ref("Error"), {}),
        }
    return {"200": done, **refused, **others}


def _refusal(status: int, named: Mapping[str, Problem]) -> Json:
    bodies = {name: problems.body(problem) for name, problem in named.items()}
    headers = {
        name: {"schema": STRING, "example": value}
        for problem in named.values()
        for name, value in (problem.headers or {}).items()
    }
    return {
        "description": f"{HTTPStatus(status).phrase}.",
        **({"headers": headers} if headers else {}),
        "content": _json(ref("Error"), bodies),
    }


def _json(schema: Json, examples: Mapping[str, Any]) -> Json:
    content: Json = {"schema": schema}
    if examples:
        content["examples"] = _examples(examples)
    return {"application/json": content}


def _examples(values: Mapping[str, Any]) -> Json:
    return {
        name.replace(" ", "-").replace(",", "").replace("'", ""): {
            "summary": f"{name[0].upper()}{name[1:]}",
            "value": value,
        }
        for name, value in values.items()
    }
