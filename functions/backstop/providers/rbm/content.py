"""What an app sends: checked against RBM's limits, in RBM's one spelling."""

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Any, cast

import msgspec

from backstop.domain.invalid import Invalid
from backstop.domain.message import Json
from backstop.domain.times import parse_duration, parse_time
from backstop.providers.rbm.schema import (
    AGENT_EVENT,
    AGENT_MESSAGE,
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

_LONGEST_LIFE = timedelta(days=15)
_LARGEST = 250 * 1024

_NUMERAL = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,30})?")
_LONGEST_NAME = 64
_MOST_VIOLATIONS = 20


def canonical(message: Any, *, now: datetime) -> Json:
    """Return the AgentMessage in lowerCamel names, without nulls and empties.

    What RBM itself would read in another spelling (snake_case names, enums as
    numbers, coordinates as strings) comes out in the usual one; what only RBM
    writes is left out. Raises Invalid, naming every field that breaks a rule.
    """
    check = _Check()
    result = check.read(AGENT_MESSAGE, message, "")
    if isinstance(result, dict):
        check.expiry(result, now)
        check.cards(result)
        if not check.violations:
            check.size(result)
    return check.passed(result)


def canonical_event(event: Any) -> Json:
    """Return the AgentEvent, READ or IS_TYPING, likewise. Raises Invalid."""
    check = _Check()
    result = check.read(AGENT_EVENT, event, "")
    if not check.violations:
        check.occasion(result)
    return check.passed(result)


class _Check:
    """One walk over one message, which collects what is wrong with it."""

    def __init__(self) -> None:
        self.violations: list[tuple[str, str]] = []

    def read(self, form: Form, value: Any, path: str) -> Any:
        """Return the canonical value, None if it is unset or wrong."""
        try:
            match form:
                case Object():
                    return self._object(form, value, path)
                case Many():
                    return self._many(form, value, path)
                case Text():
                    return _text(form, value)
                case Instant() | Span():
                    return _time(form, value)
                case Enum():
                    return _enum(form, value)
                case Number():
                    return _number(form, value)
                case Flag():
                    return _flag(value)
                case Ignored():
                    return None
        except _Wrong as wrong:
            self._tell(path, str(wrong))
            return None

    def passed(self, result: Any) -> Json:
        """Return what was read. Raises Invalid if anything was wrong."""
        if self.violations:
            (name, sentence), *more = self.violations
            raise Invalid(name, sentence, *more)
        return cast("Json", result)

    def occasion(self, event: Json) -> None:
        """Check that a READ says of which message, and nothing else does."""
        kind = event.get("eventType")
        if kind == "TYPE_UNSPECIFIED":
            self._tell("eventType", "must be READ or IS_TYPING")
        elif kind == "READ" and "messageId" not in event:
            self._tell("messageId", "is required with READ: the user's message")
        elif kind == "IS_TYPING" and "messageId" in event:
            self._tell("messageId", "has no place in IS_TYPING")

    def expiry(self, message: Json, now: datetime) -> None:
        if "ttl" in message and "expireTime" in message:
            self._tell("expireTime", "cannot be set beside ttl")
        if "ttl" in message:
            name, left = "ttl", parse_duration(message["ttl"])
        elif "expireTime" in message:
            name, left = "expireTime", parse_time(message["expireTime"]) - now
        else:
            return
        if left <= timedelta():
            self._tell(name, "must lie in the future")
        elif left > _LONGEST_LIFE:
            self._tell(name, "must be at most 15 days ahead")

    def cards(self, message: Json) -> None:
        """Check what the fields of a card say about each other."""
        content = message.get("contentMessage", {})
        for card, path in _cards(content):
            rich = content["richCard"]
            media = card.get("media", {})
            small = rich.get("carouselCard", {}).get("cardWidth") == "SMALL"
            if small and media.get("height") == "TALL":
                height = f"{path}.media.height"
                self._tell(height, "cannot be TALL in a carousel of SMALL cards")
            standalone = rich.get("standaloneCard", {})
            flat = standalone.get("cardOrientation") == "HORIZONTAL"
            if flat and card.keys() == {"media"}:
                beside = "needs a title, a description or suggestions beside its media"
                self._tell(path, f"{beside} when the card is HORIZONTAL")

    def size(self, message: Json) -> None:
        if len(msgspec.json.encode(message)) > _LARGEST:
            self._tell("", "the message must be at most 250 KB")

    def _object(self, form: Object, value: Any, path: str) -> Json | None:
        if not isinstance(value, dict):
            raise _Wrong("must be an object")
        result: Json = {}
        wrong = set()
        for spelling, inner in value.items():
            name = form.spellings.get(spelling)
            if name is None:
                self._tell(_join(path, _printable(spelling)), "is not a field")
            elif name in result:
                self._tell(_join(path, name), "is given in two spellings")
            elif inner is not None:
                before = len(self.violations)
                read = self.read(form.fields[name], inner, _join(path, name))
                if read is not None:
                    result[name] = read
                elif len(self.violations) > before:
                    wrong.add(name)
        # A field that was given but is wrong has been told of already.
        self._presence(form, result.keys() | wrong, path)
        return result

    def _presence(self, form: Object, given: AbstractSet[str], path: str) -> None:
        for name in form.required:
            if name not in given:
                self._tell(_join(path, name), "is required")
        if form.one_of and len(given & set(form.one_of)) != 1:
            self._tell(path, f"needs exactly one of {', '.join(form.one_of)}")
        if form.any_of and not given & set(form.any_of):
            self._tell(path, f"needs at least one of {', '.join(form.any_of)}")

    def _many(self, form: Many, value: Any, path: str) -> list[Any] | None:
        if not isinstance(value, list):
            raise _Wrong("must be a list")
        if len(value) > form.most:
            raise _Wrong(f"must hold at most {form.most}")
        if value and len(value) < form.least:
            self._tell(path, f"must hold at least {form.least}")
        read = [
            self.read(form.of, item, f"{path}[{index}]")
            for index, item in enumerate(value)
        ]
        return read or None

    def _tell(self, path: str, sentence: str) -> None:
        if len(self.violations) < _MOST_VIOLATIONS:
            self.violations.append((path, sentence))


