"""Dense packs in the collector (SPEC 8): each rule has a pack that breaks it; kept like others."""

import contextlib
import itertools

import pytest
from collector_kit import ALICE, EPOCH, held
from hypothesis import given, settings
from hypothesis import strategies as st
from uward.vault import packs
from uward.vault.dense import Dense

from host_tools.fleet import codec, dense, limits, messages
from host_tools.fleet.store import Reading

PERIOD = 10_000  # ms; on time is up to 156 of them
PACK = {
    "name": "spo2", "unit": "%", "decimals": 0, "period": PERIOD, "offset": 250, "first": 97,
    "steps": b"\x20", "time": EPOCH,
}  # fmt: skip


def pack(**changes):
    return list({**PACK, **changes}.values())


def number(value, zigzag=True):
    """A number as half bytes in hex, lowest group first."""
    left, out = (value << 1 if value >= 0 else -2 * value - 1) if zigzag else value, ""
    while left > 7:
        out, left = out + "%x" % (left & 7 | 8), left >> 3
    return out + "%x" % left


def steps(*halves):
    """Half bytes in hex, filled up."""
    text = "".join(halves)
    return bytes.fromhex(text + "8" * (len(text) & 1))


def rows(**changes):
    return [(row.time - EPOCH, row.value) for row in dense.readings(pack(**changes))]


def test_a_pack_is_readings():
    assert dense.is_dense(pack())
    assert dense.readings(pack()) == [
        Reading("spo2", "%", EPOCH + 0.25, 97),
        Reading("spo2", "%", EPOCH + 10.25, 98),
        Reading("spo2", "%", EPOCH + 20.25, 98),
    ]


def test_other_bodies_are_senml():
    for body in ([], [{-2: "x", 2: 1}], {}, "x", None, [b"x"], [1]):
        assert not dense.is_dense(body)
    assert dense.parse_tele([{-2: "x", -3: EPOCH, 2: 1}], 0.0) == [Reading("x", "", EPOCH, 1)]
    with pytest.raises(codec.Malformed, match="SenML: expected an array, got 1"):
        dense.parse_tele(1, 0.0)


def test_decimals():
    for decimals, value in ((0, 727), (1, 72.7), (2, 7.27), (3, 0.727)):
        ((_, found),) = rows(decimals=decimals, first=727, steps=b"")
        assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("halves", "found"),
    [
        ("", [(0.25, 97)]),
        ("1", [(0.25, 97), (10.25, 96)]),
        ("08", [(0.25, 97), (10.25, 97)]),
        ("8" + "1" + "2", [(0.25, 97), (10.25, 101), (20.25, 102)]),
        ("80" + number(157) + "2", [(0.25, 97), (10.407, 98)]),
        ("80" + number(-157) + "2" + "0", [(0.25, 97), (10.093, 98), (20.093, 98)]),
        ("80" + number(-PERIOD) + "2", [(0.25, 97), (0.25, 98)]),
        ("80" + number(-PERIOD - 156) + "2", [(0.25, 97), (0.094, 98)]),
        ("80" + number(2**28 - 1) + "0", [(0.25, 97), (268445.705, 97)]),
        (number(1 - 2**28), [(0.25, 97), (10.25, 98 - 2**28)]),
        (number(2**28 - 1), [(0.25, 97), (10.25, 96 + 2**28)]),
    ],
)
def test_steps(halves, found):
    assert [(round(at, 6), value) for at, value in rows(steps=steps(halves))] == found


