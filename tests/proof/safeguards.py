"""Every safeguard and every rule, and what shows that it is missing.

A row takes words out of a function while the program runs. Rules that live in
the pure core are missed by the exploration of the table, which prints the
shortest trace; what lives where records, timers and carriers meet is missed by
the simulation, which prints a seed; what guards a door is missed by the forgers,
who say what they got in with. What is cut is the product, never its double: a guard
of the embedded stores is missed on a real file.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from backstop.domain.message import Contract, Policy, Traffic
from contracts.embedded import Embedded
from contracts.timers_contract import TimersContract
from entrypoints.caller import Caller
from proof.attack import (
    Attempt,
    attempt,
    forged_bodies,
    forged_credentials,
    forged_signatures,
)
from proof.removal import Cut, without
from proof.standstill import standstill
from proof.table import Configuration, explore
from simulation.options import draw
from simulation.run import live_through

DOMAIN = "backstop.domain"
USECASES = "backstop.usecases"
PROVIDERS = "backstop.providers"
PLAIN = (Policy.CONFIRMED, Contract.CONFIRMING, Traffic.PROMOTION)
SEEDS = 2000
MOST_STATES = 3000


@dataclass(frozen=True)
class Table:
    """Missed by the exploration, under one configuration."""

    rule: str
    cuts: tuple[Cut, ...]
    configuration: Configuration = PLAIN

    def missed(self) -> str:
        with without(*self.cuts):
            found = explore(self.configuration, MOST_STATES)
        return found.hole and f"{found.hole}: {' -> '.join(found.trace)}"


@dataclass(frozen=True)
class Simulated:
    """Missed by the simulation; `promises` are those that may be seen broken.

    `world` overrides options, where chance alone would take too long; `disk` has
    it live on the SQLite adapters.
    """

    promises: str
    cuts: tuple[Cut, ...]
    world: tuple[tuple[str, object], ...] = ()
    plan: tuple[tuple[str, object], ...] = ()
    disk: bool = False

    def missed(self) -> str:
        with without(*self.cuts):
            for seed in range(1, SEEDS):
                options = replace(draw(seed), **dict(self.world))  # type: ignore[arg-type]
                plans = tuple(
                    replace(plan, **dict(self.plan))  # type: ignore[arg-type]
                    for plan in options.plans
                )
                tally = live_through(replace(options, plans=plans), disk=self.disk)
                for _seed, name, promise, how in tally.violations:
                    if promise in self.promises.split():
                        return f"seed {seed}: promise {promise} of {name}: {how}"
        return ""


@dataclass(frozen=True)
class Contracted:
    """Missed by a test of the timers' contract, on the embedded platform."""

    test: str
    cuts: tuple[Cut, ...]

    def missed(self) -> str:
        with TemporaryDirectory() as folder:
            platform = Embedded(Path(folder))
            try:
                with without(*self.cuts):
                    getattr(TimersContract(), self.test)(platform)
            except AssertionError:
                return f"the contract's {self.test} fails"
            finally:
                platform.close()
        return ""


@dataclass(frozen=True)
class Forged:
    """Missed by forgers at the doors of the running machine."""

    attempts: Callable[[], Iterator[Attempt]]
    cuts: tuple[Cut, ...]

    def missed(self) -> str:
        with standstill() as machine, without(*self.cuts):
            call = Caller(machine)
            before = call.newest_event()
            for one in self.attempts():
                answer = attempt(call, one)
                if answer and answer.status < 300:
                    call.newest_event()
                    told = [e.attributes["ce-type"] for e in call.published(before)]
                    return f"{one[0]}: answered {answer.status}, published {told}"
        return ""


Row = Table | Simulated | Contracted | Forged


def cut(place: str, old: str, new: str) -> tuple[Cut, ...]:
    return (Cut(place, old, new),)


STORM = (("faults", 0.2), ("drift", 0.0), ("network", 0.3))
STORES = "backstop.adapters.embedded.stores"

