"""What is known of phones' RCS, in Firestore."""

from collections.abc import Mapping
from hashlib import sha256

from google.cloud.firestore import Client, DocumentReference

from backstop.adapters.google.firestore import BUDGET, TRY
from backstop.adapters.google.reaching import reaching
from backstop.adapters.records import decode_reach, encode
from backstop.domain.reach import Reach

REACH = "reach"

TOGETHER = 500
"""Writes in one commit, at most."""


class FirestoreReaches:
    """A document per phone and agent; `expireAt` is the field of the TTL policy."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @reaching
    def load(self, phone: str, agent: str) -> Reach | None:
        snapshot = self._document(phone, agent).get(retry=BUDGET, timeout=TRY)
        return decode_reach(snapshot.get("state")) if snapshot.exists else None

    @reaching
    def save(self, agent: str, reaches: Mapping[str, Reach]) -> None:
        known = list(reaches.items())
        for start in range(0, len(known), TOGETHER):
            batch = self._client.batch()
            for phone, reach in known[start : start + TOGETHER]:
                fields = {"state": encode(reach).decode(), "expireAt": reach.until}
                batch.set(self._document(phone, agent), fields)
            batch.commit(retry=BUDGET, timeout=TRY)

    @reaching
    def forget(self, phone: str, agent: str) -> None:
        self._document(phone, agent).delete(retry=BUDGET, timeout=TRY)

    def _document(self, phone: str, agent: str) -> DocumentReference:
        key = sha256(f"{agent}\n{phone}".encode()).hexdigest()[:40]
        return self._client.collection(REACH).document(key)
