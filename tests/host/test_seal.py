"""Sealed messages: three hands that wrote SPEC 8 agree, and everything else is refused."""

import os

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fake_device import FakeDevice, xy
from uward.link.session import Sealer as DeviceSealer

from host_tools.errors import Refused
from host_tools.fleet import codec, limits, seal

ID = "alice0123456789a"


@pytest.fixture(scope="module")
def collector():
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def device(collector):
    return FakeDevice(ID, collector.public_key())


@pytest.fixture
def secret(collector, device):
    return seal.pair_secret(collector, device.public)


def test_both_ends_agree_on_the_pair_secret(device, secret):
    assert secret == device.secret and len(secret) == 32


@pytest.mark.parametrize(
    ("peer", "message"),
    [(b"\1" * 63, "expected 64 bytes, got 63"), (b"\1" * 64, "expected a point on P-256")],
)
def test_bad_pairing_keys_are_refused(collector, peer, message):
    with pytest.raises(Refused, match=message):
        seal.pair_secret(collector, peer)


def test_up_opens_what_the_fake_device_seals(device, secret):
    for counter in (0, 1, 255, 256, 65536):
        device.counter = counter
        sealed = seal.parse(device.seal("tele", [1, 2], 9))
        assert sealed.counter == counter
        plaintext = seal.open_sealed(secret, ID, "up", "tele", sealed)
        assert cbor2.loads(plaintext) == [device.stream, 9, [1, 2]]


def test_up_opens_what_the_firmware_seals(secret):
    firmware = DeviceSealer(ID, secret, os.urandom(16))
    for number in range(3):
        sealed = seal.parse(firmware.seal("event", b"plain %d" % number))
        assert sealed.counter == number
        assert seal.open_sealed(secret, ID, "up", "event", sealed) == b"plain %d" % number


def test_down_is_opened_by_fake_device_and_firmware(device, secret):
    generation = os.urandom(16)
    plaintext = codec.encode([generation, device.stream, 5])
    firmware = DeviceSealer(ID, secret, device.context)
    for counter in (0, 7, 300):
        sealed = seal.seal(
            secret, ID, "down", "ack", device.context + generation, counter, plaintext
        )
        value, context, partial = device.open("ack", sealed)
        assert (value, context) == ([generation, device.stream, 5], generation)
        assert int.from_bytes(partial, "big") == counter
        assert firmware.open("ack", sealed) == ([generation, device.stream, 5], generation)


def test_pycose_opens_it(secret):
    messages = pytest.importorskip("pycose.messages")
    from pycose.keys import SymmetricKey

    context, key, iv = b"", b"", b"\0"
    while iv[0] == 0:  # pycose drops leading zero bytes of a nonce (RFC 9052, 3.1 pads them)
        context = os.urandom(32)
        key, iv = seal._derive(secret, context, "down", "ack")
    sealed = seal.seal(secret, ID, "down", "ack", context, 513, b"payload")
    protected, unprotected, ciphertext = cbor2.loads(sealed).value  # cbor2 6 gives a tuple
    message = messages.Enc0Message.from_cose_obj([protected, dict(unprotected), ciphertext], True)
    message.key = SymmetricKey(k=key, optional_params={"BASE_IV": iv})
    message.external_aad = cbor2.dumps(["uward.v1", ID, "down", "ack"])
    assert message.decrypt() == b"payload"


@pytest.mark.parametrize("change", ["device", "direction", "purpose", "secret", "context", "flip"])
def test_what_was_sealed_for_something_else_is_a_bad_mac(device, secret, change):
    sealed = seal.parse(device.seal("tele", [1], 1))
    where = {"device": ID, "direction": "up", "purpose": "tele"}
    if change in where:
        where[change] = {"device": "bob0123456789abcd", "direction": "down"}.get(change, "event")
    elif change == "secret":
        secret = os.urandom(32)
    elif change == "context":
        sealed = seal.Sealed(os.urandom(16), sealed.partial_iv, sealed.ciphertext)
    else:
        flipped = bytes([sealed.ciphertext[0] ^ 1]) + sealed.ciphertext[1:]
        sealed = seal.Sealed(sealed.kid_context, sealed.partial_iv, flipped)
    with pytest.raises(seal.BadMac, match="expected a message sealed for"):
        seal.open_sealed(secret, where["device"], where["direction"], where["purpose"], sealed)


def object_of(tag=16, protected=seal.PROTECTED, headers=None, ciphertext=bytes(20), extra=()):
    headers = {6: b"\1", 10: bytes(16)} if headers is None else headers
    return codec.encode(cbor2.CBORTag(tag, [protected, headers, ciphertext, *extra]))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "expected CBOR"),
        (b"\xff", "expected CBOR"),
        (b"\x01", "expected a COSE_Encrypt0"),
        (object_of(tag=96), "expected a COSE_Encrypt0"),
        (object_of(extra=(1,)), "expected an array of 3"),
        (object_of(protected=b"\xa1\x01\x18\x1f"), r"protected header \{1: 30\}"),
        (object_of(protected=b""), r"protected header \{1: 30\}"),
        (object_of(headers={6: b"\1"}), "labels 6 and 10"),
        (object_of(headers={6: b"\1", 10: bytes(16), 1: 30}), "labels 6 and 10"),
        (object_of(headers={6: b"\1", 10: bytes(17)}), "expected 16 or 32 bytes"),
        (object_of(headers={6: b"", 10: bytes(16)}), "1 to 4 bytes"),
        (object_of(headers={6: bytes(5), 10: bytes(16)}), "1 to 4 bytes"),
        (object_of(headers={6: b"\0\1", 10: bytes(16)}), "leading zeros"),
        (object_of(headers={6: 1, 10: bytes(16)}), "1 to 4 bytes"),
        (object_of(ciphertext=bytes(15)), "ciphertext with its tag"),
        (object_of(ciphertext=None), "ciphertext with its tag"),
        (object_of() + b"\0", "another encoding"),
        (b"\xd0\x83\x58\x04\xa1\x01\x18\x1e" + object_of()[7:], "another encoding"),
        (b"\x9f\xff", "expected CBOR"),
        (b"\xa2\x01\x01\x01\x01", "expected CBOR"),
        (b"\x81" * 40 + b"\x01", "expected CBOR"),
        (bytes(limits.SEALED_BYTES + 1), "at most 16384 bytes"),
    ],
)
def test_malformed_objects_are_refused(data, message):
    with pytest.raises(codec.Malformed, match=message):
        seal.parse(data)


@pytest.mark.parametrize("counter", [-1, 2**32])
def test_counters_out_of_range_are_refused(secret, counter):
    with pytest.raises(Refused, match="partial IV: expected"):
        seal.seal(secret, ID, "down", "ack", bytes(32), counter, b"")


def test_xy_is_what_the_device_sends(collector):
    assert len(xy(collector)) == 64
