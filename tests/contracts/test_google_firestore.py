"""Firestore keeps what every store promises; against Google's own emulator."""

from dataclasses import dataclass
from uuid import uuid4

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import Client
from msgspec.structs import replace

import emulators
from backstop.adapters.google.firestore import (
    RETENTION,
    FirestoreMessages,
    FirestoreRecipients,
)
from backstop.adapters.google.reaches import REACH, FirestoreReaches
from backstop.adapters.system import SystemRandom
from backstop.errors import Conflict
from contracts.messages_contract import START, MessagesContract, plain
from contracts.reaches_contract import NEGATIVE, PHONE, ReachesContract
from contracts.recipients_contract import RecipientsContract


@pytest.fixture(scope="module")
def emulator():
    with (
        emulators.firestore() as address,
        pytest.MonkeyPatch.context() as environ,
    ):
        environ.setenv("FIRESTORE_EMULATOR_HOST", address)
        yield address


@dataclass(frozen=True)
class Firestore:
    """A database of its own for each test; the emulator itself outlives them all."""

    messages: FirestoreMessages
    recipients: FirestoreRecipients
    reaches: FirestoreReaches

    def die(self):
        """Nothing of ours is in memory."""


@pytest.fixture
def platform(emulator):
    client = Client(
        project=f"demo-{uuid4().hex[:12]}", credentials=AnonymousCredentials()
    )
    random = SystemRandom()
    yield Firestore(
        FirestoreMessages(client, random),
        FirestoreRecipients(client, random),
        FirestoreReaches(client),
    )
    client.close()


class OneId:
    """A writer that is always the same: the client's own repeat of one write."""

    def random(self):
        return 0.5

    def new_id(self):
        return "writer"


@pytest.fixture
def repeating(platform):
    """Stores whose every write is taken for a repeat of the one before."""
    client = platform.messages._client
    return Firestore(
        FirestoreMessages(client, OneId()),
        FirestoreRecipients(client, OneId()),
        platform.reaches,
    )


class TestFirestoreMessages(MessagesContract):
    """Beside the contract: the answer to a write may be lost on its way."""

    def test_our_own_create_is_recognised(self, repeating):
        """The client's repeat meets its own document, and that is success."""
        repeating.messages.create(plain())
        repeating.messages.create(plain())

        assert repeating.messages.load(plain().id).value == plain()

    def test_our_own_save_is_recognised(self, repeating):
        """Its condition fails on the version that it wrote itself."""
        repeating.messages.create(plain())
        read = repeating.messages.load(plain().id)
        changed = replace(plain(), rule="changed")
        repeating.messages.save(changed, version=read.version)
        repeating.messages.save(changed, version=read.version)

        assert repeating.messages.load(plain().id).value == changed

    def test_an_equal_write_of_another_is_no_success(self, platform):
        """Two workers may write the same: one alone has made the claim."""
        platform.messages.create(plain())
        read = platform.messages.load(plain().id)
        changed = replace(plain(), rule="changed")
        platform.messages.save(changed, version=read.version)

        with pytest.raises(Conflict):
            platform.messages.save(changed, version=read.version)

    def test_what_is_settled_expires(self, platform):
        """The TTL policy's field is written with the outcome, and not before."""
        settled = replace(plain("two"), announced_at=START)
        platform.messages.create(plain())
        platform.messages.create(settled)

        documents = platform.messages._client.collection("messages")
        expiry = [
            documents.document(m.id).get().get("expireAt") for m in (plain(), settled)
        ]
        assert expiry == [None, START + RETENTION]


class TestFirestoreRecipients(RecipientsContract):
    """No test of its own."""


class TestFirestoreReaches(ReachesContract):
    """Beside the contract: nothing is kept for ever, and nobody is named."""

    def test_what_has_lapsed_expires(self, platform):
        """The TTL policy's field is written with the answer."""
        platform.reaches.save("agent", {PHONE: NEGATIVE})

        (document,) = platform.reaches._client.collection(REACH).get()
        assert document.get("expireAt") == NEGATIVE.until

    def test_the_number_is_not_in_it(self, platform):
        """The id is a hash, like a recipient's."""
        platform.reaches.save("agent", {PHONE: NEGATIVE})

        (document,) = platform.reaches._client.collection(REACH).get()
        assert PHONE not in document.id + str(document.to_dict())
