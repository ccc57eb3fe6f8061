"""Stories of one message in a world without accidents, to let processes die in."""

from collections.abc import Iterator
from itertools import combinations

from simulation.options import Options, Plan
from simulation.run import Tally, live_in
from simulation.world import World


def story(
    rcs: str,
    sms: str = "ok",
    *,
    policy: str = "CONFIRMED",
    traffic: str = "TRANSACTION",
    contract: str = "confirming",
    thoughts: tuple[tuple[float, str], ...] = (),
) -> Options:
    plan = Plan("m0", policy, traffic, 60.0, 0.0, rcs, sms, thoughts)
    return Options(
        seed=1,
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
    "strict": story("silent", policy="STRICT"),
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
    "repeated": story("silent", thoughts=((1.0, "repeat"), (70.0, "repeat"))),
}

PAIRED = ("prompt", "confirmed", "strict", "unreachable")
"""The fallback path, under each policy, by each way to it."""


def calls(name: str) -> list[str]:
    """Return the calls that cross a port in a story where nobody dies."""
    world = World(STORIES[name])
    tally = live_in(world)
    assert not tally.violations, f"{name}: {tally.violations}"
    return world.calls


def die(name: str, *fatal: int) -> Tally:
    """Live through a story in which the process dies at these moments."""
    return live_in(World(STORIES[name], fatal=frozenset(fatal)))


def singles(name: str) -> Iterator[tuple[int, ...]]:
    """Yield every moment: before and after each call."""
    yield from ((moment,) for moment in range(2 * len(calls(name))))


def pairs(name: str) -> Iterator[tuple[int, ...]]:
    """Yield every two moments of a story that one death has not shortened.

    The second is counted in the life after the first death, which is longer.
    """
    moments = range(2 * len(calls(name)) + 8)
    yield from combinations(moments, 2)


def tell(name: str, *fatal: int) -> str:
    """Return the story in plain words."""
    lines: list[str] = []
    live_in(World(STORIES[name], fatal=frozenset(fatal), story=lines))
    return "\n".join(lines)
