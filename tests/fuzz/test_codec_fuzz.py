"""Arbitrary bytes into every parser of this layer: only uWard's own errors come out."""

import json
import random

import cbor2
from hypothesis import example, given, settings
from hypothesis import strategies as st
from uward import limits
from uward.codec import cbor, cose, der, senml
from uward.crypto import aead, keywrap, lms, p256
from uward.errors import CodecError, CryptoError, UwardError
from uward.trust import x509

BYTES = st.binary(max_size=300)
MANY = settings(max_examples=300, deadline=None)

# Heads that lead somewhere, so that arbitrary bytes go deeper than the first byte
ATOMS = st.one_of(
    st.sampled_from([b"\x80", b"\x81", b"\x82", b"\xa0", b"\xa1", b"\xa2", b"\xd2", b"\xd0"]),
    st.sampled_from([b"\x84", b"\x83", b"\x40", b"\x41x", b"\x00", b"\x01", b"\x20", b"\xf6"]),
    st.sampled_from([b"\x18", b"\x19\x01", b"\x5b", b"\x9b", b"\xf9", b"\xfa", b"\xfb", b"\x61a"]),
    st.binary(min_size=1, max_size=9),
)
CBOR_LIKE = st.lists(ATOMS, max_size=40).map(b"".join)


@MANY
@given(st.one_of(BYTES, CBOR_LIKE))
@example(b"\x9b" + b"\xff" * 8)
@example(b"\x81" * 400)
@example(b"\xc1" * 400)
def test_cbor(data):
    try:
        value = cbor.decode(data)
    except CodecError:
        return
    assert cbor.encode(value) == data  # deterministic: one value, one encoding


@MANY
@given(st.one_of(BYTES, CBOR_LIKE))
def test_cbor_agrees_with_cbor2(data):
    """Whatever we accept, cbor2 reads as the same."""
    try:
        value = cbor.decode(data, ordered=False)
    except CodecError:
        return
    if b"\xc0" <= data[:1] < b"\xe0" or any(0xC0 <= byte < 0xE0 for byte in data):
        return  # tags have meanings in cbor2
    theirs = cbor2.loads(data)
    assert json.dumps(value, default=repr) == json.dumps(theirs, default=repr)


@MANY
@given(st.one_of(BYTES, CBOR_LIKE), st.sampled_from([16, 17, 18, 98]))
def test_cose(data, tag):
    for body in (data, cbor2.dumps(cbor2.CBORTag(tag, [data, {}, data, data]))):
        try:
            message = cose.parse(body, 16, 17, 18, 98)
        except CodecError:
            continue
        for step in (
            lambda message=message: cose.verify_mac(message, bytes(32)),
            lambda message=message: cose.decrypt0(message, bytes(16), b"", bytes(13)),
            lambda message=message: cose.verify(
                message, message.blocks[0], cose.Key(2, bytes(64))
            ),
        ):
            try:
                step()
            except (UwardError, IndexError) as e:
                assert not isinstance(e, IndexError) or not message.blocks


HEADERS = st.dictionaries(
    st.one_of(st.integers(-3, 12), st.text(max_size=2), st.binary(max_size=1)),
    st.one_of(
        st.integers(-50, 50),
        st.binary(max_size=14),
        st.lists(st.one_of(st.integers(0, 12), st.text(max_size=2), st.lists(st.none()))),
        st.none(),
    ),
    max_size=5,
)


@MANY
@given(HEADERS, HEADERS)
def test_cose_headers(protected, unprotected):
    try:
        raw, merged = cose.headers(cbor.encode(protected), unprotected)
    except CodecError:
        return
    assert set(merged) == set(protected) | set(unprotected)
    assert 1 not in unprotected and 2 not in unprotected
    assert raw == (cbor.encode(protected) if protected else b"")


@MANY
@given(st.one_of(BYTES, CBOR_LIKE))
def test_keys_and_packs(data):
    for parse in (cose.parse_key, senml.decode):
        try:
            parse(data)
        except UwardError:
            pass


