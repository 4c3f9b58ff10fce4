"""The boot record: 200 authenticated bytes, two copies, chosen as S3 says."""

import hashlib
import hmac
import struct

KEY = bytes(range(32)).hex()
OTHER = bytes(32).hex()
REST = [2, 1, 2, [True, True], [True, False], 7, 3, 3, "12345678", True]


def test_the_layout_is_that_of_the_spec(device):
    data = bytes.fromhex(device("device_record", "packed", 5, 9, KEY))
    assert len(data) == 200
    assert data[:4] == b"uWR1"
    assert struct.unpack(">IBBBBIII", data[4:24]) == (5, 2, 1, 2, 1 | 2 | 4, 9, 7, 3)
    assert data[24:56] == bytes(range(32))
    assert data[56:108] == bytes(32) + struct.pack(">I", 1) + bytes(16)
    assert data[108:160] == b"\1" * 16 + b"\2" * 16 + struct.pack(">I", 3) + b"\3" * 16
    assert data[160:184] == b"12345678" + bytes(16)
    mac = hmac.new(bytes.fromhex(KEY), data[:184], hashlib.sha256).digest()
    assert data[184:] == mac[:16]


def test_the_higher_valid_generation_counts_and_the_highest_floor(device):
    def pack(generation, floor=0, key=KEY):
        return device("device_record", "packed", generation, floor, key)

    def choose(*copies):
        return device("device_record", "choose", copies, KEY)

    old, new = pack(4, 9), pack(5, 3)
    assert choose(old, new) == [5, 9, 1, REST]
    assert choose(new, old) == [5, 9, 0, REST]
    assert choose(old, "") == [4, 9, 0, REST]
    assert choose("", new) == [5, 3, 1, REST]
    assert choose(old, pack(6, 99, OTHER)) == [4, 9, 0, REST]
    assert choose(new[:-2] + "00", old) == [4, 9, 1, REST]


def test_two_invalid_copies_are_no_record(device):
    def choose(*copies):
        return device("device_record", "choose", copies, KEY)[0]

    good = bytes.fromhex(device("device_record", "packed", 1, 0, KEY))
    assert choose("", "") == "; ".join(["record: expected 200 bytes, got 0"] * 2)
    assert "200 bytes, got 201" in choose(good.hex() + "00", "")
    assert "MAC of this board" in choose(bytes(200).hex(), bytes(200).hex())
    assert "MAC of this board" in device("device_record", "choose", [good.hex()] * 2, OTHER)[0]


def forged(**fields):
    """A record with an authentic MAC and a value that no version of ours writes."""
    body = bytearray(184)
    body[:4], body[8] = b"uWR1", 2
    for offset, value in fields.items():
        body[int(offset[1:])] = value
    mac = hmac.new(bytes.fromhex(KEY), body, hashlib.sha256).digest()
    return (bytes(body) + mac[:16]).hex()


def test_values_out_of_range_are_refused(device):
    def choose(copy):
        return device("device_record", "choose", [copy, ""], KEY)[0]

    assert choose(forged()) == 0
    assert "format uWR1" in choose(forged(_3=ord("2")))
    for offset, value in ((8, 0), (8, 4)):
        assert "state 1..3" in choose(forged(**{"_%d" % offset: value}))
    for offset, value in ((9, 2), (10, 4), (11, 16)):
        assert "in range" in choose(forged(**{"_%d" % offset: value}))


def test_every_single_bit_matters(device):
    good = device("device_record", "packed", 1, 0, KEY)
    data = bytes.fromhex(good)
    for i in range(0, 200, 11):
        changed = bytearray(data)
        changed[i] ^= 1 << i % 8
        assert "MAC" in device("device_record", "choose", [changed.hex(), ""], KEY)[0]


def test_the_older_copy_is_overwritten(device, tmp_path):
    found = device("device_record", "saved", str(tmp_path), KEY, 4)
    assert found == [[2, 1], [3, 0], [4, 1], [5, 0]]
    assert (tmp_path / "rec/0").stat().st_size == (tmp_path / "rec/1").stat().st_size == 200
