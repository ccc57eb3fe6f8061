"""What can be made to go wrong at a carrier, and what can be set on it.

`status`      every API request (create, delete, send) gets this status, no effect
`delay`       answers take this long on the machine's clock, and events leave this much
              later on the messages' clock
`duplicate`   every event is sent twice
`reorder`     the events of a message leave in reverse order
`drop`        `answers`: requests take effect and the connection is closed unanswered;
              `requests`: closed without effect; `events` or true: no event is sent
`deleteContract`  `confirming` or `legacy` (RBM only)
`for`         a duration (`60s`, messages' clock) or a number of API requests, after
              which all of these clear themselves; what events suffer, those of the
              last such request suffer too
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from .instants import SECOND, duration, parse_duration
from .state import Store
from .web import Refusal, Verdict, wrong

_LOSSES = ("answers", "requests", "events")
_URL = re.compile(r"https?://[^\s/?#]+[^\s]*")


@dataclass(frozen=True)
class Faults:
    status: int | None = None
    delay: int = 0
    duplicate: bool = False
    reorder: bool = False
    drop: str | None = None
    delete_contract: str | None = None
    until: int | None = None
    requests_left: int | None = None


class Carrier:
    """The faults and the overridden settings of one carrier, kept over restarts."""

    def __init__(
        self,
        name: str,
        store: Store,
        now: Callable[[], int],
        settings: Mapping[str, Callable[[str, Any], Any]],
    ) -> None:
        self.name = name
        self._store = store
        self.now = now
        self._readers = settings
        self._faults = Faults(**store.setting(f"{name}.faults", {}))
        self._settings: dict[str, Any] = store.setting(f"{name}.settings", {})

    @property
    def faults(self) -> Faults:
        """Those in force now."""
        faults = self._faults
        if faults.until is not None and self.now() >= faults.until:
            return Faults()
        return faults

    def setting(self, name: str, default: Any) -> Any:
        return self._settings.get(name, default)

    def admit(self) -> Verdict:
        """Rule on one API request, counting it."""
        if self._faults == Faults():
            return Verdict()
        with self._store.transaction():
            faults = self.faults
            if faults.requests_left == 0:
                self._keep(faults := Faults())
            elif faults.requests_left is not None:
                self._keep(_used(faults, faults.requests_left - 1))
        return Verdict(
            faults.delay / SECOND,
            Refusal(faults.status, "The simulator was told to answer this.")
            if faults.status
            else None,
            faults.drop == "requests",
            faults.drop == "answers",
        )

    def update(self, body: Mapping[str, Any]) -> None:
        """Change what *body* names, null clears; nothing at all if a field is wrong."""
        changes: dict[str, Any] = {}
        settings: dict[str, Any] = {}
        for name, value in body.items():
            if name in self._readers:
                settings[name] = (
                    value if value is None else self._readers[name](name, value)
                )
            elif name in _READERS and (name != "deleteContract" or self.name == "rbm"):
                changes |= _READERS[name](value)
            else:
                raise wrong(name, "this carrier has no such field")
        with self._store.transaction():
            if "span" in changes:
                changes["until"] = self.now() + changes.pop("span")
            base = Faults() if self.faults.requests_left == 0 else self.faults
            self._keep(replace(base, **changes))
            merged = {**self._settings, **settings}
            self._settings = {k: v for k, v in merged.items() if v is not None}
            self._store.keep(f"{self.name}.settings", self._settings)

    def clear(self) -> None:
        with self._store.transaction():
            self._keep(Faults())

    def forget(self) -> None:
        """Begin anew, settings included."""
        self.clear()
        self._settings = {}

    def describe(self) -> dict[str, Any]:
        """Return the faults as they are written in a PUT."""
        faults = self.faults
        lasting: Any = faults.requests_left
        if faults.until is not None:
            lasting = duration(faults.until - self.now())
        return {
            "status": faults.status,
            "delay": duration(faults.delay) if faults.delay else None,
            "duplicate": faults.duplicate,
            "reorder": faults.reorder,
            "drop": faults.drop,
            "for": lasting,
        }

    def _keep(self, faults: Faults) -> None:
        self._faults = faults
        self._store.keep(f"{self.name}.faults", asdict(faults))


def _used(faults: Faults, left: int) -> Faults:
    """What remains after a request. What outlasts its answer stays until the next."""
    outlasts = (
        faults.delay
        or faults.duplicate
        or faults.reorder
        or faults.drop == "events"
        or faults.delete_contract
    )
    return replace(faults, requests_left=left) if left or outlasts else Faults()


def _status(value: Any) -> dict[str, Any]:
    if value is None:
        return {"status": None}
    if type(value) is not int or not 400 <= value <= 599:  # noqa: PLR2004 - HTTP errors
        raise wrong("status", "must be an HTTP status from 400 to 599")
    return {"status": value}


def _delay(value: Any) -> dict[str, Any]:
    return {"delay": 0 if value is None else length("delay", value)}


def _flag(name: str) -> Callable[[Any], dict[str, Any]]:
    def read(value: Any) -> dict[str, Any]:
        return {name: False if value is None else flag(name, value)}

    return read


def _drop(value: Any) -> dict[str, Any]:
    if value is True:
        value = "events"
    if value is not None and value is not False and value not in _LOSSES:
        raise wrong("drop", "must be answers, requests or events")
    return {"drop": value or None}


def _contract(value: Any) -> dict[str, Any]:
    if value not in (None, "confirming", "legacy"):
        raise wrong("deleteContract", "must be confirming or legacy")
    return {"delete_contract": value}


def _span(value: Any) -> dict[str, Any]:
    if value is None:
        return {"until": None, "requests_left": None}
    if type(value) is int and value > 0:
        return {"until": None, "requests_left": value}
    try:
        return {"span": length("for", value), "requests_left": None}
    except Refusal:
        raise wrong("for", "must be a duration or a number of requests") from None


_READERS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "status": _status,
    "delay": _delay,
    "duplicate": _flag("duplicate"),
    "reorder": _flag("reorder"),
    "drop": _drop,
    "deleteContract": _contract,
    "for": _span,
}


def length(name: str, value: Any) -> int:
    """Microseconds of a duration string, 0 or more and no longer than 30 days."""
    try:
        micros = parse_duration(value if isinstance(value, str) else "")
    except ValueError:
        micros = -1
    if not 0 <= micros <= 30 * 86_400 * SECOND:
        raise wrong(name, "must be a duration like 1.5s, at most 30 days")
    return micros


def flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise wrong(name, "must be true or false")
    return value


def positive(name: str, value: Any) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 < value <= 1_000_000  # noqa: PLR2004 - beyond any carrier's rate
    ):
        raise wrong(name, "must be a number above 0, at most 1000000")
    return value


def address(name: str, value: Any) -> str:
    if not isinstance(value, str) or not _URL.fullmatch(value):
        raise wrong(name, "must be an http or https URL")
    return value


def words(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise wrong(name, "must be a string that is not empty")
    return value
