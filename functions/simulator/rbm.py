"""The simulated RBM platform: a message's life from create to its last event."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .config import Carriers
from .faults import Carrier
from .instants import DAY, SECOND, proto_time
from .phones import Phone, Phones
from .rbm_content import check, expiry, features_needed, summary
from .rbm_events import Events
from .reserved import DELIVERED, Behaviour, behaviour
from .state import Job, Store
from .web import Refusal

_QUEUE_LIFE = 30 * DAY
_NOT_FOUND = "Requested entity was not found."


@dataclass(frozen=True)
class Created:
    """The answer to a create, and whether it is to be lost on its way."""

    answer: dict[str, Any]
    lost: bool = False


class Rbm:
    """Messages are QUEUED, then DELIVERED, READ, REVOKED, EXPIRED, STUCK or DROPPED.

    STUCK is out of the queue without anyone knowing whether it reached the phone.
    """

    def __init__(
        self,
        store: Store,
        phones: Phones,
        events: Events,
        carrier: Carrier,
        config: Callable[[], Carriers],
    ) -> None:
        self._store = store
        self._phones = phones
        self.events = events
        self.carrier = carrier
        self._config = config
        self.steps: dict[str, Callable[[Job], None]] = {
            "rbm-deliver": self._deliver_due,
            "rbm-read": self._read_due,
            "rbm-expire": self._expire_due,
            "rbm-late": self._late_due,
            "rbm-drop": self._drop_due,
        }

    @property
    def delete_contract(self) -> str:
        own = self.carrier.faults.delete_contract
        return own or self._config().delete_contract

    def agent(self, name: str | None) -> str:
        """Return the agent without its suffix; 403 if it is not one of ours."""
        bare = (name or "").removesuffix("@rbm.goog")
        if bare not in self._config().agents:
            raise Refusal(
                403,
                "There was an error looking up the RBM agent (ID: "
                f"{bare[:80] or 'null'}) that corresponds to the Google Cloud Platform "
                "(GCP) project. If this error persists, check the agent's ID and key.",
            )
        return bare

    def known(self, agent: str, message: str) -> dict[str, Any] | None:
        """Return the first answer under this id, of a message or of an event."""
        row = self._store.row(
            "SELECT answer FROM rbm WHERE agent = ? AND id = ?", agent, message
        )
        return None if row is None else json.loads(row["answer"])

    def create(
        self, agent: str, number: str, message: str, sent: dict[str, Any], *, now: int
    ) -> Created:
        """Accept a message into the queue, or raise why not."""
        special = behaviour(number)
        if special.refusal == 503:  # noqa: PLR2004 - down: it judges nothing
            raise self._refusal(special)
        known = self.known(agent, message)
        if known is not None:
            return Created(known)
        size = len(json.dumps(sent, ensure_ascii=False).encode())
        check(sent, size)
        expires_at = expiry(sent, now)
        if special.refusal:
            raise self._refusal(special)
        phone = self.reachable(number)
        content = sent["contentMessage"]
        missing = set(features_needed(content)) - set(phone.features)
        if missing:
            raise Refusal(400, f"The device does not support {min(missing)}.")
        self._phones.meet(number)
        answer = {
            "name": f"phones/{number}/agentMessages/{message}",
            "sendTime": proto_time(now),
            "contentMessage": content,
        }
        if "messageTrafficType" in sent:
            answer["messageTrafficType"] = sent["messageTrafficType"]
        if expires_at is not None:
            answer["expireTime"] = proto_time(expires_at)
        self._insert(agent, number, message, answer, expires_at=expires_at)
        subject = _subject(agent, message)
        job = {"agent": agent, "id": message}
        if expires_at is None:
            self._store.schedule("rbm-drop", now + _QUEUE_LIFE, job, subject=subject)
        else:
            self._store.schedule("rbm-expire", expires_at, job, subject=subject)
        if _reaches(phone):
            due = now + phone.delivery_delay
            self._store.schedule("rbm-deliver", due, job, subject=subject)
        return Created(answer, lost=special.answer_lost)

    def event(
        self, agent: str, number: str, event: str, sent: dict[str, Any], *, now: int
    ) -> dict[str, Any]:
        """Accept a typing indicator or a read receipt of the agent's."""
        known = self.known(agent, event)
        if known is not None:
            return known
        phone = self.reachable(number)
        if not _reaches(phone):
            raise Refusal(404, _NOT_FOUND)
        answer = {
            "name": f"phones/{number}/agentEvents/{event}",
            "sendTime": proto_time(now),
            **sent,
        }
        self._insert(agent, number, event, answer, state="EVENT")
        return answer

    def delete(self, agent: str, number: str, message: str, *, now: int) -> None:
        """Withdraw a message; 404 as the contract in force has it."""
        special = behaviour(number)
        if special.delete == "never":
            raise Refusal(503, "The service is currently unavailable.")
        withdrawn = False
        row = self._store.row(
            "SELECT state, phone FROM rbm WHERE agent = ? AND id = ?", agent, message
        )
        queued = row is not None and row["phone"] == number and row["state"] == "QUEUED"
        if queued and special.delete != "too_late":
            withdrawn = True
            self._move(agent, message, "REVOKED")
            if special.delete == "falsely":
                job = {"agent": agent, "id": message}
                self._store.schedule("rbm-late", now + SECOND, job)
        if not withdrawn and self.delete_contract == "confirming":
            raise Refusal(404, _NOT_FOUND)

    def reachable(self, number: str) -> Phone:
        """Return the phone; 404 if this number has no RCS."""
        phone = self._phones.load(number)
        if not phone.rcs:
            raise Refusal(404, _NOT_FOUND)
        return phone

    def catch_up(self, phone: Phone, now: int) -> None:
        """Bring what has waited to a phone that may just have come online."""
        if not _reaches(phone):
            return
        rows = self._store.rows(
            "SELECT agent, id, state FROM rbm"
            " WHERE phone = ? AND state IN ('QUEUED', 'DELIVERED')",
            phone.number,
        )
        for row in rows:
            job = {"agent": row["agent"], "id": row["id"]}
            if row["state"] == "QUEUED":
                kind, due = "rbm-deliver", now + phone.delivery_delay
            elif phone.reads:
                kind, due = "rbm-read", now + phone.read_delay
            else:
                continue
            subject = _subject(row["agent"], row["id"])
            self._store.schedule(kind, due, job, subject=subject)

    def read(self, agent: str, number: str, message: str, at: int) -> None:
        """Mark a message as read by its owner and say so."""
        self._store.run(
            "UPDATE rbm SET state = 'READ' WHERE agent = ? AND id = ?"
            " AND state = 'DELIVERED'",
            agent,
            message,
        )
        self._phones.mark_read(number, agent, message, at)
        self._tell(agent, number, message, "READ", at)

    def _deliver_due(self, job: Job) -> None:
        row = self._find(job, "QUEUED")
        if row is None:
            return
        phone = self._phones.load(row["phone"])
        if not _reaches(phone) or _passed(row["expires_at"], job.due):
            return
        self._arrive(row, job.due)
        if phone.reads:
            due = job.due + phone.read_delay
            self._store.schedule("rbm-read", due, job.payload)

    def _read_due(self, job: Job) -> None:
        row = self._find(job, "DELIVERED")
        if row is None:
            return
        phone = self._phones.load(row["phone"])
        if _reaches(phone) and phone.reads:
            self.read(row["agent"], row["phone"], row["id"], job.due)

    def _expire_due(self, job: Job) -> None:
        row = self._find(job, "QUEUED")
        if row is None:
            return
        special = behaviour(row["phone"])
        if not special.at_expiry:
            return
        stuck = special.delete == "too_late"
        self._move(row["agent"], row["id"], "STUCK" if stuck else "EXPIRED")
        for event, delay in special.at_expiry:
            if event == DELIVERED:
                self._store.schedule("rbm-late", job.due + delay, job.payload)
            else:
                self._tell(row["agent"], row["phone"], row["id"], event, job.due)

    def _late_due(self, job: Job) -> None:
        row = self._find(job, "REVOKED", "EXPIRED", "STUCK")
        if row is not None:
            self._arrive(row, job.due)

    def _drop_due(self, job: Job) -> None:
        if self._find(job, "QUEUED") is not None:
            self._move(job.payload["agent"], job.payload["id"], "DROPPED")

    def _arrive(self, row: Any, at: int) -> None:
        self._move(row["agent"], row["id"], "DELIVERED")
        content = json.loads(row["answer"])["contentMessage"]
        entry = {
            "channel": "RCS",
            "messageId": row["id"],
            "from": row["agent"],
            "text": summary(content),
            "content": {"contentMessage": content},
        }
        self._phones.receive(row["phone"], at, entry)
        self._tell(row["agent"], row["phone"], row["id"], DELIVERED, at)

    def _tell(self, agent: str, number: str, message: str, event: str, at: int) -> None:
        special = behaviour(number)
        lag = 0
        if event == DELIVERED and (special.read_first or self.carrier.faults.reorder):
            phone = self._phones.load(number)
            lag = SECOND + (phone.read_delay if phone.reads else 0)
        payload = self.events.message_event(
            agent, number, event, message=message, at=at
        )
        self.events.publish(payload, at, twice=special.twice, lag=lag)

    def _insert(
        self,
        agent: str,
        number: str,
        message: str,
        answer: dict[str, Any],
        *,
        state: str = "QUEUED",
        expires_at: int | None = None,
    ) -> None:
        self._store.run(
            "INSERT INTO rbm (agent, id, phone, state, answer, expires_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            agent,
            message,
            number,
            state,
            json.dumps(answer),
            expires_at,
        )

    def _find(self, job: Job, *states: str) -> Any:
        row = self._store.row(
            "SELECT * FROM rbm WHERE agent = ? AND id = ?",
            job.payload["agent"],
            job.payload["id"],
        )
        return row if row is not None and row["state"] in states else None

    def _move(self, agent: str, message: str, state: str) -> None:
        self._store.cancel(_subject(agent, message))
        self._store.run(
            "UPDATE rbm SET state = ? WHERE agent = ? AND id = ?", state, agent, message
        )

    def _refusal(self, special: Behaviour) -> Refusal:
        texts = {
            400: "The device does not support a feature of this message.",
            403: "The agent is not launched on the network of this user.",
            429: "The traffic limit for this agent on the user is reached.",
            503: "The service is currently unavailable.",
        }
        return Refusal(special.refusal, texts[special.refusal])


def _reaches(phone: Phone) -> bool:
    return phone.connected and not behaviour(phone.number).waits


def _passed(expires_at: int | None, at: int) -> bool:
    return expires_at is not None and expires_at <= at


def _subject(agent: str, message: str) -> str:
    return f"rbm:{agent}:{message}"
