"""Emulated time beside the wall clock, on numbers: no board, no clock."""

import pytest

from host_tools.targets.emulator.pace import AHEAD_S, BEHIND_S, Pace


def run(pace, wall, seconds, until, able):
    """A board that runs `able` emulated seconds a second if it may -> where it is at `until`."""
    tick = 0.002
    while wall < until:
        allowed = pace.allowed(wall, seconds)
        if seconds < allowed + AHEAD_S / 5:  # else it waits, as `Board.astep` does
            seconds = min(allowed + AHEAD_S, seconds + able * tick)
        wall += tick
    return seconds


@pytest.mark.parametrize("rate", [1.0, 0.5, 3.0])
def test_a_quick_board_keeps_the_pace(rate):
    assert run(Pace(rate, 2.0), 100.0, 7.0, 110.0, able=50) == pytest.approx(
        7 + 10 * rate, abs=0.1 * rate
    )


def test_a_board_that_fell_behind_follows_at_twice_the_speed_and_then_keeps_time():
    pace = Pace(1.0, 2.0)
    late = run(pace, 0.0, 0.0, 10.0, able=0.7)  # it boots: the emulation is too slow
    assert late == pytest.approx(7.0, abs=0.1)
    half = run(pace, 10.0, late, 11.0, able=50)  # it waits
    assert half == pytest.approx(9.0, abs=0.1)
    assert run(pace, 11.0, half, 20.0, able=50) == pytest.approx(20.0, abs=0.1)


def test_a_board_that_is_not_to_catch_up_stays_behind():
    pace = Pace(1.0)
    late = run(pace, 0.0, 0.0, 10.0, able=0.7)
    assert run(pace, 10.0, late, 20.0, able=50) == pytest.approx(late + 10, abs=0.1)


def test_what_a_host_slept_is_not_made_up():
    pace = Pace(1.0, 2.0)
    before = run(pace, 0.0, 0.0, 1.0, able=50)
    woke = 1.0 + BEHIND_S + 60
    after = run(pace, woke, before, woke + 10, able=50)
    assert after == pytest.approx(before + 10, abs=0.1)
