"""Readings that the board cannot read again (S9): opened by the collector alone, as if plain."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from host_tools.fleet import codec, held

PRIVATE = ec.derive_private_key(0x1234567890ABCDEF, ec.SECP256R1())
POINT = serialization.PublicFormat.UncompressedPoint
PUBLIC = PRIVATE.public_key().public_bytes(serialization.Encoding.X962, POINT)[1:].hex()
READINGS = [[5000 + 250 * n, 90 + n] for n in range(30)]
EVENT = ["sensor.error", "a canary of a patient"]


@pytest.fixture
def told(device):
    return device("device_blind", "sealed", PUBLIC, READINGS, EVENT)


def test_the_collector_opens_what_the_device_sealed(told):
    for purpose, _, final, plainly in told:
        body = codec.decode(bytes.fromhex(final))
        assert held.is_held(body)
        assert held.opened(PRIVATE, purpose, body) == codec.decode(bytes.fromhex(plainly))
        assert not held.is_held(codec.decode(bytes.fromhex(plainly)))


def test_flash_holds_nothing_of_it_and_no_two_are_alike(told):
    bodies = [bytes.fromhex(item[1]) for item in told]
    for body in bodies:
        assert b"canary" not in body and b"spo2" not in body
    assert bodies[1][69:] != bodies[2][69:]  # the same event twice: another counter
    assert len({body[1:65] for body in bodies}) == 1  # one ephemeral key a boot
    assert [int.from_bytes(body[65:69], "big") for body in bodies] == [1, 2, 3]


def test_what_is_not_sealed_to_this_collector_is_refused(told):
    purpose, body, _, _ = told[1]
    data = bytes.fromhex(body)
    other = ec.derive_private_key(77, ec.SECP256R1())
    with pytest.raises(codec.Malformed, match="not sealed to this collector"):
        held.opened(other, purpose, [data, 1, 2])
    with pytest.raises(codec.Malformed, match="not sealed to this collector"):
        held.opened(PRIVATE, "tele", [data, 1, 2])
    for at in range(1, len(data), 5):
        broken = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(codec.Malformed):
            held.opened(PRIVATE, purpose, [broken, 1, 2])
    for wrong in ([data[:84], 1, 2], [b"\x00" + data[1:], 1, 2], [data, -1, 2], [data, 1]):
        with pytest.raises(codec.Malformed):
            held.opened(PRIVATE, purpose, wrong)


def test_a_collector_key_that_is_none_is_refused(device):
    assert device("device_blind", "refused", "00" * 64) == "KeyRefused"
