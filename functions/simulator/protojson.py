"""JSON as Google's front end reads it: tolerant in form, strict about names."""

import contextlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn

from .instants import duration, parse_duration, parse_rfc3339, proto_time
from .web import Refusal

STRING, BOOL, DOUBLE, INT, TIMESTAMP, DURATION = (
    "TYPE_STRING",
    "TYPE_BOOL",
    "TYPE_DOUBLE",
    "TYPE_INT64",
    "type.googleapis.com/google.protobuf.Timestamp",
    "type.googleapis.com/google.protobuf.Duration",
)
# Strings in either quotes; commas before a closing bracket; all else as it stands.
_LOOSE = re.compile(
    r'"(?:[^"\\]|\\.)*"' r"|'(?:[^'\\]|\\.)*'" r"|,(?=\s*[}\]])", re.DOTALL
)
_INTEGRAL = re.compile(r"-?\d{1,19}", re.ASCII)


@dataclass(frozen=True)
class Enum:
    """Values by name or by their place in *names*."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Many:
    """A repeated field."""

    kind: "Kind"


@dataclass(frozen=True)
class Message:
    """Fields by their lowerCamelCase names; of each union at most one is set."""

    fields: Mapping[str, "Kind"]
    unions: Mapping[str, tuple[str, ...]]


Kind = str | Enum | Many | Message


def message(
    unions: Mapping[str, tuple[str, ...]] | None = None, **fields: Kind
) -> Message:
    return Message(fields, unions or {})


def read(body: bytes, kind: Message, name: str) -> dict[str, Any]:
    """Parse *body* as *kind*: camelCase names, unset and default values left out."""
    if not body.strip():
        return {}
    value = load(body)
    if not isinstance(value, dict):
        refuse(name, "Invalid JSON payload received. Root element must be a message.")
    parsed: dict[str, Any] = _message(value, kind, name)
    return parsed


def load(body: bytes) -> Any:
    """Parse JSON, also with single quotes and trailing commas; 400 if it is none."""
    try:
        text = body.decode()
        try:
            value = _strict(text)
        except ValueError:
            value = _strict(_LOOSE.sub(_tighten, text))
        # What JSON can escape and UTF-8 cannot say would break every later writer.
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Refusal(
            400,
            "Invalid JSON payload received. Parser terminated before end of string.",
        ) from None
    return value


def refuse(path: str, problem: str) -> NoReturn:
    raise Refusal(400, problem, fields=((path, problem),))


def _strict(text: str) -> Any:
    # Google's own helper lets raw line ends into its strings.
    return json.loads(text, parse_constant=_no_constant, strict=False)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _tighten(match: re.Match[str]) -> str:
    found = match[0]
    if found == ",":
        return ""
    if found[0] == '"':
        return found
    inner = found[1:-1].replace("\\'", "'")
    return '"' + re.sub(r'(?<!\\)"', '\\"', inner) + '"'


def _message(value: Any, kind: Message, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        _mistyped(path, "a message", value)
    names: dict[str, str] = {_snake(name): name for name in kind.fields}
    result: dict[str, Any] = {}
    inner: Any
    for raw, inner in value.items():
        name = names.get(str(raw), str(raw))
        if name not in kind.fields:
            refuse(
                path,
                f'Invalid JSON payload received. Unknown name "{raw[:80]}" at '
                f"'{path}': Cannot find field.",
            )
        if inner is None:
            continue
        parsed = _value(inner, kind.fields[name], f"{path}.{_snake(name)}")
        if parsed is not None:
            result[name] = parsed
    for union, members in kind.unions.items():
        taken = [name for name in members if name in result]
        if len(taken) > 1:
            refuse(
                f"{path}.{_snake(taken[1])}",
                f"Invalid value at '{path}' (oneof), oneof field '{union}' is already "
                f"set. Cannot set '{taken[1]}'",
            )
    return result


def _value(value: Any, kind: Kind, path: str) -> Any:
    """Return the value, or None where it is its type's default."""
    if isinstance(kind, Message):
        return _message(value, kind, path)
    if isinstance(kind, Many):
        if not isinstance(value, list):
            _mistyped(path, "a list", value)
        items = [
            _value(item, kind.kind, f"{path}[{index}]")
            for index, item in enumerate(value)
        ]
        return [_filled(item, kind.kind) for item in items] or None
    if isinstance(kind, Enum):
        return _enum(value, kind, path)
    return _scalar(value, kind, path)


def _filled(item: Any, kind: Kind) -> Any:
    return "" if item is None and kind == STRING else item


def _enum(value: Any, kind: Enum, path: str) -> str | None:
    if type(value) is int and 0 <= value < len(kind.names):
        value = kind.names[value]
    if value not in kind.names:
        refuse(path, f"Invalid value at '{path}' (TYPE_ENUM), {_shown(value)}")
    return None if value == kind.names[0] else str(value)


def _scalar(value: Any, kind: str, path: str) -> Any:
    if kind == BOOL:
        if not isinstance(value, bool):
            _mistyped(path, kind, value)
        return value or None
    if kind == STRING:
        if not isinstance(value, str):
            _mistyped(path, kind, value)
        return value or None
    if kind in (TIMESTAMP, DURATION):
        return _time(value, kind, path)
    return _number(value, kind, path)


def _time(value: Any, kind: str, path: str) -> str:
    if not isinstance(value, str):
        _mistyped(path, kind, value)
    try:
        if kind == TIMESTAMP:
            return proto_time(parse_rfc3339(value))
        parsed = parse_duration(value)
    except ValueError:
        _mistyped(path, kind, value)
    return duration(parsed) if parsed >= 0 else "-" + duration(-parsed)


def _number(value: Any, kind: str, path: str) -> float | int:
    """Parse a number, or a string that holds one."""
    if kind == INT and isinstance(value, str) and _INTEGRAL.fullmatch(value):
        return int(value)
    if kind == INT and type(value) is int:
        return value
    if kind == DOUBLE and not isinstance(value, bool):
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            number = float(value)
            if math.isfinite(number):
                return number
    return _mistyped(path, kind, value)


def _mistyped(path: str, kind: str, value: Any) -> NoReturn:
    refuse(path, f"Invalid value at '{path}' ({kind}), {_shown(value)}")


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:80]


@cache
def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), name)