@MANY
@given(HEADERS)
def test_key_maps(members):
    members.setdefault(1, 2)
    try:
        cose.parse_key(members)
    except UwardError:
        pass


RECORD = st.fixed_dictionaries(
    {},
    optional={
        "bn": st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        "bt": st.floats(allow_nan=False),
        "n": st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        "v": st.one_of(st.integers(-(1 << 40), 1 << 40), st.floats(allow_nan=False)),
        "t": st.integers(-1000, 1000),
    },
)


@MANY
@given(st.lists(RECORD, min_size=1, max_size=5))
def test_packs_come_back(records):
    assert senml.decode(senml.encode(records)) == records


@MANY
@given(BYTES)
def test_der(data):
    for parse in (x509.parse_certificate, x509.parse_crl):
        try:
            parse(data)
        except CodecError:
            pass
    reader = der.Reader(data)
    try:
        while reader.more():
            reader.next(reader.peek())
    except CodecError:
        pass


def test_mutated_certificates(request):
    """Each byte of a certificate and of a CRL replaced: a refusal or another object, no crash."""
    from tests.device.test_der_x509 import CA, certificate, crl

    chance = random.Random(1)
    for data, parse in (
        (certificate(extensions=CA), x509.parse_certificate),
        (crl([1, 2, 3]), x509.parse_crl),
    ):
        for i in range(len(data)):
            broken = bytearray(data)
            broken[i] = chance.randrange(256)
            try:
                parse(bytes(broken))
            except CodecError:
                pass


@MANY
@given(BYTES, BYTES, BYTES)
def test_crypto_takes_any_bytes(first, second, third):
    key, point = bytes(range(16)), p256.public_key(bytes(31) + b"\1")
    for step in (
        lambda: lms.verify(first, second, third),
        lambda: aead.open(first, second, third),
        lambda: aead.open(key, bytes(13), first, second),
        lambda: keywrap.unwrap(first, second),
        lambda: keywrap.unwrap(key, first),
        lambda: p256.verify(first, second, third),
        lambda: p256.verify(first[:64], bytes(32), second[:64]),
    ):
        try:
            step()
        except CryptoError:
            continue
        except UwardError as e:
            assert type(e).__name__ == "LimitError"
        else:
            raise AssertionError("accepted")
    assert len(point) == 64


@MANY
@given(BYTES, BYTES, st.integers(7, 13), st.sampled_from([4, 6, 8, 10, 12, 14, 16]))
def test_sealed_comes_back(plain, aad, nonce, tag):
    sealed = aead.seal(bytes(32), bytes(nonce), plain, aad, tag)
    assert len(sealed) == len(plain) + tag
    assert aead.open(bytes(32), bytes(nonce), sealed, aad, tag) == plain


HEAP = """
import gc, os
from uward.codec import cbor, cose
from uward.errors import UwardError
from uward.trust import x509
length = b"\\x7f\\xff\\xff\\xff"
heads = (b"\\x9a" + length, b"\\xbb" + length * 2, b"\\x5a" + length, b"\\x81" * 9000)
for round in range(300):
    noise = os.urandom(200)
    for head in (b"", heads[round % 4], b"\\xd2\\x84", b"\\x30\\x82\\x01\\xff"):
        data = head + noise
        for parse in (cbor.decode, lambda d: cose.parse(d, 18), x509.parse_certificate):
            try:
                parse(data)
            except UwardError:
                pass
print("done")
"""


def test_heap_is_bounded_on_the_port(unix):
    """What compiling the sources needs is enough, whatever lengths arbitrary bytes announce."""
    assert "done" in unix(HEAP, heap="300k")


def test_limits_are_small_enough_for_a_board():
    assert limits.CBOR_BYTES <= 16384 and limits.CBOR_DEPTH <= 16 and limits.DER_BYTES <= 4096
