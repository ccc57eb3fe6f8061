"""A crash between any two calls is finished by the next trigger.

For each story: one run per call that crosses a port, with the process dying
just before it and just after it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from backstop.domain.message import Contract, Outcome, Policy, Traffic
from usecases.desk import Desk, Fate


def _send(desk: Desk) -> None:
    desk.send()


def _cancel(desk: Desk) -> None:
    desk.send()
    desk.cancel()


def _acknowledge(desk: Desk) -> None:
    desk.send()
    desk.acknowledge()


def _opt_out(desk: Desk) -> None:
    desk.send()
    desk.opt_out()


@dataclass(frozen=True)
class Story:
    """How a message lives, how it ends, and how else it may end after a crash."""

    ends: Outcome
    texts: int
    policy: Policy = Policy.CONFIRMED
    contract: Contract = Contract.CONFIRMING
    traffic: Traffic = Traffic.TRANSACTION
    rcs: str = "online"
    sms: str = "ok"
    tell: Callable[[Desk], None] = _send
    after_crash: frozenset[Outcome] = frozenset()


# The answer to a DELETE may die with the process, and the next one meets 404.
UNSURE = frozenset({Outcome.UNCONFIRMED})

STORIES = {
    "delivered": Story(Outcome.DELIVERED_RCS, 0),
    "expired": Story(Outcome.DELIVERED_SMS, 1, rcs="offline"),
    "prompt": Story(Outcome.DELIVERED_SMS, 1, policy=Policy.PROMPT, rcs="silent"),
    "confirmed": Story(Outcome.DELIVERED_SMS, 1, rcs="silent"),
    "confirmed, legacy": Story(
        Outcome.DELIVERED_SMS, 1, contract=Contract.LEGACY, rcs="silent"
    ),
    "strict": Story(
        Outcome.DELIVERED_SMS,
        1,
        policy=Policy.STRICT,
        rcs="silent",
        after_crash=UNSURE,
    ),
    "strict, expired": Story(
        Outcome.DELIVERED_SMS,
        1,
        policy=Policy.STRICT,
        traffic=Traffic.PROMOTION,
        rcs="offline",
        after_crash=UNSURE,
    ),
    "strict, legacy": Story(
        Outcome.UNCONFIRMED,
        0,
        policy=Policy.STRICT,
        contract=Contract.LEGACY,
        rcs="silent",
    ),
    "unreachable": Story(Outcome.DELIVERED_SMS, 1, rcs="unreachable"),
    "hedge": Story(
        Outcome.DELIVERED_BOTH,
        1,
        policy=Policy.HEDGE,
        # A leg that was not begun is not needed any more once the other arrived.
        after_crash=frozenset({Outcome.DELIVERED_RCS, Outcome.DELIVERED_SMS}),
    ),
    "no fallback": Story(
        Outcome.FAILED, 0, policy=Policy.NONE, rcs="silent", after_crash=UNSURE
    ),
    "cancelled": Story(
        Outcome.CANCELLED, 0, rcs="offline", tell=_cancel, after_crash=UNSURE
    ),
    "acknowledged": Story(Outcome.ACKNOWLEDGED, 0, rcs="silent", tell=_acknowledge),
    "opted out": Story(
        Outcome.SUPPRESSED,
        0,
        traffic=Traffic.PROMOTION,
        rcs="silent",
        tell=_opt_out,
        after_crash=UNSURE,
    ),
    "answer lost": Story(Outcome.DELIVERED_SMS, 1, rcs="unreachable", sms="unanswered"),
    "request lost": Story(Outcome.UNCONFIRMED, 0, rcs="unreachable", sms="lost"),
}


def _tell(path: Path, story: Story, fate: Fate) -> Desk:
    desk = Desk(
        path,
        policy=story.policy,
        contract=story.contract,
        traffic=story.traffic,
        rcs=story.rcs,
        sms=story.sms,
        fate=fate,
    )
    story.tell(desk)
    desk.run()
    return desk


@pytest.mark.parametrize("name", STORIES)
def test_a_crash_at_any_call_is_mended(tmp_path: Path, name: str):
    """The message reaches its outcome, and no promise is broken on the way."""
    story = STORIES[name]
    whole = Fate()
    desk = _tell(tmp_path / "whole.db", story, whole)
    assert desk.message().outcome is story.ends
    assert len(desk.carriers.texts) == story.texts
    desk.close()

    for last in range(1, whole.calls + 1):
        for after in (False, True):
            path = tmp_path / f"{last}-{after}.db"
            desk = _tell(path, story, Fate(last=last, after=after))
            where = f"{name}: {'after' if after else 'before'} {whole.names[last - 1]}"
            _check(desk, story, f"{where} (call {last})")
            desk.close()


def _check(desk: Desk, story: Story, where: str) -> None:
    message = desk.message()
    texts = desk.carriers.texts
    allowed = {story.ends} | story.after_crash
    if story.policy is not Policy.STRICT and story.texts:
        # A lost answer may cost a second SMS; a claim that died costs none.
        assert len(texts) <= 1 + sum(attempt.lost for attempt in message.sms), where
    else:
        assert len(texts) <= story.texts, where
    assert message.outcome in allowed, f"{where}: {message.outcome}"
    assert message.announced is message.outcome, where
    assert not desk.rows("SELECT * FROM timers"), where
    assert not desk.rows("SELECT * FROM deliveries"), where
    published = desk.rows(
        "SELECT count(*) FROM events"
        " WHERE CAST(attributes AS TEXT) LIKE '%backstop.message.%'"
    )
    assert published[0][0] >= 1, where
    if texts and story.policy is not Policy.HEDGE and story.rcs == "silent":
        assert desk.carriers.deletes, where
        assert min(desk.carriers.deletes) <= texts[0][0], where