class _Wrong(Exception):  # noqa: N818 - named for what the value is
    """A value breaks the rule that the message states."""


def _text(form: Text, value: Any) -> str | None:
    if not isinstance(value, str):
        raise _Wrong("must be a string")
    if not _is_unicode(value):
        raise _Wrong("must be Unicode text")
    if form.limit is not None and len(value) > form.limit:
        raise _Wrong(f"must be at most {form.limit} characters")
    if value and form.pattern and not form.pattern.fullmatch(value):
        raise _Wrong(f"must be {form.form}")
    return value or None


def _time(form: Instant | Span, value: Any) -> str:
    if not isinstance(value, str):
        raise _Wrong(f"must be {form.form}")
    try:
        form.read(value)
    except ValueError:
        raise _Wrong(f"must be {form.form}") from None
    return value


def _enum(form: Enum, value: Any) -> str:
    if type(value) is int and 0 <= value < len(form.names):
        return form.names[value]
    if isinstance(value, str) and (
        value in form.names if form.names else form.pattern.fullmatch(value)
    ):
        return value
    raise _Wrong(
        f"must be one of {', '.join(form.names)}"
        if form.names
        else "must be a name in capitals"
    )


def _number(form: Number, value: Any) -> float:
    if isinstance(value, str) and _NUMERAL.fullmatch(value):
        value = float(value)
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and form.low <= value <= form.high
    ):
        return value
    raise _Wrong(f"must be a number from {form.low} to {form.high}")


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Wrong("must be true or false")
    return value


def _cards(content: Json) -> Iterator[tuple[Json, str]]:
    """Give every card of a content, and where it stands."""
    rich, path = content.get("richCard", {}), "contentMessage.richCard"
    if card := rich.get("standaloneCard", {}).get("cardContent"):
        yield card, f"{path}.standaloneCard.cardContent"
    for index, card in enumerate(rich.get("carouselCard", {}).get("cardContents", [])):
        if card:
            yield card, f"{path}.carouselCard.cardContents[{index}]"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _printable(name: str) -> str:
    return name[:_LONGEST_NAME].encode(errors="replace").decode()


def _is_unicode(text: str) -> bool:
    # JSON can spell half a surrogate pair, which no wire can carry.
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
