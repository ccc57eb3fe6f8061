"""The phones: how each is set, what has reached it, what its owner sent."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .faults import flag, length
from .instants import SECOND, duration, rfc3339
from .reserved import behaviour
from .state import Store
from .web import Refusal, wrong

FEATURES = (
    "REVOCATION",
    "RICHCARD_STANDALONE",
    "RICHCARD_CAROUSEL",
    "ACTION_CREATE_CALENDAR_EVENT",
    "ACTION_DIAL",
    "ACTION_OPEN_URL",
    "ACTION_OPEN_URL_IN_WEBVIEW",
    "ACTION_SHARE_LOCATION",
    "ACTION_VIEW_LOCATION",
    "ACTION_COMPOSE",
    "PDF_IN_RICH_CARDS",
)
_NUMBER = re.compile(r"\+\d{7,15}", re.ASCII)


@dataclass(frozen=True)
class Phone:
    """`online` is the data connection, `rcs` the service, `off` cuts off both."""

    number: str
    online: bool = True
    rcs: bool = True
    off: bool = False
    reads: bool = True
    read_delay: int = 2 * SECOND
    delivery_delay: int = SECOND // 5
    features: tuple[str, ...] = FEATURES

    @property
    def connected(self) -> bool:
        """Whether an RCS message reaches it, or leaves it, right now."""
        return self.online and self.rcs and not self.off


def valid(number: str) -> bool:
    return _NUMBER.fullmatch(number) is not None


class Phones:
    """All phones there are: a number nobody has touched is a phone as well."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def load(self, number: str) -> Phone:
        row = self._store.row("SELECT profile FROM phones WHERE number = ?", number)
        if row is None:
            return _fresh(number)
        profile = json.loads(row["profile"])
        return replace(
            _fresh(number), **{**profile, "features": tuple(profile["features"])}
        )

    def meet(self, number: str) -> Phone:
        """Return the phone, listed from now on."""
        phone = self.load(number)
        self._save(phone, "IGNORE")
        return phone

    def update(self, number: str, body: Mapping[str, Any]) -> Phone:
        """Change the fields that *body* names; nothing at all if one is wrong."""
        changes: dict[str, Any] = {}
        for name, value in body.items():
            if name in ("online", "rcs", "off", "reads"):
                changes[name] = flag(name, value)
            elif name == "readDelay":
                changes["read_delay"] = length(name, value)
            elif name == "deliveryDelay":
                changes["delivery_delay"] = length(name, value)
            elif name == "features":
                changes[name] = _features(value)
            else:
                raise wrong(name, "a phone has no such field")
        phone = replace(self.load(number), **changes)
        self._save(phone, "REPLACE")
        return phone

    def page(self, after: str, size: int) -> list[Phone]:
        rows = self._store.rows(
            "SELECT number FROM phones WHERE number > ? ORDER BY number LIMIT ?",
            after,
            size,
        )
        return [self.load(row["number"]) for row in rows]

    def receive(self, phone: str, at: int, entry: Mapping[str, Any]) -> None:
        """Put a message into the inbox: channel, messageId, from, text, content."""
        self._store.run(
            "INSERT INTO inbox (phone, channel, message_id, sender, text, content,"
            " received_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            phone,
            entry["channel"],
            entry["messageId"],
            entry["from"],
            entry["text"],
            json.dumps(entry.get("content", {})),
            at,
        )
        if behaviour(phone).replies:
            self._store.schedule("reply", at + SECOND, {"phone": phone})

    def send(self, phone: str, at: int, entry: Mapping[str, Any]) -> None:
        """Note what the owner sent: channel, messageId, and content."""
        self._store.run(
            "INSERT INTO outbox (phone, channel, message_id, content, sent_at)"
            " VALUES (?, ?, ?, ?, ?)",
            phone,
            entry["channel"],
            entry["messageId"],
            json.dumps(entry["content"]),
            at,
        )

    def last_sms_sender(self, phone: str) -> str | None:
        row = self._store.row(
            "SELECT sender FROM inbox WHERE phone = ? AND channel = 'SMS'"
            " ORDER BY id DESC LIMIT 1",
            phone,
        )
        return None if row is None else row["sender"]

    def last_rcs_message(
        self, phone: str, agent: str, message_id: str | None
    ) -> tuple[str, Any] | None:
        """Return id and content of that message in the inbox, or of the newest."""
        row = self._store.row(
            "SELECT message_id, content FROM inbox"
            " WHERE phone = ? AND channel = 'RCS' AND sender = ?"
            " AND message_id = coalesce(?, message_id) ORDER BY id DESC LIMIT 1",
            phone,
            agent,
            message_id,
        )
        return None if row is None else (row["message_id"], json.loads(row["content"]))

    def mark_read(self, phone: str, agent: str, message_id: str, at: int) -> None:
        self._store.run(
            "UPDATE inbox SET read_at = coalesce(read_at, ?)"
            " WHERE phone = ? AND sender = ? AND message_id = ? AND channel = 'RCS'",
            at,
            phone,
            agent,
            message_id,
        )

    def describe(self, phone: Phone) -> dict[str, Any]:
        """Return what the owner could tell about the phone, without its messages."""
        return {
            "number": phone.number,
            "online": phone.online,
            "rcs": phone.rcs,
            "off": phone.off,
            "reads": phone.reads,
            "readDelay": duration(phone.read_delay),
            "deliveryDelay": duration(phone.delivery_delay),
            "features": list(phone.features),
            "reserved": behaviour(phone.number).name
            if behaviour(phone.number).number
            else None,
        }

    def count(self, number: str) -> int:
        row = self._store.row("SELECT count(*) AS n FROM inbox WHERE phone = ?", number)
        return row["n"] if row else 0

    def inbox(self, number: str) -> list[dict[str, Any]]:
        rows = self._store.rows(
            "SELECT * FROM inbox WHERE phone = ? ORDER BY id", number
        )
        return [
            {
                "channel": row["channel"],
                "messageId": row["message_id"],
                "from": row["sender"],
                "text": row["text"],
                "receivedAt": rfc3339(row["received_at"]),
                **({"readAt": rfc3339(row["read_at"])} if row["read_at"] else {}),
                **json.loads(row["content"]),
            }
            for row in rows
        ]

    def outbox(self, number: str) -> list[dict[str, Any]]:
        rows = self._store.rows(
            "SELECT * FROM outbox WHERE phone = ? ORDER BY id", number
        )
        return [
            {
                "channel": row["channel"],
                "messageId": row["message_id"],
                "sentAt": rfc3339(row["sent_at"]),
                **json.loads(row["content"]),
            }
            for row in rows
        ]

    def _save(self, phone: Phone, conflict: str) -> None:
        profile = {k: v for k, v in vars(phone).items() if k != "number"}
        sql = (
            "INSERT OR IGNORE INTO phones VALUES (?, ?)"
            if conflict == "IGNORE"
            else "INSERT OR REPLACE INTO phones VALUES (?, ?)"
        )
        self._store.run(sql, phone.number, json.dumps(profile))


def _fresh(number: str) -> Phone:
    special = behaviour(number)
    phone = Phone(
        number, online=not special.waits, rcs=special.rcs, reads=special.reads
    )
    if special.delivery_delay is not None:
        phone = replace(phone, delivery_delay=special.delivery_delay)
    return phone


def _features(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or any(name not in FEATURES for name in value):
        raise wrong("features", f"must be a list of {', '.join(FEATURES)}")
    return tuple(value)


def number_of(raw: str) -> str:
    """Return the number in a path; 400 if it is none."""
    if not valid(raw):
        raise Refusal(
            400,
            "A phone number is + and 7 to 15 digits.",
            fields=(("phone", "not an E.164 number"),),
        )
    return raw
