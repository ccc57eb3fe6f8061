"""The simulated Bandwidth: a queue counted in segments, carriers, and callbacks."""

import json
import secrets
import string
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from .config import Carriers
from .faults import Carrier
from .instants import SECOND, parse_rfc3339, rfc3339
from .phones import Phone, Phones
from .reserved import Sms, behaviour
from .segments import segment_count
from .sms_events import SmsEvents, status_event
from .state import Job, Store
from .web import Refusal

SEGMENTS_PER_SECOND = 100
QUEUE_SECONDS = 900
_TRANSIT = SECOND // 5
_EXPIRED, _WRONG_APPLICATION = 4360, 4452
_DESCRIPTIONS = {
    0: "Message delivered to carrier",
    4360: "message-not-sent-expiration-date-passed",
    4452: "rejected-wrong-application-id",
    4720: "invalid-destination-address",
    4775: "destination-rejected-due-to-user-opt-out",
    5101: "temporary-app-shutdown",
    9902: "delivery-receipt-expired",
}
_ID_LETTERS = string.ascii_lowercase + string.digits


class Bandwidth:
    """Messages are QUEUED, then SENT; each recipient has a leg with an end of its own.

    `answer` of a script is for the HTTP side; here only what becomes of the message.
    """

    def __init__(
        self,
        store: Store,
        phones: Phones,
        events: SmsEvents,
        carrier: Carrier,
        config: Callable[[], Carriers],
    ) -> None:
        self._store = store
        self._phones = phones
        self.events = events
        self.carrier = carrier
        self._config = config
        self.steps: dict[str, Callable[[Job], None]] = {
            "sms-drain": self._drain_due,
            "sms-expire": self._expire_due,
            "sms-land": self._land_due,
            "sms-receipt": self._receipt_due,
        }

    @property
    def rate(self) -> float:
        rate: float = self.carrier.setting("segmentsPerSecond", SEGMENTS_PER_SECOND)
        return rate

    def script(self, number: str, text: str) -> Sms:
        """What this number does with this text, now; asking counts as a try."""
        script = behaviour(number).sms
        if script.once and not self._store.first(f"sms:{number}:{text}"):
            return Sms()
        return script

    def accept(
        self, sent: Mapping[str, Any], scripts: Mapping[str, Sms], now: int
    ) -> dict[str, Any]:
        """Queue a message and return the body of the 202; 429 if the queue is full."""
        mms = bool(sent.get("media")) or len(sent["to"]) > 1
        segments = 1 if mms else segment_count(sent["text"])
        self._make_room(segments * len(sent["to"]))
        message = {
            "id": _new_id(now),
            "owner": sent["from"],
            "applicationId": sent["applicationId"],
            "time": rfc3339(now, digits=3),
            "segmentCount": segments,
            "direction": "out",
            "to": sent["to"],
            "from": sent["from"],
            "text": sent.get("text", ""),
            "tag": sent.get("tag", ""),
            "priority": sent.get("priority", "default"),
        }
        message |= {
            name: sent[name] for name in ("media", "expiration") if name in sent
        }
        self._store.run(
            "INSERT INTO sms (id, state, high, segments, message)"
            " VALUES (?, 'QUEUED', ?, ?, ?)",
            message["id"],
            message["priority"] == "high",
            segments * len(sent["to"]),
            json.dumps(message),
        )
        for number in sent["to"]:
            self._phones.meet(number)
            self._store.run(
                "INSERT INTO sms_legs (id, phone, state, script)"
                " VALUES (?, ?, 'QUEUED', ?)",
                message["id"],
                number,
                json.dumps([scripts[number].arrives, scripts[number].receipts]),
            )
        if "expiration" in sent:
            due = parse_rfc3339(sent["expiration"])
            self._store.schedule(
                "sms-expire", due, message["id"], subject=f"sms:{message['id']}"
            )
        self._drain_at(max(now, self._store.setting("smsFreeAt", 0)))
        return message

    def receive(
        self, phone: str, content: Mapping[str, Any], to: str, *, now: int
    ) -> str:
        """Take what a phone's owner says to one of our customer's numbers."""
        media = content.get("media")
        message = {
            "id": _new_id(now),
            "owner": to,
            "applicationId": self._config().application_id,
            "time": rfc3339(now),
            "segmentCount": 1 if media else segment_count(content["text"]),
            "direction": "in",
            "to": [to],
            "from": phone,
            "text": content.get("text", ""),
            **({"media": media} if media else {}),
        }
        self._store.run(
            "INSERT INTO sms (id, state, high, segments, message)"
            " VALUES (?, 'RECEIVED', 0, ?, ?)",
            message["id"],
            message["segmentCount"],
            json.dumps(message),
        )
        self._store.run(
            "INSERT INTO sms_legs (id, phone, state, script)"
            " VALUES (?, ?, 'RECEIVED', 'null')",
            message["id"],
            phone,
        )
        event = {
            "type": "message-received",
            "time": rfc3339(now),
            "description": "Incoming message received",
            "to": to,
            "message": message,
        }
        self.events.publish(event, now)
        return str(message["id"])

    def catch_up(self, phone: Phone, now: int) -> None:
        """Hand over what has waited for a phone that may just be on again."""
        if phone.off:
            return
        rows = self._store.rows(
            "SELECT sms.message FROM sms_legs JOIN sms USING (id)"
            " WHERE sms_legs.phone = ? AND held = 1 ORDER BY sms_legs.position",
            phone.number,
        )
        for row in rows:
            self._hand_over(phone.number, json.loads(row["message"]), now)
        self._store.run(
            "UPDATE sms_legs SET held = 0 WHERE phone = ? AND held = 1", phone.number
        )

    def _make_room(self, segments: int) -> None:
        seconds = self.carrier.setting("queueSeconds", QUEUE_SECONDS)
        capacity = self.rate * seconds
        queued = self._store.setting("smsQueued", 0) + segments
        if queued > capacity:
            raise Refusal(
                429,
                f"The queue is full. {self.rate * 60:g} messages a minute are allowed,"
                f" the queue holds {capacity:g}, that is {seconds / 60:g} minutes.",
                code="max-message-queue-size-exceeded",
            )
        self._store.keep("smsQueued", queued)

    def _leave_queue(self, message_id: str, segments: int) -> None:
        self._store.keep("smsQueued", self._store.setting("smsQueued", 0) - segments)
        self._store.cancel(f"sms:{message_id}")
        self._store.run("UPDATE sms SET state = 'SENT' WHERE id = ?", message_id)
        self._store.run("UPDATE sms_legs SET state = 'SENT' WHERE id = ?", message_id)

    def _drain_at(self, due: int) -> None:
        """See to it that the queue is drained from *due* on, by one job only."""
        if not self._store.setting("smsDraining", default=False):
            self._store.keep("smsDraining", value=True)
            self._store.schedule("sms-drain", due, None)

    def _drain_due(self, job: Job) -> None:
        self._store.keep("smsDraining", value=False)
        row = self._store.row(
            "SELECT * FROM sms WHERE state = 'QUEUED' ORDER BY high DESC, position"
            " LIMIT 1"
        )
        if row is None:
            return
        message = json.loads(row["message"])
        self._leave_queue(row["id"], row["segments"])
        self._depart(message, job.due)
        free_at = job.due + round(row["segments"] * SECOND / self.rate)
        self._store.keep("smsFreeAt", free_at)
        if self._store.row("SELECT 1 FROM sms WHERE state = 'QUEUED' LIMIT 1"):
            self._drain_at(free_at)

    def _depart(self, message: dict[str, Any], at: int) -> None:
        application = self._config().application_id
        if message["applicationId"].lower() != application.lower():
            for number in message["to"]:
                self._end(message, number, _WRONG_APPLICATION, at)
            return
        notices = []
        if self.carrier.setting("messageSent", default=False):
            notices.append(("message-sent", "Message is in transit"))
        if message.get("media") or len(message["to"]) > 1:
            notices.append(("message-sending", "Message is sending to carrier"))
        for number in message["to"]:
            for kind, description in notices:
                event = status_event(kind, description, number, message, at)
                self.events.publish(event, at, early=True)
            self._store.schedule("sms-land", at + _TRANSIT, [message["id"], number])

    def _expire_due(self, job: Job) -> None:
        row = self._store.row(
            "SELECT message, segments FROM sms WHERE id = ? AND state = 'QUEUED'",
            job.payload,
        )
        if row is None:
            return
        self._leave_queue(job.payload, row["segments"])
        message = json.loads(row["message"])
        for number in message["to"]:
            self._end(message, number, _EXPIRED, job.due)

    def _land_due(self, job: Job) -> None:
        message_id, number = job.payload
        row = self._store.row(
            "SELECT sms.message, sms_legs.script FROM sms JOIN sms_legs USING (id)"
            " WHERE sms.id = ? AND sms_legs.phone = ?",
            message_id,
            number,
        )
        if row is None:
            return
        arrives, receipts = json.loads(row["script"])
        if arrives and self._phones.load(number).off:
            self._store.run(
                "UPDATE sms_legs SET held = 1 WHERE id = ? AND phone = ?",
                message_id,
                number,
            )
        elif arrives:
            self._hand_over(number, json.loads(row["message"]), job.due)
        for code, delay in receipts:
            payload = [message_id, number, code]
            self._store.schedule("sms-receipt", job.due + delay, payload)

    def _receipt_due(self, job: Job) -> None:
        message_id, number, code = job.payload
        row = self._store.row("SELECT message FROM sms WHERE id = ?", message_id)
        if row is not None:
            self._end(json.loads(row["message"]), number, code, job.due)

    def _end(self, message: dict[str, Any], number: str, code: int, at: int) -> None:
        self._store.run(
            "UPDATE sms_legs SET state = ?, error = ? WHERE id = ? AND phone = ?",
            "FAILED" if code else "DELIVERED",
            code,
            message["id"],
            number,
        )
        kind = "message-failed" if code else "message-delivered"
        event = status_event(kind, _DESCRIPTIONS[code], number, message, at)
        if code:
            event["errorCode"] = code
        self.events.publish(event, at)

    def _hand_over(self, number: str, message: dict[str, Any], at: int) -> None:
        entry = {
            "channel": "SMS",
            "messageId": message["id"],
            "from": message["from"],
            "text": message["text"],
            "content": {"media": message["media"]} if message.get("media") else {},
        }
        self._phones.receive(number, at, entry)


def _new_id(now: int) -> str:
    """An opaque id in either of the two shapes that are documented."""
    if secrets.randbelow(2):
        return str(uuid.uuid4())
    tail = "".join(secrets.choice(_ID_LETTERS) for _ in range(16))
    return f"{now // 1000:013d}{tail}"
