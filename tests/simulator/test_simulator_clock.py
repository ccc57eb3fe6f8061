from datetime import UTC, datetime, timedelta

import pytest

from simulator import Clock

START = 1_795_000_000.0


class Wall:
    """The machine's own time, moved by hand."""

    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


@pytest.fixture
def wall():
    return Wall()


def at(seconds):
    return datetime.fromtimestamp(START, UTC) + timedelta(seconds=seconds)


def test_starts_as_real_time(wall):
    clock = Clock(wall=wall)
    wall.now += 5

    assert (clock.now(), clock.rate) == (at(5), 1)


def test_runs_at_its_rate(wall):
    clock = Clock(wall=wall)
    clock.set_rate(60)
    wall.now += 2

    assert clock.now() == at(120)


def test_a_paused_clock_stands(wall):
    clock = Clock(wall=wall)
    clock.set_rate(0)
    wall.now += 100

    assert clock.now() == at(0)
    assert clock.seconds_until(at(1)) is None
    assert clock.seconds_until(at(0)) == 0.0


def test_seconds_until_are_real_ones(wall):
    clock = Clock(wall=wall)
    clock.set_rate(60)

    assert clock.seconds_until(at(120)) == 2.0
    assert clock.seconds_until(at(-1)) == 0.0


def test_jumps_forwards_only(wall):
    clock = Clock(wall=wall)
    clock.jump_to(at(3600))
    clock.jump_to(at(60))

    assert clock.now() == at(3600)


def test_a_jump_lands_on_the_very_microsecond(wall):
    clock = Clock(wall=wall)
    clock.set_rate(0)
    for micros in (1, 2, 333_333, 999_999):
        instant = at(10) + timedelta(microseconds=micros)
        clock.jump_to(instant)

        assert clock.now() == instant


def test_never_goes_back_with_the_machine(wall):
    clock = Clock(wall=wall)
    wall.now += 10
    clock.now()
    wall.now -= 5

    assert clock.now() == at(10)


@pytest.mark.parametrize("rate", [-1, float("nan"), float("inf")])
def test_refuses_a_rate_that_is_none(wall, rate):
    with pytest.raises(ValueError, match="rate"):
        Clock(wall=wall).set_rate(rate)


def test_refuses_an_instant_without_a_zone(wall):
    with pytest.raises(ValueError, match="time zone"):
        Clock(wall=wall).jump_to(datetime(2030, 1, 1))  # noqa: DTZ001 - the point


def test_tells_of_jumps_and_rates(wall):
    clock = Clock(wall=wall)
    told = []
    clock.on_change(lambda: told.append(clock.rate))
    clock.set_rate(2)
    clock.jump_to(at(100))
    clock.jump_to(at(50))

    assert told == [2, 2]


def test_keeps_its_offset_over_a_restart(wall, tmp_path):
    Clock(tmp_path / "clock.json", wall=wall).jump_to(at(3600))
    wall.now += 30

    assert Clock(tmp_path / "clock.json", wall=wall).now() == at(3630)


def test_stays_paused_over_a_restart(wall, tmp_path):
    Clock(tmp_path / "clock.json", wall=wall).set_rate(0)
    wall.now += 30
    clock = Clock(tmp_path / "clock.json", wall=wall)

    assert (clock.now(), clock.rate) == (at(0), 0)


@pytest.mark.parametrize("rate", [0.5, 1, 60])
def test_a_restart_never_goes_back(wall, tmp_path, rate):
    clock = Clock(tmp_path / "clock.json", wall=wall)
    clock.set_rate(rate)
    for step in (0.4, 0.7, 3.0, 0.9):
        wall.now += step
        before = clock.now()
        wall.now += 0.05

        assert before <= Clock(tmp_path / "clock.json", wall=wall).now()


def test_dead_time_passes_at_rate_one(wall, tmp_path):
    Clock(tmp_path / "clock.json", wall=wall).set_rate(60)
    wall.now += 1001
    passed = Clock(tmp_path / "clock.json", wall=wall).now() - at(0)

    assert timedelta(seconds=1000) <= passed <= timedelta(seconds=1060)


def test_a_clock_that_dies_while_it_is_held_goes_on(tmp_path):
    """Holding is of this process alone: the next one runs at the rate before."""
    path = tmp_path / "clock.json"
    clock = Clock(path)
    with clock.held():
        clock.jump_to(clock.now() + timedelta(hours=1))
        later = Clock(path)

    assert later.rate == 1.0


def test_a_held_clock_moves_by_jumps_alone():
    """Time stands still until the hold ends, and then runs on."""
    clock = Clock()
    clock.set_rate(60)
    with clock.held():
        before = clock.now()
        assert clock.seconds_until(before + timedelta(seconds=1)) is None
        clock.jump_to(before + timedelta(hours=1))
        assert clock.now() == before + timedelta(hours=1)

    assert clock.rate == 60
