"""Each kind of fault is seen by the soak's verdict, and counted exactly."""

import random
from types import SimpleNamespace

import pytest

from tests.soak.report import table
from tests.soak.truth import Truth
from tests.soak.verdict import judge

NAME = "spo2"
EPOCH = 1_800_000_000
STARTS = (0.0, 6000.0, 12500.0)  # seconds since EPOCH at which each boot's clock began


@pytest.fixture(params=[1, 2, 3])
def chance(request):
    return random.Random(request.param)


def walk(chance, count, start=96, step=1):
    values = [start]
    while len(values) < count:
        value = values[-1] + chance.randint(-step, step)
        values.append(value if 80 <= value <= 100 else values[-1])
    return values


@pytest.fixture
def life(chance):
    """-> (truth, rows) of three boots; all is well."""
    truth, rows = Truth(), []
    for number, start in enumerate(STARTS):
        truth.end("reset" if number else "")
        truth.on_line("T boot")
        for n, value in enumerate(walk(chance, 500, 92 + number)):
            ms = 9000 + 10_000 * n + (chance.randint(0, 900) if n < 450 else 0)
            truth.on_line(f"T {NAME} {n} {ms} {value}")
            rows.append((EPOCH + start + ms / 1000, float(value)))
    return truth, rows


def found(truth, rows):
    verdict = judge(truth.boots, NAME, rows)
    return {
        name: getattr(verdict, name)
        for name in ("kept", "unheard", "flying", "lost", "twice", "wrong", "late", "back")
        if getattr(verdict, name)
    } | ({"unwritten": len(verdict.unwritten)} if verdict.unwritten else {})


def test_all_is_well(life):
    truth, rows = life
    assert truth.count == len(rows) == 1500
    assert found(truth, rows) == {"kept": 1500}
    assert judge(truth.boots, NAME, rows).faults == 0
    assert judge(truth.boots, NAME, rows).skew < 0.001


def test_single_precision_and_whole_seconds_agree(life):
    truth, rows = life
    coarse = [(round(time), value * (1 + 3e-8)) for time, value in rows]
    assert found(truth, coarse)["kept"] == 1500
    assert judge(truth.boots, NAME, coarse).skew <= 1


@pytest.mark.parametrize("at", [0, 1, 700, 777, 1400])
def test_one_is_lost(life, at):
    truth, rows = life
    del rows[at]
    assert found(truth, rows) == {"kept": 1499, "lost": 1}


def test_what_was_read_last_before_an_incident_was_not_written(life):
    truth, rows = life
    del rows[497:500]
    assert found(truth, rows) == {"kept": 1497, "unwritten": 3}
    assert max(judge(truth.boots, NAME, rows).unwritten) == pytest.approx(20, abs=1)
    del rows[490:497]
    assert found(truth, rows) == {"kept": 1490, "unwritten": 4, "lost": 6}


def test_what_was_read_last_of_all_is_under_way(life):
    truth, rows = life
    assert found(truth, rows[:-5]) == {"kept": 1495, "flying": 5}
    assert found(truth, rows[:-50]) == {"kept": 1450, "flying": 7, "lost": 43}


@pytest.mark.parametrize(("begin", "end"), [(100, 400), (300, 700), (450, 1100), (20, 1480)])
def test_many_are_lost(life, begin, end):
    truth, rows = life
    del rows[begin:end]
    counted = found(truth, rows)
    assert counted["kept"] == len(rows)
    assert counted.pop("unwritten", 0) + counted["lost"] == end - begin
    assert set(counted) == {"kept", "lost"}


def test_nothing_came(life):
    truth, _ = life
    assert found(truth, []) == {"flying": 7, "unwritten": 8, "lost": 1485}


@pytest.mark.parametrize("count", [1, 5, 60])
@pytest.mark.parametrize("at", [0, 480, 500, 740])
def test_rows_came_twice(life, at, count):
    truth, rows = life
    rows[at + count : at + count] = rows[at : at + count]
    assert found(truth, rows) == {"kept": 1500, "twice": count}


@pytest.mark.parametrize("count", [1, 4, 20])
@pytest.mark.parametrize("at", [0, 300, 1000])
def test_values_are_wrong(life, at, count):
    truth, rows = life
    for number in range(at, at + count):
        rows[number] = (rows[number][0], rows[number][1] + 3)
    counted = found(truth, rows)
    if at != 300:  # before a boot's clock is known a wrong row has no place
        assert counted == {"kept": 1500 - count, "wrong": count, "lost": count}
    else:
        assert counted == {"kept": 1500 - count, "wrong": count}


