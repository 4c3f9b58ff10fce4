"""Readings while nobody commits them: nothing lost, nothing twice, in order, by one stream."""

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from host_tools.fleet import dense, held, messages

SCRIPT = "device_away"
BOOT = 1_800_000_000
NEXT = BOOT + 70  # the last copy of an open pack says: seven readings, each 10 s


def told(sent):
    """Final bodies -> {name: [(unix seconds, value)]} in the order in which they came."""
    found = {}
    for _, purpose, body in sent:
        if purpose == "tele":
            for reading in dense.readings(cbor2.loads(bytes.fromhex(body))):
                found.setdefault(reading.name, []).append((reading.time, reading.value))
    return found


@pytest.mark.parametrize("reboot", [False, True])
def test_what_waits_in_ram_goes_on_with_its_numbers_and_bytes(device, tmp_path, reboot):
    left, same, sent, reports = device(SCRIPT, "takes_over", str(tmp_path / "b"), reboot)
    assert left == [0, 3] and same and reports == []
    bodies = [b"sealed 2", b"sealed 3", b"4", b"9"]
    assert sent == [[n + 3, "cmd", body.hex()] for n, body in enumerate(bodies)]


def test_it_comes_back_to_ram_when_all_is_committed(device, tmp_path):
    pending, left, state, sent, reports = device(SCRIPT, "comes_back", str(tmp_path / "b"))
    assert [pending, left, reports] == [0, [[], False], []]
    assert state == [2, 2, 3, True]
    assert sent == [[3, "cmd", b"sealed 2".hex()]]


def test_a_reset_loses_no_reading_whose_copy_was_written(device, tmp_path):
    sent, reports, before, after = device(SCRIPT, "readings", str(tmp_path / "b"), 7)
    assert reports == []
    assert [before, after] == [["0", "1"], []] or after == ["0", "1"]
    assert [sequence for sequence, _, _ in sent] == [1, 2, 3, 4]
    first = [BOOT + 10 * n for n in range(1, 8)]
    second = [NEXT - 2 + 10 * n for n in range(1, 8)]  # the boot began 2 s before it was dated
    for number, name in enumerate(("heart-rate", "spo2")):
        values = [60 + n % 7 + 100 * number for n in range(14)]
        assert told(sent)[name] == list(zip(first + second, values, strict=True))


def test_a_pack_that_was_closed_before_a_cut_comes_once(device, tmp_path):
    assert device(SCRIPT, "cut_between", str(tmp_path / "b")) == [2, []]


def test_a_copy_comes_though_another_pack_of_its_second_was_written(device, tmp_path):
    sent, reports = device(SCRIPT, "closed_beside", str(tmp_path / "b"))
    assert sorted(told(sent)) == ["heart-rate", "spo2"] and reports == []


def test_a_copy_that_was_changed_is_told_and_the_other_comes(device, tmp_path):
    sent, reports, _ = device(SCRIPT, "damaged", str(tmp_path / "b"), "copy")
    assert [purpose for _, purpose, _ in sent] == ["cmd", "tele"]
    assert len(reports) == 1
    assert reports[0][0] == "store.tamper" and "/vault/open/0" in reports[0][3]


@pytest.mark.parametrize("what", ["deleted", "foreign", "twice"])
def test_an_outbox_that_is_not_ours_is_told_and_put_aside(device, tmp_path, what):
    sent, reports, names = device(SCRIPT, "damaged", str(tmp_path / "b"), what)
    assert {report[0] for report in reports} == {"store.tamper"}
    assert "expected segments sealed by this key, got none" in reports[-1][3]
    assert [purpose for _, purpose, _ in sent] == ["tele", "tele"][: len(sent)]
    assert "outbox.bad" in names and "outbox" in names


def test_with_a_lock_on_the_data_tier_the_board_cannot_read_what_waits(device, tmp_path):
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
    named, sent, reports = device(SCRIPT, "held", str(tmp_path / "b"), public.hex())
    assert not named and reports == []
    event, result, pack = [(purpose, bytes.fromhex(body)) for _, purpose, body in sent]
    assert result == ("cmd", b"2")
    assert b"store" not in event[1] and b"heart" not in pack[1]
    assert (
        messages.parse_event(held.opened(private, "event", cbor2.loads(event[1]))).reason == "why"
    )
    body = held.opened(private, "tele", cbor2.loads(pack[1]))
    assert [(r.name, r.time, r.value) for r in dense.readings(body)] == [
        ("heart-rate", BOOT + 10, 60)
    ]


def test_what_waits_to_be_written_is_bounded_and_what_is_lost_counted(device, tmp_path):
    assert device(SCRIPT, "bounded", str(tmp_path / "b")) == [64, 3, [False] * 4]


def test_copies_of_a_fast_sensor_are_as_rare_as_packs(device, tmp_path):
    assert device(SCRIPT, "copies", str(tmp_path / "b")) == [500, 5500, 10500, 15500]
