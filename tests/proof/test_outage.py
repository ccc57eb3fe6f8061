"""No carrier is so ill that a message is lost, or an app kept waiting for it."""

from pathlib import Path

from proof.outage import MODES, Outage


def test_ill_carriers_cost_time_and_nothing_else(tmp_path: Path):
    """One that hangs, drips, fails, throttles or hangs up is met with a recovery."""
    outage = Outage(tmp_path / "state")
    try:
        broken = outage.suffer(seconds=0, each=1)
    finally:
        outage.close()
    print(f"slowest answer {outage.slowest:.1f} s")  # noqa: T201 - the figure

    assert broken == []
    met = {(one.mode, one.what) for one in outage.front.asked if one.mode}
    assert {(mode, what) for mode in MODES for what in ("POST", "sms")} <= met | {
        # They stand behind those that hang, in the lane of the texts.
        ("drips", "sms"),
        ("deaf", "sms"),
        ("hangs", "sms"),
    }
