"""What one seed decides: who sends what to whom, and everything that goes wrong."""

from dataclasses import dataclass, fields
from random import Random

POLICIES = ("PROMPT", "CONFIRMED", "STRICT", "HEDGE", "NONE")
TRAFFICS = (
    "AUTHENTICATION",
    "TRANSACTION",
    "PROMOTION",
    "SERVICEREQUEST",
    "ACKNOWLEDGEMENT",
    "MESSAGE_TRAFFIC_TYPE_UNSPECIFIED",
)

RCS_FATES = {
    "online": 5,
    "slow": 3,
    "offline": 3,
    "silent": 3,
    "stuck": 3,
    "liar": 2,
    "unreachable": 3,
    "unlaunched": 1,
    "invalid": 1,
    "busy": 1,
    "down": 1,
    "flaky": 2,
}
"""How RBM and the phone treat the RCS copy; `carriers.py` says what each means."""

SMS_FATES = {
    "ok": 8,
    "slow": 2,
    "refused": 1,
    "failed": 2,
    "unsent": 2,
    "doubt": 2,
    "mute": 2,
    "vanishes": 1,
    "busy": 1,
}

FAULTS = ("lost before", "lost after", "slow before", "slow after", "twice", "conflict")
DEATHS = ("dies before", "dies after")


@dataclass(frozen=True)
class Plan:
    """One message: how it is sent, what its carriers do, and second thoughts.

    A repeat asks for `ttl` seconds from then, unless it is `dated`: then for the same
    `expireTime`. `thoughts` are what the app or the owner does, and how many seconds
    after the first call.
    """

    name: str
    policy: str
    traffic: str
    ttl: float
    at: float
    rcs: str
    sms: str
    thoughts: tuple[tuple[float, str], ...]
    dated: bool = False


@dataclass(frozen=True)
class Options:
    """One world. Rates are chances per call; times are seconds.

    The clock of each worker is wrong by up to `drift`. For `out_of_reach` the phone
    is remembered as one that RCS does not reach, rightly or not.
    """

    seed: int
    contract: str
    faults: float
    kinds: tuple[str, ...]
    deaths: float
    everyone: bool
    network: float
    late: float
    doubled: float
    lost_events: float
    slowness: float
    stalls: bool
    redelivered: float
    skew_rbm: float
    skew_sms: float
    drift: float
    out_of_reach: float
    calm_at: float
    plans: tuple[Plan, ...]

    def __str__(self) -> str:
        own = (f for f in fields(self) if f.name != "plans")
        lines = [", ".join(f"{f.name}={getattr(self, f.name)}" for f in own)]
        return "\n".join(lines + [f"  {plan}" for plan in self.plans])


def draw(seed: int) -> Options:
    """Return the world of *seed*: the same for ever."""
    chance = Random(seed)
    pick, rate = chance.choice, chance.random
    stormy = rate() < 0.75
    plans = tuple(
        _plan(chance, number) for number in range(pick((1, 1, 1, 1, 1, 2, 3)))
    )
    span = max(plan.at + plan.ttl for plan in plans)
    return Options(
        seed=seed,
        contract=pick(("confirming", "legacy")),
        faults=pick((0.01, 0.03, 0.08, 0.2)) if stormy else 0.0,
        kinds=tuple(kind for kind in FAULTS if rate() < 0.6) or ("lost after",),
        deaths=pick((0.0, 0.3, 0.7)),
        everyone=rate() < 0.3,
        network=pick((0.0, 0.05, 0.3, 0.6)) if stormy else 0.0,
        late=pick((0.0, 0.0, 0.1, 0.4)),
        doubled=pick((0.0, 0.1, 0.4)),
        lost_events=pick((0.0, 0.0, 0.05, 0.3)),
        slowness=pick((0.05, 0.5, 3.0, 9.0)),
        stalls=rate() < 0.1,
        redelivered=pick((0.0, 0.05, 0.3)) if stormy else 0.0,
        skew_rbm=pick((0.0, 0.0, -3.0, 4.0, 30.0, -30.0)),
        skew_sms=pick((0.0, 0.0, -5.0, 60.0, 3600.0, -3600.0)),
        drift=pick((0.0,) * 8 + (0.05, 0.5)),
        out_of_reach=pick((0.0,) * 9 + (30.0, 86_400.0)),
        calm_at=span * pick((0.3, 1.0, 1.2, 2.0)) + pick((1, 30, 120, 1200, 9000)),
        plans=plans,
    )


def _plan(chance: Random, number: int) -> Plan:
    policy = chance.choice(POLICIES[:4] * 3 + POLICIES[4:])
    ttl = chance.choice((10.0, 20.0, 60.0, 60.0, 600.0, 600.0, 3600.0))
    thoughts = []
    for word, likely in (
        ("cancel", 0.1),
        ("acknowledge", 0.1),
        ("unsubscribe", 0.1),
        ("stop", 0.1),
        ("subscribe", 0.03),
        ("repeat", 0.2),
        ("clash", 0.05),
    ):
        if chance.random() < likely:
            when = chance.choice((0.5, ttl * chance.random(), ttl + chance.random()))
            when += chance.choice((0.0, 0.0, 5.2, 66.0, 930.0)) * chance.random()
            thoughts.append((round(when, 3), word))
    return Plan(
        name=f"m{number}",
        policy=policy,
        traffic=chance.choice(TRAFFICS),
        ttl=ttl,
        at=round(number * 20 * chance.random(), 3),
        rcs=_weighted(chance, RCS_FATES),
        sms=_weighted(chance, SMS_FATES),
        thoughts=tuple(sorted(thoughts)),
        dated=chance.random() < 0.5,
    )


def _weighted(chance: Random, weights: dict[str, int]) -> str:
    return chance.choices(list(weights), list(weights.values()))[0]
