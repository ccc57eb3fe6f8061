"""Stories of one message in a world without accidents, to let processes die in."""

from collections.abc import Iterator

from simulation.options import Options, Plan
from simulation.run import Tally, live_in, live_through
from simulation.world import World


def story(
    rcs: str,
    sms: str = "ok",
    *,
    policy: str = "CONFIRMED",
    traffic: str = "TRANSACTION",
    contract: str = "confirming",
    thoughts: tuple[tuple[float, str], ...] = (),
    out_of_reach: float = 0.0,
    seed: int = 1,
) -> Options:
    plan = Plan("m0", policy, traffic, 60.0, 0.0, rcs, sms, thoughts, dated=True)
    return Options(
        seed=seed,
        contract=contract,
        faults=0.0,
        kinds=(),
        deaths=0.0,
        everyone=False,
        network=0.0,
        late=0.0,
        doubled=0.0,
        lost_events=0.0,
        slowness=0.0,
        stalls=False,
        redelivered=0.0,
        skew_rbm=0.0,
        skew_sms=0.0,
        drift=0.0,
        out_of_reach=out_of_reach,
        calm_at=1000.0,
        plans=(plan,),
    )


STORIES = {
    "delivered": story("online"),
    "expired": story("offline"),
    "prompt": story("silent", policy="PROMPT", traffic="AUTHENTICATION"),
    "confirmed": story("silent"),
    "confirmed, legacy": story("silent", contract="legacy"),
    "confirmed, stuck": story("stuck"),
    "strict": story("silent", policy="STRICT", seed=2),
    "strict, in doubt": story("silent", policy="STRICT"),
    "strict, expired": story("offline", policy="STRICT", traffic="PROMOTION"),
    "strict, legacy": story("silent", policy="STRICT", contract="legacy"),
    "unreachable": story("unreachable"),
    "hedge": story("slow", policy="HEDGE"),
    "no fallback": story("silent", policy="NONE"),
    "cancelled": story("offline", thoughts=((5.0, "cancel"),)),
    "acknowledged": story("silent", thoughts=((5.0, "acknowledge"),)),
    "opted out": story("silent", traffic="PROMOTION", thoughts=((5.0, "unsubscribe"),)),
    "texted STOP": story(
        "unreachable", "slow", traffic="PROMOTION", thoughts=((0.01, "stop"),)
    ),
    "sms refused": story("unreachable", "refused"),
    "sms unsent": story("unreachable", "unsent"),
    "sms throttled": story("unreachable", "busy", policy="STRICT"),
    "bypassed": story("online", out_of_reach=3600.0),
    "repeated": story("silent", thoughts=((1.0, "repeat"), (70.0, "repeat"))),
}

PAIRED = (
    *("prompt", "confirmed", "expired", "strict", "strict, expired"),
    *("unreachable", "bypassed", "hedge"),
)
"""The fallback path, under each policy, by each way to it."""


def calls(name: str) -> list[str]:
    """Return the calls that cross a port in a story where nobody dies."""
    world = World(STORIES[name])
    tally = live_in(world)
    assert not tally.violations, f"{name}: {tally.violations}"
    return world.calls


def die(name: str, *fatal: int, disk: bool = False) -> Tally:
    """Live through a story in which the process dies at these moments."""
    return live_through(STORIES[name], disk=disk, fatal=frozenset(fatal))


def singles(name: str) -> Iterator[tuple[int, ...]]:
    """Yield every moment: before and after each call."""
    yield from ((moment,) for moment in range(2 * len(calls(name))))


def pairs(name: str) -> Iterator[tuple[int, ...]]:
    """Yield every moment, with every later one of the life that goes on after it."""
    for (first,) in singles(name):
        world = World(STORIES[name], fatal=frozenset({first}))
        live_in(world)
        yield from ((first, then) for then in range(first + 1, 2 * len(world.calls)))


def tell(name: str, *fatal: int) -> str:
    """Return the story in plain words."""
    lines: list[str] = []
    live_through(STORIES[name], fatal=frozenset(fatal), story=lines)
    return "\n".join(lines)
