"""Packs are SenML that another CBOR reader resolves (RFC 8428), whatever the readings are."""

import cbor2
import pytest
from uward import limits

EPOCH = 1_800_000_000


def resolve(pack):
    """RFC 8428 4.6 by the book -> [(name, unit, time, value), ...]."""
    records, out = cbor2.loads(bytes.fromhex(pack)), []
    name, unit, time = "", "", 0
    for record in records:
        name, unit = record.get(-2, name), record.get(-4, unit)
        time = record.get(-3, time)
        (value,) = [record[label] for label in (2, 3, 4, 8) if label in record]
        out.append((name + record.get(0, ""), unit, time + record.get(6, 0), value))
    return out


def is_deterministic(pack):
    return cbor2.dumps(cbor2.loads(bytes.fromhex(pack)), canonical=True).hex() == pack


def test_readings_carry_their_sample_time(device):
    readings = [[5_250, 61.5], [6_251, 62], [7_250, -3], [9_000, 1e6]]
    (pack,) = device("device_packs", "pack", "heart-rate", "beat/min", readings, EPOCH)
    rows = resolve(pack)
    assert [row[0] for row in rows] == ["heart-rate"] * 4
    assert [row[1] for row in rows] == ["beat/min"] * 4
    assert [row[2] for row in rows] == [
        pytest.approx(EPOCH + ms / 1000, abs=0.0006) for ms, _ in readings
    ]
    assert [row[3] for row in rows] == [61.5, 62, -3, 1e6]


@pytest.mark.parametrize("value", [0, -1, 1.25, True, False, "text", "", 1 << 40])
@pytest.mark.parametrize("unit", ["", "Cel"])
def test_every_kind_of_value_is_encoded_deterministically(device, value, unit):
    (pack,) = device("device_packs", "pack", "x", unit, [[1000, value], [2500, value]], EPOCH)
    assert is_deterministic(pack)
    assert resolve(pack) == [("x", unit, EPOCH + 1, value), ("x", unit, EPOCH + 2.5, value)]


def test_packs_are_bounded(device):
    readings = [[i * 10, i] for i in range(300)]
    packs = device("device_packs", "pack", "x", "", readings, EPOCH)
    assert [row[3] for pack in packs for row in resolve(pack)] == list(range(300))
    for pack in packs:
        assert len(resolve(pack)) <= limits.SENML_RECORDS
        assert len(pack) // 2 <= limits.PACK_BYTES + 80
        assert is_deterministic(pack)


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ("nan", "CodecError: reading: expected a finite number"),
        ("inf", "CodecError: reading: expected a finite number"),
        ("later", "CodecError: reading: expected a finite number"),
        ("none", "CodecError: reading: expected a value, got NoneType"),
        ("list", "CodecError: reading: expected a value, got list"),
        ("long", "CodecError: reading: expected <= 64 bytes"),
    ],
)
def test_other_values_are_refused(device, which, message):
    assert device("device_packs", "refusals", which).startswith(message)


def test_a_pack_is_due_after_its_time(device):
    assert device("device_packs", "due", 1_000, 5_999) is False
    assert device("device_packs", "due", 1_000, 6_000) is True


def test_events_are_dated(device):
    body = cbor2.loads(
        bytes.fromhex(device("device_packs", "event", "tls.reject", "why", 2500, EPOCH))
    )
    assert body == ["tls.reject", "why", EPOCH + 2, 2]
