"""Every query has its index, in the file from which Terraform makes them.

The emulator answers any query; Firestore itself refuses one without its index.
"""

import json
from pathlib import Path
from uuid import uuid4

import pytest
from google.cloud.firestore import Client
from google.cloud.firestore_v1.types import RunQueryRequest, StructuredQuery
from msgspec.structs import replace

import emulators
from backstop.adapters.google.firestore import (
    MESSAGES,
    RECIPIENTS,
    FirestoreMessages,
    FirestoreRecipients,
)
from backstop.adapters.google.reaches import REACH, FirestoreReaches
from backstop.adapters.system import SystemRandom
from backstop.domain.consent import Consent
from backstop.domain.message import message_key
from backstop.domain.reach import Reach
from contracts.messages_contract import plain
from machine.relay import Relay

DECLARED = json.loads(
    (Path(__file__).parents[2] / "infra" / "firestore.json").read_text()
)
EQUAL = StructuredQuery.FieldFilter.Operator.EQUAL


@pytest.fixture(scope="module")
def asked(monkeypatch_module):
    """Use all that reads and writes; return the queries, and the fields written."""
    queries = []

    def answered(method, request, _answers):
        if method == "RunQuery":
            queries.append(RunQueryRequest.deserialize(request).structured_query)

    with emulators.firestore() as emulator:
        relay = Relay(emulator, answered)
        monkeypatch_module.setenv("FIRESTORE_EMULATOR_HOST", relay.address)
        client = Client(project=f"demo-{uuid4().hex[:12]}")
        messages = FirestoreMessages(client, SystemRandom())
        recipients = FirestoreRecipients(client, SystemRandom())
        messages.create(plain())
        messages.create(replace(plain(), id=message_key("agent", "another")))
        page = messages.of_phone(plain().phone, limit=1)
        messages.of_phone(plain().phone, limit=1, token=page.next_token)
        messages.open_of_phone(plain().phone, plain().agent)
        recipients.save(plain().phone, plain().agent, Consent(), version=0)
        reaches = FirestoreReaches(client)
        known = Reach(reachable=False, until=plain().accepted_at)
        reaches.save(plain().agent, {plain().phone: known})
        own = tuple(queries)
        written = {
            collection: {
                field
                for document in client.collection(collection).get()
                for field in document.to_dict()
            }
            for collection in (MESSAGES, RECIPIENTS, REACH)
        }
        client.close()
        relay.stop()
    return own, written


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield monkeypatch


def needed(query):
    """Return the collection and the index that a query needs, as it is declared."""
    where = query.where
    filters = [f.field_filter for f in where.composite_filter.filters]
    filters = filters or [where.field_filter]
    assert all(f.op == EQUAL for f in filters)
    fields = [[f.field.field_path, "ASCENDING"] for f in filters]
    fields += [[o.field.field_path, o.direction.name] for o in query.order_by]
    return query.from_[0].collection_id, fields


def test_every_query_has_its_index(asked):
    """And every index a query."""
    queries, _written = asked
    wanted = [needed(query) for query in queries]
    declared = [(index["collection"], index["fields"]) for index in DECLARED["indexes"]]

    assert len(wanted) == 3
    assert all(index in declared for index in wanted)
    assert all(index in wanted for index in declared)


def test_no_query_is_without_an_end(asked):
    """No list without a page."""
    queries, _written = asked

    assert all(query.limit for query in queries)


def test_what_nobody_asks_for_has_no_index(asked):
    """Fields that no query names alone are exempt: an index would be a write more."""
    _queries, written = asked
    in_use = {MESSAGES: {"phone", "agent", "open"}, RECIPIENTS: set(), REACH: set()}

    for collection, fields in written.items():
        exempt = set(DECLARED["unindexed"][collection])
        assert exempt == fields - in_use[collection], collection


def test_the_field_of_the_ttl_is_written(asked):
    """Firestore deletes by it; a name misspelt would keep everybody for ever."""
    _queries, written = asked

    for collection in (MESSAGES, REACH):
        assert DECLARED["ttl"][collection] in written[collection]