RULES: Mapping[str, Row] = {
    "1: only the claim sends": Table(
        "1",
        cut(
            f"{DOMAIN}.lifecycle:_again",
            "kinds or REPEATED",
            "{*REPEATED, Do.SEND_SMS}",
        ),
    ),
    "2: at most two lost answers": Table(
        "2",
        cut(f"{DOMAIN}.evidence:_answer_lost", "lost >= LOST_ANSWERS", "lost > 99"),
    ),
    "2: a claim expires": Simulated(
        "5",
        cut(
            f"{USECASES}.actions:_is_late",
            "ports.clock.now() > claimed_at + CLAIM_LIFE",
            "False",
        ),
        (*STORM, ("kinds", ("slow after",)), ("slowness", 29.0), ("network", 0.9)),
        (("policy", "PROMPT"), ("rcs", "unreachable"), ("traffic", "TRANSACTION")),
    ),
    "3: a 4xx is known not sent": Table(
        "3",
        cut(
            f"{DOMAIN}.evidence:_sms_not_sent",
            "if not claimed(message, signal.attempt):",
            "if signal.kind is Kind.SMS_THROTTLED:",
        ),
    ),
    "4: the watch": Table(
        "4",
        cut(
            f"{DOMAIN}.lifecycle:_watch",
            "return add(drop(message, Do.ARM), Do.ARM, at=due)",
            "return message",
        ),
    ),
    "5: an early ring arms again": Table(
        "5",
        cut(
            f"{DOMAIN}.lifecycle:_without_timers",
            "return replace(message, wake_at=None)",
            "return message",
        ),
    ),
    "5: a ring without a record comes again": Simulated(
        "1",
        cut(f"{USECASES}.follow:ring", "raise NotYet", "return None"),
        (
            *STORM,
            ("kinds", ("slow before",)),
            ("deaths", 0.5),
            ("stalls", True),
            ("everyone", False),
        ),
        (("ttl", 10.0),),
    ),
    "6: what rings now is no timer": Contracted(
        "test_arming_what_is_ringing_now_rings_again",
        cut(f"{STORES}:SqliteTimers.arm", "if due_at > now:", "if True:"),
    ),
    "6: what lies ahead is one timer": Contracted(
        "test_arming_twice_rings_once",
        cut(f"{STORES}:SqliteTimers.arm", "if due_at > now:", "if False:"),
    ),
    "7: one refusal proves nothing": Table(
        "7",
        cut(
            f"{DOMAIN}.steps:all_refused",
            "len(message.refused) == message.creates",
            "bool(message.refused)",
        ),
    ),
    "8: a late copy is called back": Table(
        "8",
        cut(
            f"{DOMAIN}.evidence:_rcs_evidence",
            "if Rcs.REVOKING in message.rcs:",
            "if False:",
        ),
    ),
    "8: a DELETE before the copy proves nothing": Simulated(
        "kept",
        cut(
            f"{USECASES}.actions:_inconclusive",
            "Rcs.ACCEPTED in message.rcs",
            "True",
        ),
        (),
        (("ttl", 600.0), ("rcs", "offline"), ("thoughts", ((0.3, "cancel"),))),
    ),
    "8: no create after expireTime": Table(
        "8, expiry",
        cut(
            f"{DOMAIN}.lifecycle:_begin_again",
            "now < message.terms.deadline and",
            "",
        ),
    ),
    "9: the create is repeated": Table(
        "9",
        cut(
            f"{DOMAIN}.evidence:_unanswered",
            "again_at=signal.again_at",
            "again_at=None",
        ),
    ),
    "10: PROMPT waits for no answer": Table(
        "10",
        cut(
            f"{DOMAIN}.evidence:_revoke_unanswered",
            "if message.terms.policy is Policy.PROMPT and message.overdue_at:",
            "if False:",
        ),
        (Policy.PROMPT, Contract.CONFIRMING, Traffic.AUTHENTICATION),
    ),
    "11: STRICT keeps still under legacy": Table(
        "11",
        cut(
            f"{DOMAIN}.policy:rows",
            "if policy is Policy.STRICT and contract is Contract.LEGACY:",
            "if False:",
        ),
        (Policy.STRICT, Contract.LEGACY, Traffic.PROMOTION),
    ),
    "12: HEDGE believes the handset": Table(
        "12",
        cut(f"{DOMAIN}.evidence:_sms_evidence", 'signal.by == "handset"', "True"),
        (Policy.HEDGE, Contract.CONFIRMING, Traffic.TRANSACTION),
    ),
    "13: a cancel is honoured up to the claim": Table(
        "13",
        cut(
            f"{DOMAIN}.steps:close",
            "attempt.live and not (forgiving and attempt.lost)",
            "False",
        ),
    ),
    "14: an opt-out closes promotions": Table(
        "14",
        cut(
            f"{DOMAIN}.evidence:_opt_out",
            "if not message.request.traffic.needs_consent:",
            "if True:",
        ),
    ),
    "15: another body is another message": Simulated(
        "2",
        cut(
            f"{USECASES}.accept:_repeated",
            "if known.phone != order.phone or "
            "known.request.digest != order.request.digest:",
            "if False:",
        ),
        (),
        (("thoughts", ((3.0, "clash"),)),),
    ),
}

