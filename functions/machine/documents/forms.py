"""RBM's table of fields, and the domain's words, as JSON Schema (draft 2020-12)."""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum

from backstop.domain.message import Json
from backstop.providers.rbm.schema import (
    Enum,
    Flag,
    Form,
    Ignored,
    Instant,
    Many,
    Number,
    Object,
    Span,
    Text,
)

TIME: Json = {"type": "string", "format": "date-time"}
SPAN: Json = {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,9})?s$"}
STRING: Json = {"type": "string"}
COUNT: Json = {"type": "integer", "minimum": 0}


class Forms:
    """Writes forms as schemas. Those that have a name are referred to by it."""

    def __init__(self, named: Mapping[str, Form], root: str) -> None:
        self._named = named
        self._root = root

    def definitions(self) -> Json:
        return {name: self._write(form) for name, form in self._named.items()}

    def schema(self, form: Form) -> Json:
        for name, known in self._named.items():
            if known is form:
                return {"$ref": self._root + name}
        return self._write(form)

    def _write(self, form: Form) -> Json:
        match form:
            case Object():
                return self._object(form)
            case Many():
                return {
                    "type": "array",
                    "items": self.schema(form.of),
                    "maxItems": form.most,
                } | ({"minItems": form.least} if form.least else {})
            case Text():
                return _text(form)
            case Instant() | Span():
                kind = TIME if isinstance(form, Instant) else SPAN
                return kind | {"description": _sentence(form.form)}
            case Enum():
                names = list(form.names)
                limits = {"enum": names} if names else {"pattern": whole(form.pattern)}
                return STRING | limits
            case Number():
                return {"type": "number", "minimum": form.low, "maximum": form.high}
            case Flag():
                return {"type": "boolean"}
            case Ignored():
                return {"readOnly": True, "description": "Ignored when it is sent."}

    def _object(self, form: Object) -> Json:
        # An empty string is no string: where one must be, it must not be empty.
        needed = {*form.required, *form.one_of, *form.any_of}
        fields = {
            name: {**self.schema(inner), "minLength": 1}
            if name in needed and isinstance(inner, Text)
            else self.schema(inner)
            for name, inner in form.fields.items()
        }
        return {
            "type": "object",
            "properties": fields,
            **({"required": list(form.required)} if form.required else {}),
            **({"oneOf": _each(form.one_of)} if form.one_of else {}),
            **({"anyOf": _each(form.any_of)} if form.any_of else {}),
            "additionalProperties": False,
        }


def whole(pattern: re.Pattern[str]) -> str:
    """Return what matches all of a string, in JavaScript's regular expressions.

    To those a next line (U+0085) is no space.
    """
    return f"^{pattern.pattern}$".replace(r"\s", r"\s\x85")


def words(*allowed: Iterable[StrEnum]) -> Json:
    """Return the schema of a string that is one of an enum's values."""
    return {"type": "string", "enum": [word.value for each in allowed for word in each]}


def thing(required: Json, optional: Json | None = None, **more: object) -> Json:
    """Return the schema of an object. What else it may hold is left open."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {}), **required},
        "required": list(required),
        **more,
    }


def _text(form: Text) -> Json:
    return {
        "type": "string",
        **({"maxLength": form.limit} if form.limit is not None else {}),
        **({"pattern": whole(form.pattern)} if form.pattern else {}),
        **({"description": _sentence(form.form)} if form.form else {}),
    }


def _each(names: Iterable[str]) -> list[Json]:
    return [{"required": [name]} for name in names]


def _sentence(form: str) -> str:
    return f"{form[0].upper()}{form[1:]}."
