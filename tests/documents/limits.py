"""Goes to the limits that a schema states, and one step beyond."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from documents.reader import Document, Json

Wrap = Callable[[Any], Any]
Try = tuple[str, Any, bool]
"""Which limit, a body to send, and whether it is within."""

SAMPLES = (
    "x",
    "https://example.com/a",
    "12345",
    "600s",
    "NAME",
    "2030-01-31T12:00:00Z",
)


def tries(api: Document, schema: Json) -> Iterator[Try]:
    """Yield bodies at every limit of a request's schema, and just beyond it."""
    for path, spot, wrap in _spots(api, schema, "", lambda value: value):
        for limit, value, within in _around(api, spot):
            yield f"{path} {limit}", wrap(value), within


def least(api: Document, schema: Json, *, having: str = "") -> Any:
    """Return about the smallest value that a schema allows."""
    schema = api.resolve(schema)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if "properties" in schema:
        names = {*schema.get("required", []), having} - {""}
        for choice in ("oneOf", "anyOf"):
            choices = [each["required"][0] for each in schema.get(choice, [])]
            if choices and not names & set(choices):
                names.add(choices[0])
        fields = schema["properties"]
        # In the document's order, so that bodies are the same in every run.
        return {n: least(api, fields[n]) for n in fields if n in names}
    if "anyOf" in schema:
        return least(api, schema["anyOf"][0])
    if "items" in schema:
        return [least(api, schema["items"])] * max(schema.get("minItems", 0), 1)
    if schema.get("type") in {"number", "integer"}:
        return schema.get("minimum", 0)
    return {"boolean": True, "object": {}}.get(schema.get("type", ""), _text(schema))


def _text(schema: Json) -> str:
    if schema.get("format") == "date-time":
        return SAMPLES[-1]
    pattern = schema.get("pattern", "")
    return next(sample for sample in SAMPLES if re.search(pattern, sample))


def _spots(
    api: Document, schema: Json, path: str, wrap: Wrap
) -> Iterator[tuple[str, Json, Wrap]]:
    """Yield every value in a body: where, its schema, and how to put it there."""
    schema = api.resolve(schema)
    yield path, schema, wrap
    for choice in schema.get("anyOf", []) if "properties" not in schema else []:
        yield from _spots(api, choice, path, wrap)
    for name, inner in schema.get("properties", {}).items():
        if not inner.get("readOnly"):
            rest = least(api, schema, having=name)
            put = _putting(wrap, rest, name)
            yield from _spots(api, inner, f"{path}.{name}", put)
    if isinstance(schema.get("additionalProperties"), dict):
        put = _putting(wrap, {}, "key")
        yield from _spots(api, schema["additionalProperties"], f"{path}.key", put)
    if "items" in schema:
        others = [least(api, schema["items"])] * (schema.get("minItems", 1) - 1)
        listed: Wrap = lambda value: wrap([value, *others])  # noqa: E731
        yield from _spots(api, schema["items"], f"{path}[]", listed)


def _putting(wrap: Wrap, rest: Json, name: str) -> Wrap:
    return lambda value: wrap({**rest, name: value})


def _around(api: Document, schema: Json) -> Iterator[Try]:
    yield from _lengths(schema)
    yield from _counts(api, schema)
    yield from _words(schema)
    if schema.get("additionalProperties") is False:
        yield from _fields(least(api, schema), schema.get("required", []))


def _lengths(schema: Json) -> Iterator[Try]:
    if "maxLength" in schema:
        start, most = _text(schema), schema["maxLength"]
        whole = start + start[-1] * (most - len(start))
        yield "maxLength", whole, True
        yield "maxLength", whole + start[-1], False
    if "minLength" in schema:
        yield "minLength", "", False


def _counts(api: Document, schema: Json) -> Iterator[Try]:
    item = least(api, schema["items"]) if "items" in schema else None
    if "maxItems" in schema:
        yield "maxItems", [item] * schema["maxItems"], True
        yield "maxItems", [item] * (schema["maxItems"] + 1), False
    if "minItems" in schema:
        yield "minItems", [item] * schema["minItems"], True
        yield "minItems", [item] * (schema["minItems"] - 1), False
    if "maxProperties" in schema:
        most = {str(n): "" for n in range(schema["maxProperties"])}
        yield "maxProperties", most, True
        yield "maxProperties", {**most, "one more": ""}, False


def _words(schema: Json) -> Iterator[Try]:
    for name, step in (("minimum", -1), ("maximum", 1)):
        if name in schema:
            yield name, schema[name], True
            yield name, schema[name] + step, False
    if "enum" in schema:
        yield from (("enum", word, True) for word in schema["enum"])
        yield "enum", "NO_SUCH_WORD", False
    if "pattern" in schema:
        yield "pattern", "§ § §", False
    if schema.get("format") == "date-time":
        yield "format", "tomorrow", False


def _fields(whole: Json, required: list[str]) -> Iterator[Try]:
    yield "additionalProperties", {**whole, "noSuchField": 1}, False
    for name in required:
        yield f"required {name}", {n: whole[n] for n in whole if n != name}, False