@pytest.mark.parametrize("value", ["97", None, True])
def test_what_is_no_number_is_wrong(life, value):
    truth, rows = life
    rows[50] = (rows[50][0], value)
    assert found(truth, rows) == {"kept": 1499, "wrong": 1}


def test_a_row_is_dated_wrong(life):
    truth, rows = life
    rows[50] = (rows[50][0] + 40_000, rows[50][1])
    assert found(truth, rows) == {"kept": 1499, "wrong": 1, "lost": 1}


def test_rows_come_in_another_order(life):
    truth, rows = life
    rows[200:210] = reversed(rows[200:210])
    assert found(truth, rows) == {"kept": 1500, "late": 9, "back": 9}


def test_a_boot_comes_after_the_next(life):
    truth, rows = life
    rows = rows[:500] + rows[1000:] + rows[500:1000]
    assert found(truth, rows)["late" if "late" in found(truth, rows) else "wrong"] == 500


def test_a_boot_that_was_not_told_the_time_may_have_any_date(life):
    truth, rows = life
    rows[500:1000] = [(time - 6000 + 9.5, value) for time, value in rows[500:1000]]
    assert found(truth, rows) == {"kept": 1500, "back": 1}


def test_a_few_rows_of_short_boots(chance):
    """As they came from a board: after hours without one, nine of a boot whose clock was set."""
    truth, rows, epoch = Truth(), [], EPOCH
    for start, told, came in ((0, 147, 3), (1530, 11, 9), (1637, 15, 14)):
        for n, value in enumerate(walk(chance, told, 90)):
            truth.on_line(f"T {NAME} {n} {2000 + 10_000 * n} {value}")
            step = -4 * (start > 0 and n > 4)
            if n < came:
                rows.append((epoch + start + 2 + 10 * n + step, value))
        truth.end("cut")
    counted = found(truth, rows)
    assert counted["kept"] == len(rows)
    assert set(counted) == {"kept", "lost", "unwritten"}


@pytest.mark.parametrize("step", [-8, -3, 3, 8, 10, 25])
def test_a_clock_that_is_set_within_a_boot_is_no_fault(life, step):
    truth, rows = life
    rows[600:1000] = [(time + step, value) for time, value in rows[600:1000]]
    rows[640:1000] = [(time - step / 2, value) for time, value in rows[640:1000]]
    counted = found(truth, rows)
    assert counted.pop("back", 0) <= (abs(step) >= 8) * 2
    assert counted == {"kept": 1500}
    assert judge(truth.boots, NAME, rows).skew == pytest.approx(abs(step), abs=0.1)


def test_lines_that_were_not_heard_are_no_faults(chance):
    truth, rows = Truth(), []
    for number, start in enumerate(STARTS):
        values = walk(chance, 300, 90)
        truth.end("cut")
        for n, value in enumerate(values):
            ms = 9000 + 10_000 * n
            rows.append((EPOCH + start + ms / 1000, value))
            if (number, n) == (1, 299):
                truth.on_line(f"T {NAME} {n} {ms // 10}")  # torn
            elif n not in (150, 151):
                truth.on_line(f"T {NAME} {n} {ms} {value}")
    assert len(truth.boots) == len(STARTS)  # though nobody said "boot"
    assert found(truth, rows) == {"kept": 893, "unheard": 7}
    assert list(truth.other) == [f"T {NAME} 299 299900"]


def test_a_boot_that_nobody_ended_ended_by_itself():
    truth = Truth()
    for line in ("T boot", f"T {NAME} 0 9000 96", "T boot", f"T {NAME} 0 9000 95"):
        truth.on_line(line)
    assert [boot.end for boot in truth.boots] == ["by itself", ""]


def test_the_heap_is_the_least_that_was_told():
    truth = Truth()
    for line in ("H 60000 3", "H 50000 0", "H 55000 9"):
        truth.on_line(line)
    assert (truth.heap, truth.pending) == (50000, 9)


def test_the_table_says_every_count(life):
    truth, rows = life
    truth.on_line("H 51234 3")
    del rows[100:103]
    watch = SimpleNamespace(truth=truth, operations=77, erases=5, resets=["run-pin"])
    verdicts = {NAME: judge(truth.boots, NAME, rows)}
    told = table(verdicts, watch, (150, {"/vault": 30}), [("heap.low", 2), ("hello", 4)], 600)
    for line in (
        f"{'LOST':32}{3:>12}",
        f"{'kept':32}{1497:>12}",
        "boots: reset; reset; on at the end",
        "flash after the time offline: 150 blocks, of these /vault 30",
        "heap free at least: 51234 B, garbage not collected",
        "other events: hello 4",
        "wall time 10 min",
    ):
        assert line in told.splitlines(), told
    assert "heap.low 2" in told and "flash.error 0" in told