SAFEGUARDS: Mapping[str, Row] = {
    # Claim and answer are one commit, so the request comes before its claim.
    "claim before SMS": Simulated(
        "2",
        (
            Cut(
                f"{USECASES}.handle:_change",
                "left = tuple(",
                """claim = advance_all(
                claim.message,
                [
                    answer
                    for action in claim.actions
                    if action.do is Do.SEND_SMS
                    for answer in PERFORM[action.do](ports, claim.message, action)
                ],
                now,
            )
            left = tuple(""",
            ),
            # It would look for the claim in the record.
            Cut(
                f"{USECASES}.actions:_send_sms",
                "or _is_late(ports, message, attempt)",
                "",
            ),
        ),
        STORM,
    ),
    "timer before record": Simulated(
        "1",
        (
            Cut(
                f"{USECASES}.accept:accept",
                "ports.timers.arm(blank.id, at=timer.at)",
                "pass",
            ),
        ),
        STORM,
    ),
    "the message's timer is spared": Simulated(
        "1",
        cut(
            f"{USECASES}.accept:_repeated", "armed not in own", "armed != known.wake_at"
        ),
        STORM,
        (("dated", True), ("thoughts", ((30.0, "repeat"), (40.0, "clash")))),
    ),
    "re-check of DELIVERED": Simulated(
        "3",
        cut(
            f"{USECASES}.actions:_is_late",
            "newest.rcs_state in ARRIVED",
            "False",
        ),
        (*STORM, ("kinds", ("slow after",)), ("slowness", 9.0), ("lost_events", 0.0)),
        (("rcs", "slow"), ("policy", "HEDGE")),
    ),
    "re-check of consent": Simulated(
        "8",
        cut(
            f"{USECASES}.actions:_send_sms",
            "if _refuses(ports, message):",
            "if False:",
        ),
        (*STORM, ("kinds", ("slow after",)), ("slowness", 9.0), ("lost_events", 0.0)),
        (
            ("traffic", "PROMOTION"),
            ("rcs", "unreachable"),
            ("thoughts", ((0.0, "unsubscribe"),)),
        ),
    ),
    "compare and set": Simulated(
        "1 2 3 4 5 7 8 11",
        cut(
            f"{STORES}:SqliteMessages.save",
            "id = ? AND version = ?",
            "id = ? AND ? > 0",
        ),
        (*STORM, ("kinds", ("slow before",)), ("slowness", 9.0)),
        disk=True,
    ),
    "dedupe of events": Simulated(
        "7",
        cut(
            f"{DOMAIN}.lifecycle:_hear",
            "any(signal.event and entry.id == signal.event "
            "for entry in message.history)",
            "False",
        ),
        STORM,
    ),
    "the first answer again": Simulated(
        "2",
        cut(f"{STORES}:SqliteMessages.create", "INSERT OR IGNORE", "INSERT OR REPLACE"),
        STORM,
        disk=True,
    ),
    "RBM's signature": Forged(
        forged_signatures,
        cut(
            f"{PROVIDERS}.rbm.wire:verify",
            "if not _any_equal(signature, signatures):",
            "if False:",
        ),
    ),
    "the signature is of these very bytes": Forged(
        forged_bodies,
        cut(
            f"{PROVIDERS}.rbm.wire:verify",
            "if not _any_equal(signature, signatures):",
            "if len(signature) != len(signatures[0]):",
        ),
    ),
    "Bandwidth's credentials": Forged(
        forged_credentials,
        cut(f"{PROVIDERS}.bandwidth.wire:authorised", "return equal", "return True"),
    ),
    "Bandwidth's password": Forged(
        forged_credentials,
        cut(
            f"{PROVIDERS}.bandwidth.wire:authorised",
            "hmac.compare_digest(given, wanted)",
            'given.startswith(user.encode() + b":")',
        ),
    ),
}
