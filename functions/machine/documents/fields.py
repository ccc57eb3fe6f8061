"""A JSON Schema in words, as HTML."""

import json
import re
from collections.abc import Iterator
from html import escape
from typing import Any

from backstop.domain.message import Json

LIMITS = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} of them",
    "maxItems": "at most {} of them",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "maxProperties": "at most {} keys",
    "default": "{} if absent",
}
CHOICES = {"oneOf": "Exactly one of", "anyOf": "At least one of"}


def shape(schema: Json) -> str:
    """Return the fields of a schema, those of objects inside folded away."""
    if "$ref" in schema:
        return f"<p>{kind(schema)}</p>"
    required = schema.get("required", [])
    rows = "".join(
        row(name, inner, required=name in required)
        for name, inner in schema.get("properties", {}).items()
    )
    if rows:
        return f"<dl>{rows}</dl>{_choice(schema)}"
    choices = schema.get("anyOf", [])
    return "".join(shape(each) or f"<p>{kind(each)}</p>" for each in choices)


def row(name: str, schema: Json, *, required: bool) -> str:
    """Return one field: its name, what it must be, and what it is for."""
    mark = " <em>required</em>" if required else ""
    term = f"<dt><code>{escape(name)}</code>{mark}</dt>"
    text = schema.get("description", "")
    told = f"<br>{inline(text)}" if text else ""
    inner = schema.get("items", schema)
    nested = fold("its fields", shape(inner)) if "properties" in inner else ""
    return f"<div>{term}<dd>{kind(schema)}{told}{nested}</dd></div>"


def kind(schema: Json) -> str:
    """Return in words what a value must be."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#schema-{name}">{name}</a>'
    if "const" in schema:
        return _value(schema["const"])
    if "enum" in schema:
        return ", ".join(_value(value) for value in schema["enum"])
    if "anyOf" in schema and "properties" not in schema:
        return " or ".join(kind(each) for each in schema["anyOf"])
    return "; ".join([_type(schema), *_limits(schema)])


def fold(title: str, inside: str) -> str:
    """Return what opens when its title is chosen, nothing if there is nothing."""
    if not inside:
        return ""
    return f"<details><summary>{escape(title)}</summary>{inside}</details>"


def inline(text: str) -> str:
    """Return a sentence with its `code`."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))


def _choice(schema: Json) -> str:
    """Return of which fields one must be there."""
    told = []
    for key, words in CHOICES.items():
        names = [name for each in schema.get(key, []) for name in each["required"]]
        if names:
            listed = ", ".join(f"<code>{name}</code>" for name in names)
            told.append(f"<p>{words} {listed}.</p>")
    return "".join(told)


def _type(schema: Json) -> str:
    if "items" in schema:
        return f"list of {kind(schema['items'])}"
    if schema.get("format") == "date-time":
        return "time (RFC 3339)"
    given: Any = schema.get("type", "anything")
    return " or ".join(given) if isinstance(given, list) else str(given)


def _limits(schema: Json) -> Iterator[str]:
    for name, words in LIMITS.items():
        if name in schema:
            yield words.format(schema[name])
    if "pattern" in schema:
        yield f"<code>{escape(schema['pattern'], quote=False)}</code>"
    if isinstance(schema.get("additionalProperties"), dict):
        yield f"each value a {kind(schema['additionalProperties'])}"


def _value(value: Any) -> str:
    return f"<code>{escape(json.dumps(value), quote=False)}</code>"
