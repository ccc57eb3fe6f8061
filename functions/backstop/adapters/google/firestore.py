"""Messages and recipients in Firestore.

One document per record: what is queried stands in fields, the record itself in
one string without an index. Ids are hashes, so that no key range grows hot. A
change is a write under the condition that the document is as it was read: one
call, and no lock that another could wait for.

Google's client repeats a write whose answer was lost, and then meets its own
work. `writer` is a token of the attempt, by which it is told from another's.
"""

from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any

from google.api_core.exceptions import (
    Aborted,
    DeadlineExceeded,
    FailedPrecondition,
    NotFound,
    ServiceUnavailable,
    TooManyRequests,
)
from google.api_core.exceptions import AlreadyExists as Exists
from google.api_core.retry import Retry, if_exception_type
from google.cloud.firestore import Client, DocumentReference
from google.cloud.firestore_v1 import And, FieldFilter, Query
from google.protobuf.timestamp_pb2 import Timestamp

from backstop.adapters.google.reaching import reaching
from backstop.adapters.records import (
    decode_consent,
    decode_message,
    encode,
    make_token,
    read_token,
)
from backstop.domain.consent import Consent
from backstop.domain.message import Message, MessageId, Outcome
from backstop.errors import AlreadyExists, Conflict
from backstop.ports import Page, Random, Stored

MESSAGES = "messages"
RECIPIENTS = "recipients"

RETENTION = timedelta(days=31)
"""From the outcome until Firestore's TTL may delete the message."""

TRY = 3.0
"""Seconds for one try of one call."""

BUDGET = Retry(
    predicate=if_exception_type(ServiceUnavailable, TooManyRequests, DeadlineExceeded),
    initial=0.1,
    maximum=1.0,
    timeout=9.0,
)
"""Tries in all; a trigger that gets no answer comes back by itself."""

OPEN_LIMIT = 500


class FirestoreMessages:
    """Keeps messages; `expireAt` is the field of the TTL policy."""

    def __init__(self, client: Client, random: Random) -> None:
        self._client = client
        self._random = random

    @reaching
    def create(self, message: Message) -> int:
        document = self._client.collection(MESSAGES).document(message.id)
        writer = self._random.new_id()
        fields = _fields(message, writer) | {
            "phone": message.phone,
            "agent": message.agent,
            "acceptedAt": message.accepted_at,
        }
        try:
            done = document.create(fields, retry=BUDGET, timeout=TRY)
        except Exists:
            version = _ours(document, writer)
            if version is None:
                raise AlreadyExists(message.id) from None
            return version
        return _version(done.update_time)

    @reaching
    def load(self, message: MessageId) -> Stored[Message] | None:
        document = self._client.collection(MESSAGES).document(message)
        snapshot = document.get(retry=BUDGET, timeout=TRY)
        if not snapshot.exists:
            return None
        return Stored(
            decode_message(snapshot.get("state")), _version(snapshot.update_time)
        )

    @reaching
    def save(self, message: Message, *, version: int) -> int:
        document = self._client.collection(MESSAGES).document(message.id)
        writer = self._random.new_id()
        return _replace(
            self._client, document, _fields(message, writer), version, writer
        )

    @reaching
    def of_phone(self, phone: str, *, limit: int, token: str = "") -> Page:
        query = (
            self._client.collection(MESSAGES)
            .where(filter=FieldFilter("phone", "==", phone))
            .order_by("acceptedAt", direction=Query.DESCENDING)
            .order_by("__name__", direction=Query.DESCENDING)
            .limit(limit + 1)
        )
        if token:
            accepted_at, message = read_token(token)
            last = self._client.collection(MESSAGES).document(message)
            query = query.start_after({"acceptedAt": accepted_at, "__name__": last})
        snapshots = query.stream(retry=BUDGET, timeout=TRY)
        found = [decode_message(snapshot.get("state")) for snapshot in snapshots]
        shown = tuple(found[:limit])
        return Page(shown, make_token(shown[-1]) if len(found) > limit else "")

    @reaching
    def open_of_phone(self, phone: str, agent: str) -> Sequence[MessageId]:
        query = (
            self._client.collection(MESSAGES)
            .where(
                filter=And(
                    [
                        FieldFilter("phone", "==", phone),
                        FieldFilter("agent", "==", agent),
                        FieldFilter("open", "==", True),  # noqa: FBT003 - a value
                    ]
                )
            )
            .select([])
            .limit(OPEN_LIMIT)
        )
        return [MessageId(s.id) for s in query.stream(retry=BUDGET, timeout=TRY)]


class FirestoreRecipients:
    """Keeps consent, a document per recipient and agent."""

    def __init__(self, client: Client, random: Random) -> None:
        self._client = client
        self._random = random

    @reaching
    def load(self, phone: str, agent: str) -> Stored[Consent]:
        snapshot = self._document(phone, agent).get(retry=BUDGET, timeout=TRY)
        if not snapshot.exists:
            return Stored(Consent(), 0)
        return Stored(
            decode_consent(snapshot.get("state")), _version(snapshot.update_time)
        )

    @reaching
    def save(self, phone: str, agent: str, consent: Consent, *, version: int) -> None:
        document = self._document(phone, agent)
        writer = self._random.new_id()
        fields = {"state": encode(consent).decode(), "writer": writer}
        if version:
            _replace(self._client, document, fields, version, writer)
            return
        try:
            document.create(
                fields | {"phone": phone, "agent": agent}, retry=BUDGET, timeout=TRY
            )
        except Exists:
            if _ours(document, writer) is None:
                raise Conflict("recipient") from None

    def _document(self, phone: str, agent: str) -> DocumentReference:
        key = sha256(f"{agent}\n{phone}".encode()).hexdigest()[:40]
        return self._client.collection(RECIPIENTS).document(key)


def _fields(message: Message, writer: str) -> dict[str, Any]:
    settled_at = message.announced_at
    return {
        "state": encode(message).decode(),
        "writer": writer,
        "open": message.outcome is Outcome.PENDING,
        "expireAt": settled_at + RETENTION if settled_at else None,
    }


def _replace(
    client: Client,
    document: DocumentReference,
    fields: dict[str, Any],
    version: int,
    writer: str,
) -> int:
    """Write *fields* if the document is still that version; return the new one.

    Raises Conflict.
    """
    as_read = Timestamp(seconds=version // 10**6, nanos=version % 10**6 * 1000)
    option = client.write_option(last_update_time=as_read)
    try:
        done = document.update(fields, option=option, retry=BUDGET, timeout=TRY)
    except (FailedPrecondition, Aborted, NotFound):
        written = _ours(document, writer)
        if written is None:
            raise Conflict(document.id) from None
        return written
    return _version(done.update_time)


def _ours(document: DocumentReference, writer: str) -> int | None:
    """Return the document's version if this very attempt wrote it, else None."""
    snapshot = document.get(["writer"], retry=BUDGET, timeout=TRY)
    ours = snapshot.exists and snapshot.get("writer") == writer
    return _version(snapshot.update_time) if ours else None


def _version(updated: Any) -> int:
    written: Timestamp = updated.timestamp_pb()
    return written.seconds * 10**6 + written.nanos // 1000