FIRST = "value: expected an integer between -%d and %d, got %d"
BYTES = b"\x10" * 161
REFUSED = [
    ({"name": ""}, "dense pack: expected a name, got ''"),
    ({"name": "a b"}, "dense pack: expected a name, got 'a b'"),
    ({"name": "x" * 257}, "name: expected printable text, got '" + "x" * 36 + "..."),
    ({"unit": 1}, "unit: expected printable text, got 1"),
    ({"unit": "\x1b"}, r"unit: expected printable text, got '\x1b'"),
    ({"decimals": 4}, "decimals: expected an integer 0..3, got 4"),
    ({"decimals": True}, "decimals: expected an integer 0..3, got True"),
    ({"period": 2**28}, "period: expected an integer 0..268435455, got 268435456"),
    ({"period": -1}, "period: expected an integer 0..268435455, got -1"),
    ({"offset": 1000}, "offset: expected an integer 0..999, got 1000"),
    ({"first": 2**30}, FIRST % (2**30, 2**30, 2**30)),
    ({"first": -(2**30)}, FIRST % (2**30, 2**30, -(2**30))),
    ({"first": 2**24, "decimals": 1}, FIRST % (2**24, 2**24, 2**24)),
    ({"first": True}, "value: expected an integer between -1073741824 and 1073741824, got True"),
    ({"first": 72.5}, "value: expected an integer between -1073741824 and 1073741824, got 72.5"),
    ({"first": 2**30 - 1}, FIRST % (2**30, 2**30, 2**30)),  # and 1 more
    ({"first": 2**24 - 1, "decimals": 3}, FIRST % (2**24, 2**24, 2**24)),
    ({"steps": "2"}, "steps: expected bytes, got '2'"),
    ({"steps": BYTES}, "steps: expected at most 160 bytes, got 161"),
    ({"time": 2**28 - 1}, "time: expected 268435456 or more, got 268435455"),
    ({"time": 2**37 + 1}, "time: expected an integer 0..137438953472, got 137438953473"),
    ({"time": 1.5}, "time: expected an integer 0..137438953472, got 1.5"),
    ({"time": 2**37}, "time: expected at most 137438953472, got 137438953472"),  # and 250 ms
    ({"steps": steps("9")}, "steps: expected a whole number, got the end"),
    ({"steps": steps("1988")}, "steps: expected a whole number, got the end"),
    ({"steps": steps("88")}, "steps: expected a whole number, got the end"),  # one half byte fills
    ({"steps": steps("80")}, "steps: expected a whole number, got the end"),
    ({"steps": steps("80", number(157))}, "steps: expected a whole number, got the end"),
    (
        {"steps": steps("8080", number(157), "2")},
        "steps: expected the shortest form, got a longer one",
    ),
    (
        {"steps": steps("80", number(157), "80")},
        "steps: expected the shortest form, got a longer one",
    ),
    ({"steps": steps("901")}, "steps: expected the shortest form, got a longer one"),
    ({"steps": steps("8801")}, "steps: expected the shortest form, got a longer one"),
    (
        {"steps": steps("80", number(156), "2")},
        "steps: expected no mark at 156 ms of 10000, got one",
    ),
    (
        {"steps": steps("80", number(-156), "2")},
        "steps: expected no mark at -156 ms of 10000, got one",
    ),
    (
        {"steps": steps("80", number(-10157), "2")},
        "steps: expected times in order, got -10157 ms of 10000",
    ),
    ({"steps": steps(number(2**28))}, "steps: expected a number below 268435456, got more"),
    ({"steps": steps(number(-(2**28)))}, "steps: expected a number below 268435456, got more"),
    (
        {"steps": steps("80", number(2**28), "2")},
        "steps: expected a number below 268435456, got more",
    ),
    ({"steps": steps("8" * 300 + "1")}, "steps: expected a number below 268435456, got more"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_refused(changes, message):
    with pytest.raises(codec.Malformed) as caught:
        dense.readings(pack(**changes))
    assert str(caught.value) == message


def test_another_count_of_items_is_refused():
    for body in (pack()[:7], [*pack(), 2]):
        with pytest.raises(codec.Malformed, match="dense pack: expected an array of 8, got"):
            dense.readings(body)


def test_readings_are_counted(monkeypatch):
    monkeypatch.setattr(limits, "DENSE_READINGS", 3)
    assert len(rows(steps=b"\x20")) == 3
    with pytest.raises(codec.Malformed, match="steps: expected at most 3 readings, got more"):
        rows(steps=b"\x20\x08")


@given(st.binary(max_size=170), st.integers(0, 3), st.integers(0, 20_000))
@settings(max_examples=400, deadline=None)
def test_any_steps_are_readings_or_refused(data, decimals, period):
    with contextlib.suppress(codec.Malformed):
        found = dense.readings(pack(steps=data, decimals=decimals, period=period))
        assert 1 <= len(found) <= limits.DENSE_READINGS
        for one, after in itertools.pairwise(found):
            assert after.time - one.time >= -period / 64000 - 1e-6


PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.floats(), st.text(max_size=4),
    st.binary(max_size=20), st.lists(st.integers(), max_size=3),
)  # fmt: skip


@given(st.lists(PLAIN, max_size=9), st.dictionaries(st.sampled_from(list(PACK)), PLAIN))
@settings(max_examples=400, deadline=None)
def test_any_body_is_readings_or_refused(body, changes):
    for tried in (body, pack(**changes)):
        with contextlib.suppress(codec.Malformed):
            for reading in dense.parse_tele(tried, 1.0):
                assert messages.SENML_NAME.fullmatch(reading.name)
                assert dense.is_dense(tried) and type(reading.value) in (int, float)


# from the device to the database


def taken():
    """A pack of the device's own: [reading], and as `packs.finish` wants it."""
    wanted, made = [], Dense("heart-rate", "beat/min", PERIOD)
    for i, value in enumerate((72.5, 72.4, 80.0, 72.4)):
        assert made.add(5250 + PERIOD * i, value)
        wanted.append((EPOCH + 5.25 + 10 * i, value))
    return wanted, (made.began, made.body())


def stored(bench):
    rows = bench.store.readings(ALICE)
    assert {(r.name, r.unit) for r in rows} == {("heart-rate", "beat/min")}
    return [(r.time, r.value) for r in rows]


def test_a_pack_is_stored_and_shown_and_acknowledged(bench):
    alice = bench.device()
    wanted, (when, body) = taken()
    final = codec.decode(packs.finish("tele", when, body, EPOCH, 2))
    outcome = bench.hand(alice, "tele", alice._number("tele", final))
    assert stored(bench) == wanted
    assert [n.text for n in outcome.notices][-1] == "heart-rate 72.4 beat/min"
    assert bench.acks(alice) == [1] and bench.events() == []


def test_a_held_pack_is_opened_and_stored(bench):
    alice = bench.device()
    wanted, (when, body) = taken()
    bench.hand(alice, "tele", held(bench, alice, "tele", when, body))
    assert stored(bench) == wanted
    assert bench.acks(alice) == [1] and bench.events() == []


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        (b"\xfe", "held dense pack: expected 3 bytes of head, got 1"),
        (b"\xfe\x00", "held dense pack: expected 3 bytes of head, got 2"),
        (b"\xfe\x00\x05\x01", "held dense pack: expected 8 bytes of head, got 4"),
        (b"\xfe\x00\x01\x01", "expected CBOR, got CBORDecodeEOF"),
        (b"\xfe\x00\x00", "expected CBOR, got CBORDecodeEOF"),
        (b"\xfe\x00\x06\x61x\x60\x00\x01\x01\x20", "expected CBOR, got CBORDecodeEOF"),
        (b"\xfe\x00\x08\x61x\x60\x00\x01\x01\x01\x01\x20", "expected deterministic CBOR"),
        (b"\xfe\x00\x07\x61x\x60\x04\x01\x01\x01\x20", "decimals: expected an integer 0..3, got"),
    ],
)
def test_a_held_pack_that_says_nothing_is_noted(bench, plain, message):
    alice = bench.device()
    bench.hand(alice, "tele", held(bench, alice, "tele", 5000, plain))
    assert bench.events() == [(ALICE, "proto.malformed")]
    assert bench.reasons()[0].startswith(message)
    assert bench.acks(alice) == [1]
