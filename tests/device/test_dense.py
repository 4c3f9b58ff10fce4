"""Dense packs: what the device packs, the collector's own decoder reads; on every interpreter."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uward import limits

from host_tools.fleet import codec, dense

EPOCH = 1_800_000_000
NAME, UNIT = "heart-rate", "beat/min"
HOURS_72 = 25_920  # readings each 10 s


def decode(pack):
    """A finished pack in hex -> [(ms of uptime, value), ...]."""
    rows = dense.readings(codec.decode(bytes.fromhex(pack)))
    return [(round((row.time - EPOCH) * 1000), row.value) for row in rows]


def dated(began, body):
    """A body in hex and when it began -> the finished pack, written from SPEC 8."""
    data = bytes.fromhex(body)
    end = 3 + int.from_bytes(data[1:3], "big")
    time = codec.encode(EPOCH + began // 1000)
    return (b"\x88" + data[3:end] + codec.encode(data[end:]) + time).hex()


def kept(readings, packs, period):
    """What the packs are to say of the readings that were taken: SPEC 8 by the book."""
    out, left = [], list(readings)
    for pack in packs:
        count = len(decode(pack))
        expected = None
        for when, value in left[:count]:
            late = 0 if expected is None else when - expected
            on_time = expected is not None and abs(late) <= period // 64
            at = expected if on_time else when
            assert abs(at - when) <= period // 64
            out.append((at, value))
            expected = at + period
        left = left[count:]
    assert not left
    return out


def same(found, wanted):
    assert found == wanted
    assert [type(value) for _, value in found] == [type(value) for _, value in wanted]


VALUES = st.one_of(
    st.integers(-300, 300),
    st.integers(-(1 << 31), 1 << 31),
    st.integers(-3000, 3000).map(lambda m: m / 10),
    st.integers(-(1 << 25), 1 << 25).map(lambda m: m / 1000),
    st.integers(-999, 999).map(lambda m: m / 100),
    st.floats(-1e3, 1e3, allow_nan=False, width=32),
)
RUNS = st.one_of(  # values that follow one another as a sensor's do, or not at all
    st.lists(VALUES, max_size=40),
    st.lists(st.integers(-40, 40).map(lambda m: (720 + m) / 10), max_size=200),
    st.lists(st.integers(90, 99), max_size=400),
)
PERIODS = st.sampled_from([10, 63, 64, 100, 1000, 10_000, 60_000])


@st.composite
def sensed(draw):
    """-> (period, [[ms of uptime, value], ...]) in order."""
    period, values = draw(PERIODS), draw(RUNS)
    near = period // 64
    waits = st.one_of(
        st.integers(period - near, period + near),
        st.just(period),
        st.integers(0, 4 * period),
        st.sampled_from([0, period - near - 1, period + near + 1, 1 << 20, (1 << 28) + period]),
    )
    when, out = draw(st.integers(0, 1 << 32)), []
    for value in values:
        when += draw(waits)
        out.append([when, value])
    return period, out


def hypothetically(count):
    quiet = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=count, deadline=None, suppress_health_check=quiet)


@hypothetically(40)
@given(sensed())
def test_the_collector_reads_what_was_packed(device, case):
    period, readings = case
    packs, left = device("device_dense", "run", NAME, UNIT, period, readings, EPOCH)
    taken = [one for one in readings if one not in left]
    for _, value in left:  # what no pack takes is no plain number
        m = value * 1000
        assert abs(value) >= 1 << 30 if isinstance(value, int) else abs(m) > 1 << 23 or m % 1
    found = [row for pack in packs for row in decode(pack)]
    same(found, kept(taken, packs, period))
    assert all(len(bytes.fromhex(pack)) <= limits.DENSE_BYTES + 7 for pack in packs)


@hypothetically(40)
@given(sensed(), st.data())
def test_what_is_not_taken_changes_nothing(device, case, data):
    """One pack takes what it can, also after a refusal; another is given just that."""
    period, readings = case
    for at in data.draw(st.lists(st.integers(0, len(readings)), max_size=3)):
        strange = data.draw(st.sampled_from(["true", "none", "text", "nan", "inf"]))
        readings.insert(at, [readings[at][0] if at < len(readings) else 1 << 40, strange])
    taken, bodies, closed = device("device_dense", "offer", NAME, UNIT, period, readings)
    before = ""
    for took, body in zip(taken, bodies, strict=True):
        assert took or body == before
        before = body
    assert closed[1] == before
    only = [one for one, took in zip(readings, taken, strict=True) if took]
    again = device("device_dense", "offer", NAME, UNIT, period, only)
    assert again[0] == [True] * len(only) and again[2] == closed
    for count, body in enumerate(again[1], 1):  # a mirror in flash is a whole pack at any time
        rows = decode(dated(closed[0], body))
        same(rows, kept(only[:count], [dated(closed[0], body)], period))


@pytest.mark.parametrize(
    ("readings", "steps"),
    [
        ([[5250, 72]], ""),
        ([[5250, 72], [15250, 73]], "28"),  # 1 is 2; a low half that is left is 8
        ([[5250, 72], [15250, 73], [25250, 72]], "21"),  # -1 is 1
        ([[5250, 72], [15250, 76]], "81"),  # 8 is 0, then 1
        ([[5250, 72], [15250, 35]], "9918"),  # 73 is 1, 1, 1
        ([[5250, 72], [15406, 72], [25094, 73]], "02"),  # 156 ms of 10 s to either side: on time
        ([[5250, 72], [15407, 72]], "80af40"),  # 157 is 314 is 2, 7, 4
        ([[5250, 72], [15093, 71]], "809f41"),  # -157 is 313
        ([[5250, 72], [15407, 72], [25563, 72]], "80af4008"),  # on time after one that was not
    ],
)
def test_bytes_are_those_of_the_spec(device, readings, steps):
    head = codec.encode([NAME, UNIT, 0, 10_000, 250, 72])[1:]
    _, _, (began, body) = device("device_dense", "offer", NAME, UNIT, 10_000, readings)
    assert began == 5000
    assert body == "fe00%02x" % len(head) + head.hex() + steps
    (pack,), _ = device("device_dense", "run", NAME, UNIT, 10_000, readings, EPOCH)
    assert pack == dated(began, body)


TENTHS = 1 << 24
FAR = 1 << 28


@pytest.mark.parametrize(
    ("values", "taken"),
    [
        ([(1 << 30) - 1], [True]),
        ([1 - (1 << 30)], [True]),
        ([1 << 30], [False]),
        ([-(1 << 30)], [False]),
        ([1 << 40, 1], [False, True]),
        ([0, FAR - 1], [True, True]),
        ([0, 1 - FAR], [True, True]),
        ([0, FAR], [True, False]),
        ([0, -FAR], [True, False]),
        ([72.5, 72.25, 72.0], [True, False, True]),
        ([72.25, 72.5], [True, True]),
        ([72.125, 1.001], [True, True]),
        ([72.0625], [False]),
        ([1 / 3, 2.0], [False, True]),
        ([1e30, -1e300], [False, False]),
        ([72, 73.0, 74], [True, False, True]),  # an int comes back as one, a float as one
        ([72.0, 73, 74.0], [True, False, True]),
        (["true", "none", "text", "bytes", "nan", "inf", "-inf", "list", 1], [False] * 8 + [True]),
        (
            [1.5, "true", "none", "text", "bytes", "nan", "inf", "-inf", "list"],
            [True] + [False] * 8,
        ),
    ],
)
def test_which_values_are_taken(device, values, taken):
    readings = [[1000 * i, value] for i, value in enumerate(values)]
    found, _, (began, body) = device("device_dense", "offer", "x", "", 1000, readings)
    assert found == taken
    wanted = [row for row, took in zip(readings, taken, strict=True) if took]
    if wanted:
        same(decode(dated(began, body)), [tuple(row) for row in wanted])


def test_floats_are_taken_while_their_tenths_are_exact(device):
    assert device("device_dense", "tenths", TENTHS) == [True, True, False, False, False, True]


@pytest.mark.parametrize(
    ("period", "whens", "taken"),
    [
        (1000, [5000, 5000], [True, True]),
        (1000, [5001, 5000, 5001], [True, False, True]),
        (1000, [5000, 5990, 5989, 5990], [True, True, False, True]),
        (1000, [0, 1000 + FAR - 1], [True, True]),
        (1000, [0, 1000 + FAR, 1000], [True, False, True]),
        (FAR - 1, [0, 0], [True, True]),
        (FAR, [0, 0], [False, False]),
        (10, [(1 << 40) + 5, (1 << 40) + 15], [True, True]),
    ],
)
def test_which_times_are_taken(device, period, whens, taken):
    readings = [[when, 7] for when in whens]
    found, _, (began, body) = device("device_dense", "offer", "x", "", period, readings)
    assert found == taken
    if any(taken):
        only = [row for row, took in zip(readings, taken, strict=True) if took]
        pack = dated(began, body)
        same(decode(pack), kept(only, [pack], period))


def test_a_pack_is_full_at_its_last_half_byte(device):
    readings = [[1000 * i, 7] for i in range(400)]
    taken, bodies, (_, body) = device("device_dense", "offer", "x", "", 1000, readings)
    first = len(bodies[0]) // 2
    count = 1 + 2 * (limits.DENSE_BYTES - first)
    assert taken == [True] * count + [False] * (400 - count)
    assert len(body) // 2 == limits.DENSE_BYTES
    readings[count - 1][1] = 17  # two half bytes, where one is left
    readings[count][1] = 7
    taken, _, (_, body) = device("device_dense", "offer", "x", "", 1000, readings)
    assert taken == [True] * (count - 1) + [False] * (401 - count)  # 1 s late wants a mark
    assert len(body) // 2 == limits.DENSE_BYTES and body.endswith("8")


def test_a_pack_ends_at_its_readings(device):
    readings = [[1000 * i, 7] for i in range(8)]
    taken, _, _ = device("device_dense", "offer", "x", "", 1000, readings, 5)
    assert taken == [True] * 5 + [False] * 3


@pytest.mark.parametrize(
    ("name", "unit", "takes"),
    [
        ("x" * 48, "x" * 48, True),
        ("x" * 48, "µ" * 48, True),  # 160 bytes, to the last
        ("x" * 48, "µ" * 47 + "€", False),  # 161
        ("€" * 48, "€" * 48, False),
        ("\U0001fac0" * 48, "", False),
    ],
)
def test_the_longest_names(device, name, unit, takes):
    readings = [[0, 100], [100_000, 101], [200_000, 101]]
    taken, _, (_, body) = device("device_dense", "offer", name, unit, 100_000, readings)
    full = unit.startswith("µ")
    assert taken == [takes, takes and not full, takes and not full]
    assert len(body) // 2 <= limits.DENSE_BYTES
    if takes:
        assert len(decode(dated(0, body))) == sum(taken)


def walk(spread, pull, middle, digits, seed):
    """72 h of a sensor that is read each 10 s, up to 40 ms late: [[ms, value], ...]."""
    chance, value, out = random.Random(seed), middle, []
    for i in range(HOURS_72):
        value += (middle - value) * pull + chance.gauss(0, spread)
        shown = round(value * 10) / 10 if digits else min(100, round(value))
        out.append([3210 + 10_000 * i + chance.randrange(40), shown])
    return out


@pytest.mark.parametrize(
    ("name", "unit", "spread", "pull", "middle", "digits", "most"),
    [
        (NAME, UNIT, 1.2, 0.02, 72.0, 1, 1.15),  # 1.12 measured
        ("spo2", "%", 0.45, 0.05, 97.0, 0, 0.6),  # 0.58
    ],
)
def test_a_reading_takes_about_a_byte(device, name, unit, spread, pull, middle, digits, most):
    readings = walk(spread, pull, middle, digits, 0)
    packs, left = device("device_dense", "run", name, unit, 10_000, readings, EPOCH)
    assert left == []
    found = [row for pack in packs for row in decode(pack)]
    same(found, kept(readings, packs, 10_000))
    assert sum(len(pack) // 2 for pack in packs) / len(readings) <= most
