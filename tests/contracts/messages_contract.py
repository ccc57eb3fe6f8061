"""What every store of messages promises."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec import NODEFAULT, Struct
from msgspec.structs import fields, replace

from backstop.domain.menu import Option
from backstop.domain.message import (
    Action,
    Attempt,
    Closed,
    Contract,
    Do,
    Entry,
    Message,
    Outcome,
    Policy,
    Rcs,
    Request,
    Sms,
    Terms,
    Traffic,
    message_key,
)
from backstop.errors import AlreadyExists, Conflict
from contracts.waiting import at_once

START = datetime(2026, 1, 1, 12, 30, 59, 123457, tzinfo=UTC)
PHONE = "+15551230001"

TERMS = Terms(
    policy=Policy.STRICT,
    contract=Contract.LEGACY,
    deadline=START + timedelta(days=15, microseconds=1),
    margin=timedelta(seconds=5),
    grace=timedelta(microseconds=999_999),
    lost_answer=timedelta(minutes=15, microseconds=3),
    receipt_wait=timedelta(hours=2, minutes=15),
    sms_validity=timedelta(),
)
REQUEST = Request(
    digest="a digest",
    content={
        "richCard": {"standaloneCard": {"cardContent": {"title": "Grüße 👋\n\x00"}}},
        "numbers": [0, -1, 1.5, 2**53, True, None, [], {}],
    },
    traffic=Traffic.PROMOTION,
    sender="+15550100001",
    text="Grüße 👋\u2028",
    media=("https://example.com/a.png", "https://example.com/b.png"),
    metadata={"order": "17", "": "", "ü": "\x7f"},
    handset_receipts=True,
    options=(Option(number=1, label="Ja ✓", postback="\x00yes"),),
    cut=True,
)
ATTEMPT = Attempt(
    number=2,
    state=Sms.UNCONFIRMED,
    claimed_at=START,
    queued_at=START + timedelta(microseconds=1),
    provider_id="provider-1",
    segments=3,
    by="handset",
    code=9902,
    at=START + timedelta(days=400),
    released=True,
    lost=True,
)
ACTION = Action(
    number=7,
    do=Do.PUBLISH,
    attempt=2,
    at=START,
    again_at=START + timedelta(seconds=1),
    outcome=Outcome.UNCONFIRMED,
)
RICH = Message(
    id=message_key("agent", "rich"),
    agent="agent",
    message_id="rich",
    phone=PHONE,
    request=REQUEST,
    terms=TERMS,
    accepted_at=START,
    rcs={Rcs.PENDING: START, Rcs.REVOKE_FAILED: START + timedelta(microseconds=5)},
    creates=3,
    refused=(1, 2),
    sms=(ATTEMPT, replace(ATTEMPT, number=3, state=Sms.FAILED)),
    closed=Closed.GRACE_OVER,
    closed_at=START,
    overdue_at=START,
    late=True,
    due_at=START,
    rule="no_proof",
    todo=(ACTION, Action(number=8, do=Do.ARM)),
    actions=8,
    wake_at=START,
    announced=Outcome.UNCONFIRMED,
    announced_at=START,
    revision=2,
    history=(Entry(time=START, type="backstop.rcs.read", leg="rcs", id="e-1"),),
)


def plain(name="one", *, phone=PHONE, agent="agent", at=START):
    """Return a message as it is when it was just accepted, with no option set."""
    return Message(
        id=message_key(agent, name),
        agent=agent,
        message_id=name,
        phone=phone,
        request=Request(
            digest="d",
            content={"text": "Hello"},
            traffic=Traffic.TRANSACTION,
            sender="+15550100001",
            text="Hello",
        ),
        terms=TERMS,
        accepted_at=at,
        rcs={Rcs.PENDING: at},
    )


def left_at_default(value):
    """Return the names of optional fields that *value* leaves as they are."""
    for field in fields(value):
        given = getattr(value, field.name)
        if field.required:
            continue
        default = field.default
        if default is NODEFAULT:
            default = field.default_factory()
        if given == default:
            yield f"{type(value).__name__}.{field.name}"
        for part in given if isinstance(given, tuple) else (given,):
            # The second of a tuple is there to be different from the first.
            if isinstance(part, Struct) and part in (TERMS, REQUEST, ATTEMPT, ACTION):
                yield from left_at_default(part)


class MessagesContract:
    """What `Messages` promises. Subclass per adapter and supply `platform`."""

    def test_what_was_created_is_loaded(self, platform):
        """A message that was created is there, under some version."""
        platform.messages.create(plain())

        assert plain() == platform.messages.load(plain().id).value

    def test_absence_is_none(self, platform):
        """Loading what was never stored answers None."""
        assert platform.messages.load(plain().id) is None

    @pytest.mark.parametrize("message", [plain(), RICH], ids=["plain", "rich"])
    def test_every_field_round_trips(self, platform, message):
        """Every field comes back as it went in, to the microsecond."""
        platform.messages.create(message)

        assert message == platform.messages.load(message.id).value

    def test_the_rich_message_sets_every_option(self):
        """A field that is added to Message must be added to the rich one here."""
        assert list(left_at_default(RICH)) == []

    def test_a_second_create_is_refused(self, platform):
        """The first message of an id stays as it is."""
        platform.messages.create(plain())

        with pytest.raises(AlreadyExists):
            platform.messages.create(replace(plain(), phone="+15551239999"))

        assert plain() == platform.messages.load(plain().id).value

    def test_of_many_creators_one_wins(self, platform):
        """Of sixteen creators of one id exactly one wins, and its message stands."""
        rivals = [replace(plain(), rule=f"rival {n}") for n in range(16)]

        results = at_once([lambda m=m: platform.messages.create(m) for m in rivals])

        (winner,) = (
            m for m, r in zip(rivals, results, strict=True) if isinstance(r, int)
        )
        assert winner == platform.messages.load(plain().id).value
        assert sum(isinstance(result, AlreadyExists) for result in results) == 15

    def test_save_replaces_the_version(self, platform):
        """A save is seen by the next load, under another version."""
        platform.messages.create(plain())
        stored = platform.messages.load(plain().id)

        platform.messages.save(RICH_PLAIN, version=stored.version)

        again = platform.messages.load(plain().id)
        assert again.value == RICH_PLAIN
        assert again.version != stored.version

    def test_a_stale_save_is_a_conflict(self, platform):
        """Whoever read an older version changes nothing."""
        platform.messages.create(plain())
        stale = platform.messages.load(plain().id).version
        platform.messages.save(RICH_PLAIN, version=stale)

        with pytest.raises(Conflict):
            platform.messages.save(replace(plain(), rule="stale"), version=stale)

        assert platform.messages.load(plain().id).value == RICH_PLAIN

    def test_a_save_creates_nothing(self, platform):
        """A message that does not exist cannot be saved into being."""
        with pytest.raises(Conflict):
            platform.messages.save(plain(), version=1)

        assert platform.messages.load(plain().id) is None

    def test_a_write_tells_the_version_it_made(self, platform):
        """So that the writer may go on without reading its own words."""
        created = platform.messages.create(plain())
        assert platform.messages.load(plain().id).version == created

        saved = platform.messages.save(replace(plain(), rule="two"), version=created)
        assert platform.messages.load(plain().id).version == saved
        platform.messages.save(replace(plain(), rule="three"), version=saved)

    def test_of_many_savers_of_one_version_one_wins(self, platform):
        """Eight saves of the same version: one is kept, seven are conflicts."""
        platform.messages.create(plain())
        version = platform.messages.load(plain().id).version
        rivals = [replace(plain(), rule=f"rival {n}") for n in range(8)]

        results = at_once(
            [lambda m=m: platform.messages.save(m, version=version) for m in rivals]
        )

        (winner,) = (
            m for m, r in zip(rivals, results, strict=True) if isinstance(r, int)
        )
        assert winner == platform.messages.load(plain().id).value
        assert sum(isinstance(result, Conflict) for result in results) == 7

    def test_no_update_is_lost(self, platform):
        """Eight writers that load, change and save lose none of their changes."""
        platform.messages.create(plain())

        def count():
            done = 0
            while done < 5:
                stored = platform.messages.load(plain().id)
                more = replace(stored.value, creates=stored.value.creates + 1)
                try:
                    platform.messages.save(more, version=stored.version)
                except Conflict:
                    continue
                done += 1

        at_once([count] * 8)

        assert platform.messages.load(plain().id).value.creates == 40

    def test_what_returned_is_durable(self, platform):
        """A kill right after create and save loses neither."""
        platform.messages.create(plain())
        stored = platform.messages.load(plain().id)
        platform.messages.save(RICH_PLAIN, version=stored.version)
        before = platform.messages.load(plain().id)

        platform.die()

        assert before == platform.messages.load(plain().id)

    def test_pages_are_complete(self, platform):
        """All pages together hold every message of the phone once, newest first."""
        messages = [
            plain(f"m{n}", at=START + timedelta(seconds=n // 3)) for n in range(11)
        ]
        for message in messages:
            platform.messages.create(message)
        platform.messages.create(plain("other", phone="+15551230002"))

        pages = list(read_pages(platform, limit=4))

        shown = [message for page in pages for message in page]
        times = [message.accepted_at for message in shown]
        assert [len(page) for page in pages] == [4, 4, 3]
        assert sorted(times, reverse=True) == times
        assert by_id(messages) == by_id(shown)

    def test_equal_times_page_without_overlap(self, platform):
        """Messages of the very same instant are paged one by one, none twice."""
        messages = [plain(f"m{n}") for n in range(7)]
        for message in messages:
            platform.messages.create(message)

        pages = list(read_pages(platform, limit=1))

        assert by_id(messages) == by_id(message for page in pages for message in page)
        assert len(pages) == 7

    def test_the_last_page_has_no_token(self, platform):
        """A page that ends with the last message does not promise another."""
        for n in range(4):
            platform.messages.create(plain(f"m{n}"))

        first = platform.messages.of_phone(PHONE, limit=2)
        last = platform.messages.of_phone(PHONE, limit=2, token=first.next_token)

        assert first.next_token
        assert last.next_token == ""

    def test_a_newcomer_disturbs_no_paging(self, platform):
        """A message accepted between two pages moves nothing on the second."""
        for n in range(4):
            platform.messages.create(plain(f"m{n}", at=START + timedelta(seconds=n)))
        first = platform.messages.of_phone(PHONE, limit=2)

        platform.messages.create(plain("new", at=START + timedelta(hours=1)))

        rest = platform.messages.of_phone(PHONE, limit=9, token=first.next_token)
        assert [message.message_id for message in rest.messages] == ["m1", "m0"]

    def test_nobody_has_no_messages(self, platform):
        """A phone without messages has one empty page."""
        page = platform.messages.of_phone("+15559999999", limit=9)

        assert (page.messages, page.next_token) == ((), "")

    @pytest.mark.parametrize(
        "token",
        ["nonsense", ".", "x.y", "\x00", "1e400", "9" * 5000],
        ids=["a word", "a dot", "letters", "a control", "a float", "5000 digits"],
    )
    def test_a_foreign_token_is_refused(self, platform, token):
        """A token that was never given out is a ValueError."""
        with pytest.raises(ValueError):  # noqa: PT011 - its text is the adapter's
            platform.messages.of_phone(PHONE, limit=9, token=token)

    @pytest.mark.parametrize(
        "token",
        ["99999999999999999999.x", "12", " 12 .x", "1_0.x", "-5.x"],
        ids=["beyond 64 bits", "no id", "spaces", "underscore", "negative"],
    )
    def test_a_token_that_only_looks_real_is_refused(self, platform, token):
        """A token is one that a page gave out, or a ValueError."""
        with pytest.raises(ValueError):  # noqa: PT011 - its text is the adapter's
            platform.messages.of_phone(PHONE, limit=9, token=token)

    def test_open_messages_are_those_without_outcome(self, platform):
        """Only messages of that phone and agent that are still pending are open."""
        for message in (
            plain("open"),
            plain("other phone", phone="+15551230002"),
            plain("other agent", agent="other"),
            replace(plain("done"), closed=Closed.CANCELLED, rcs={Rcs.REVOKED: START}),
        ):
            platform.messages.create(message)

        found = platform.messages.open_of_phone(PHONE, "agent")

        assert [plain("open").id] == list(found)

    def test_a_message_with_an_outcome_is_open_no_more(self, platform):
        """The save that brings an outcome takes the message from the open ones."""
        platform.messages.create(plain())
        version = platform.messages.load(plain().id).version
        read = replace(plain(), rcs={Rcs.PENDING: START, Rcs.READ: START})

        platform.messages.save(read, version=version)

        assert list(platform.messages.open_of_phone(PHONE, "agent")) == []


RICH_PLAIN = replace(RICH, id=plain().id, message_id=plain().message_id)


def read_pages(platform, *, limit):
    token = ""
    while True:
        page = platform.messages.of_phone(PHONE, limit=limit, token=token)
        yield page.messages
        token = page.next_token
        if not token:
            return


def by_id(messages):
    return sorted(messages, key=lambda message: message.id)
