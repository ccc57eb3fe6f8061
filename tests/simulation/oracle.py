"""The promises, asked of what the witnesses saw.

Written from the promises, not from the code: a violation names the promise that
was broken and says in a sentence how.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from simulation.facts import Facts, Text, is_not_sent

ARRIVED_RCS = ("backstop.rcs.delivered", "backstop.rcs.read")
PERMITTED = {"AUTHENTICATION", "TRANSACTION", "SERVICEREQUEST", "ACKNOWLEDGEMENT"}
RANKS = {
    "UNCONFIRMED": 1,
    "FAILED": 2,
    "SUPPRESSED": 2,
    "CANCELLED": 2,
    "ACKNOWLEDGED": 2,
    "DELIVERED_RCS": 3,
    "DELIVERED_SMS": 3,
    "DELIVERED_BOTH": 4,
}
SURE = {"FAILED", "CANCELLED", "SUPPRESSED"}
"""Outcomes that say: it did not arrive, and will not."""

MARGIN = timedelta(seconds=5)
GRACE = timedelta(seconds=60)
SOON = timedelta(seconds=20)
Violation = tuple[str, str]


def judge(
    facts: Facts,
    consents: list[tuple[datetime, datetime, bool]],
    start: datetime,
) -> Iterator[Violation]:
    """Yield each broken promise, and how it was broken."""
    yield from _nothing_is_lost(facts)
    yield from _one_send_per_request(facts)
    yield from _no_sms_after_a_delivery(facts)
    yield from _called_back_first(facts)
    yield from _at_most_one_sms(facts)
    yield from _order_does_not_matter(facts)
    yield from _nobody_against_their_word(facts, consents)
    yield from _honest_about_doubt(facts)
    yield from _answers_are_kept(facts)
    yield from _no_copy_is_born_dead(facts)
    yield from _no_closed_copy_is_left(facts)


def _nothing_is_lost(facts: Facts) -> Iterator[Violation]:
    if facts.overdue:
        yield "1", facts.overdue
    if facts.unarmed:
        yield "1", "the record became visible before its timer was armed"
    if facts.unwatched:
        yield "1", f"no outcome and no timer, at {facts.unwatched}"
    if facts.answers and not facts.shown:
        yield "1", "a message that was answered with 200 is not there"


def _one_send_per_request(facts: Facts) -> Iterator[Violation]:
    if len({answer[1:] for answer in facts.answers}) > 1:
        yield "2", f"repeats were answered differently: {facts.answers}"
    for wrong in facts.wrongly_answered:
        yield "2", wrong
    if len(facts.bodies) > 1:
        yield "2", f"RBM was sent several bodies: {facts.bodies}"
    if facts.rcs_copies > 1:
        yield "2", "the phone shows the RCS message twice"
    if len(set(facts.tags)) < len(facts.tags):
        yield "2", f"two SMS requests for one claim: {facts.tags}"


def _no_sms_after_a_delivery(facts: Facts) -> Iterator[Violation]:
    for kind in ARRIVED_RCS:
        for taken in facts.took(kind)[:1]:
            for text in facts.texts:
                if taken.at < text.informed:
                    yield "3", f"an SMS was requested after {kind} was recorded"


def _called_back_first(facts: Facts) -> Iterator[Violation]:
    if facts.plan.policy == "HEDGE" or not facts.texts or not facts.copy_possible:
        return
    first = facts.texts[0].begun
    asked = any(at <= first for at in facts.deletes)
    expired = any(at <= first for at in facts.expiry_at)
    # RBM itself withdraws at `expireTime`; a grace period later that has had its time.
    over = facts.stored_at and first >= _deadline(facts) + MARGIN + GRACE
    if not (asked or expired or over):
        yield "4", "an SMS was requested before the RCS copy was called back"


def _deadline(facts: Facts) -> datetime:
    expire = facts.shown.get("expireTime", "9999-01-01T00:00:00Z")
    return datetime.fromisoformat(expire)


def _at_most_one_sms(facts: Facts) -> Iterator[Violation]:
    policy = facts.plan.policy
    if policy == "NONE" and facts.texts:
        yield "5", "an SMS although none was wanted"
    taken = [text for text in facts.texts if text.taken]
    if policy == "STRICT" and len(taken) > 1:
        yield "5", "two SMS under STRICT"
    wait = timedelta(seconds=30 if policy == "PROMPT" else 900)
    lost = [t for t in facts.texts if t.answer == "lost" and not _not_sent(facts, t)]
    if len(lost) > 2:
        yield "5", "three SMS requests whose answer was lost"
    for number, text in enumerate(facts.texts):
        for earlier in facts.texts[:number]:
            why = _not_free(facts, earlier, text, wait)
            if why:
                yield "5", f"SMS request {text.attempt} although {why}"


def _not_sent(facts: Facts, text: Text) -> bool:
    """Whether a receipt says that nothing left."""
    return any(
        taken.attempt == text.attempt and is_not_sent(taken.code)
        for taken in facts.taken
    )


def _not_free(facts: Facts, earlier: Text, text: Text, wait: timedelta) -> str:
    """Return why *earlier* forbids the request *text*, "" if it does not."""
    receipts = [t for t in facts.taken if t.attempt == earlier.attempt]
    if _not_sent(facts, earlier):
        return "" if facts.plan.policy != "STRICT" else "STRICT takes no word for it"
    if earlier.answer == "throttled":
        return ""
    if earlier.answer in {"ok", "refused"} and not earlier.forgotten:
        return f"request {earlier.attempt} was answered: {earlier.answer}"
    if facts.plan.policy == "STRICT":
        return f"the answer to request {earlier.attempt} was lost, under STRICT"
    if text.begun < earlier.begun + wait - timedelta(seconds=20):
        return f"request {earlier.attempt} was not waited for"
    claimed = [r for r in receipts if r.at < text.informed]
    if claimed:
        return f"a receipt had claimed request {earlier.attempt}"
    return ""


def _order_does_not_matter(facts: Facts) -> Iterator[Violation]:
    delivery = facts.shown.get("delivery")
    if not delivery:
        return
    ids = [entry["id"] for entry in delivery["events"] if entry["id"]]
    if len(set(ids)) < len(ids):
        yield "7", "an event that came twice was taken for two"
    arrived = any(facts.took(kind) for kind in ARRIVED_RCS)
    if arrived != (delivery["rcs"]["state"] in {"DELIVERED", "READ"}):
        yield "7", f"receipts and the RCS leg differ: {delivery['rcs']}"
    texted = bool(facts.took("backstop.sms.delivered"))
    if texted != (delivery.get("sms", {}).get("state") == "DELIVERED"):
        yield "7", f"receipts and the SMS leg differ: {delivery.get('sms')}"
    wanted = {
        (True, True): "DELIVERED_BOTH",
        (True, False): "DELIVERED_RCS",
        (False, True): "DELIVERED_SMS",
    }.get((arrived, texted))
    if wanted and delivery["outcome"] != wanted:
        yield "7", f"the receipts say {wanted}, the record {delivery['outcome']}"


def _nobody_against_their_word(
    facts: Facts, consents: list[tuple[datetime, datetime, bool]]
) -> Iterator[Violation]:
    if facts.plan.traffic in PERMITTED:
        return
    for what, requests in (("an RCS message", facts.creates), ("an SMS", facts.texts)):
        for request in requests:
            known = [
                (at, not opted_in)
                for recorded, at, opted_in in consents
                if recorded < request.informed
            ]
            if known and max(known)[1]:
                yield "8", f"{what} was begun after an opt-out was recorded"
                break


def _honest_about_doubt(facts: Facts) -> Iterator[Violation]:
    outcomes = [sorted(facts.outcomes[number]) for number in sorted(facts.outcomes)]
    if any(len(told) > 1 for told in outcomes):
        yield "11", f"one revision, several outcomes: {outcomes}"
        return
    told = [outcome for (outcome,) in outcomes]
    if sorted(facts.outcomes) != list(range(1, len(told) + 1)):
        yield "11", f"revisions are missing: {sorted(facts.outcomes)}"
    ranks = [RANKS[outcome] for outcome in told]
    if ranks != sorted(ranks):
        yield "11", f"an outcome was taken back: {told}"
    if not told:
        return
    last = told[-1]
    if facts.shown and facts.shown["delivery"]["outcome"] != last:
        yield "11", f"published {last}, shown {facts.shown['delivery']['outcome']}"
    yield from _true(facts, last)


def _true(facts: Facts, last: str) -> Iterator[Violation]:
    """An outcome is measured by what the phone really received."""
    if last in {"DELIVERED_RCS", "DELIVERED_BOTH"} and facts.rcs_at is None:
        yield "11", f"{last}, but the phone shows no RCS message"
    if last in {"DELIVERED_SMS", "DELIVERED_BOTH"} and not facts.sms_at:
        yield "11", f"{last}, but the phone got no SMS"
    if last in SURE and facts.rcs_at and not facts.lied:
        yield "11", f"{last}, but the phone shows the RCS message"
    if last in SURE and facts.sms_at:
        yield "11", f"{last}, but the phone got the SMS"
    if last == "UNCONFIRMED" and _known_to_have_failed(facts):
        yield "11", "UNCONFIRMED, though every request was answered: not sent"


def _known_to_have_failed(facts: Facts) -> bool:
    """Whether no copy was ever possible, and every SMS request was refused."""
    return (
        bool(facts.creates and facts.texts)
        and not facts.copy_possible
        and not facts.forgotten
        and "closed" not in facts.shown["delivery"]
        and all(text.answer in {"throttled", "refused"} for text in facts.texts)
    )


def _answers_are_kept(facts: Facts) -> Iterator[Violation]:
    for at, closed in facts.closings:
        if any(text.informed > at for text in facts.texts):
            yield "kept", f"an SMS was requested after the answer said {closed}"


def _no_copy_is_born_dead(facts: Facts) -> Iterator[Violation]:
    drift = timedelta(seconds=1)
    for create in facts.creates:
        if facts.shown and create.begun > _deadline(facts) + drift:
            yield "kept", "RBM was asked to create what had expired"


def _no_closed_copy_is_left(facts: Facts) -> Iterator[Violation]:
    """A DELETE before the copy is none; a copy that expires soon needs none."""
    delivery = facts.shown.get("delivery", {})
    known = facts.expiry_at or any(facts.took(kind) for kind in ARRIVED_RCS)
    if "closed" not in delivery or facts.copy_at is None or known:
        return
    if _deadline(facts) - facts.copy_at < SOON:
        return
    if not facts.called_back and all(at < facts.copy_at for at in facts.deletes):
        yield "kept", f"closed ({delivery['closed']}), its copy never called back"
