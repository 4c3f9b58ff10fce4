"""codec/cose and cosekey: header rules of S19, refusals by class and message, our own objects."""

import hashlib

import pytest
from uward.codec import cbor, cose, cosekey
from uward.crypto import aead, p256
from uward.errors import BadMac, BadSignature, CodecError, KeyRefused, LimitError

PRIVATE = bytes(31) + b"\7"
PUBLIC = p256.public_key(PRIVATE)
KEY = cose.Key(cosekey.EC2, PUBLIC, cosekey.ESP256)
OTHER = cose.Key(cosekey.EC2, p256.public_key(bytes(31) + b"\5"), cosekey.ESP256)


def sign(digest):
    return p256.sign(PRIVATE, digest)


def tagged(number, *array):
    return cbor.encode(cbor.Tag(number, list(array)))


def sign1(protected, unprotected, payload=b"payload"):
    return tagged(18, cbor.encode(protected), unprotected, payload, bytes(64))


@pytest.mark.parametrize(
    "protected, unprotected, part",
    (
        ({}, {1: -9}, "alg and crit protected"),
        ({1: -9}, {2: [4]}, "alg and crit protected"),
        ({1: -9, 4: b"a"}, {4: b"b"}, "a label once, got 4 twice"),
        ({1: -9, 2: [99], 99: 1}, {}, "known labels in crit, got 99"),
        ({1: -9, 2: ["x"], "x": 1}, {}, "known labels in crit, got 'x'"),
        ({1: -9, 2: [4]}, {4: b"a"}, "known labels in crit, got 4"),
        ({1: -9, 2: []}, {}, "labels in crit, got []"),
        ({1: -9, 2: 4}, {}, "labels in crit, got 4"),
        ({1: [1]}, {}, "algorithm int or str"),
        ({1: -9}, {4: "text"}, "bytes in header 4"),
        ({1: -9}, {5: 1}, "bytes in header 5"),
        ({1: -9, 5: b""}, {6: b""}, "IV or partial IV, got both"),
        ({1: -9}, {b"x": 1}, "labels int or str"),
    ),
)
def test_header_rules(protected, unprotected, part):
    with pytest.raises(CodecError) as refusal:
        cose.parse(sign1(protected, unprotected), cose.SIGN1)
    assert part in str(refusal.value)


def test_known_critical_header_is_accepted():
    data = cose.sign1(sign, b"p", {1: -9, 2: [4], 4: b"kid"})
    message = cose.parse(data, cose.SIGN1)
    cose.verify(message, message.blocks[0], KEY)


def test_duplicate_label_in_one_map():
    protected = bytes.fromhex("a201280126")
    with pytest.raises(CodecError, match="unique keys"):
        cose.parse(tagged(18, protected, {}, b"", b""), 18)


def test_bare_algorithm_only_where_asked_for():
    assert cose.headers(b"", {1: -65532, 5: bytes(16)}, bare_alg=True)[1][1] == -65532
    with pytest.raises(CodecError):
        cose.headers(b"", {1: -65532})


@pytest.mark.parametrize(
    "data, part",
    (
        (cbor.encode([b"", {}, b"", b""]), "tag (18,), got none"),
        (tagged(98, b"", {}, b"", b""), "tag (18,), got 98"),
        (tagged(18, b"", {}, b""), "array of 4"),
        (cbor.encode(cbor.Tag(18, {})), "array of 4, got 'dict'"),
        (tagged(18, {}, {}, b"", b""), "headers of bytes and map"),
        (tagged(18, b"", b"", b"", b""), "headers of bytes and map"),
        (tagged(18, b"\x80", {}, b"", b""), "protected map, got list"),
        (tagged(18, b"", {}, "text", b""), "payload of bytes, got str"),
        (tagged(18, b"", {}, b"", None), "signature of bytes, got NoneType"),
        (tagged(18, b"\xa1\x01", {}, b"", b""), "2 values, got 1 bytes"),
    ),
)
def test_malformed_objects(data, part):
    with pytest.raises(CodecError) as refusal:
        cose.parse(data, 18)
    assert part in str(refusal.value)


def test_number_of_signatures_is_bounded():
    block = [b"", {}, b""]
    with pytest.raises(CodecError, match="signatures, got none"):
        cose.parse(tagged(98, b"", {}, b"", []), 98)
    with pytest.raises(LimitError, match="<= 4 signatures, got 5"):
        cose.parse(tagged(98, b"", {}, b"", [block] * 5), 98)
    with pytest.raises(LimitError, match="<= 16 headers"):
        cose.headers(b"", {100 + i: 0 for i in range(17)})


def test_sign1_binds_payload_headers_and_domain():
    data = cose.sign1(sign, b"payload", unprotected={4: b"kid"}, external_aad=b"domain")
    message = cose.parse(data, cose.SIGN1)
    block = message.blocks[0]
    cose.verify(message, block, KEY, b"domain")
    with pytest.raises(BadSignature):
        cose.verify(message, block, KEY, b"other")
    with pytest.raises(BadSignature):
        cose.verify(message, block, OTHER, b"domain")
    message.payload = b"Payload"
    with pytest.raises(BadSignature):
        cose.verify(message, block, KEY, b"domain")


def test_detached_payload():
    message = cose.parse(cose.sign1(sign, b"far away", detached=True), cose.SIGN1)
    assert message.payload is None
    cose.verify(message, message.blocks[0], KEY, payload=b"far away")
    with pytest.raises(BadSignature):
        cose.verify(message, message.blocks[0], KEY, payload=b"near")
    with pytest.raises(CodecError, match="one payload"):
        cose.verify(message, message.blocks[0], KEY)
    inside = cose.parse(cose.sign1(sign, b"here"), cose.SIGN1)
    with pytest.raises(CodecError, match="one payload"):
        cose.verify(inside, inside.blocks[0], KEY, payload=b"here")


def test_the_signed_bytes_are_those_received():
    """A protected header in another order is checked as it came, not as we would write it."""
    protected = bytes.fromhex("a2" + "0441ff" + "0128")
    structure = cbor.encode(["Signature1", protected, b"", b"p"])
    signature = sign(hashlib.sha256(structure).digest())
    data = tagged(18, protected, {}, b"p", signature)
    with pytest.raises(CodecError, match="in order"):
        cose.parse(data, 18)
    message = cose.parse(data, 18, ordered=False)
    cose.verify(message, message.blocks[0], KEY)


def test_key_and_algorithm_must_fit():
    message = cose.parse(cose.sign1(sign, b"p"), 18)
    block = message.blocks[0]
    hss = cose.Key(cosekey.HSS, bytes(60), cosekey.HSS_LMS)
    es256 = cose.Key(cosekey.EC2, PUBLIC, cosekey.ES256)  # one key, one algorithm (S7)
    agree = cose.Key(cosekey.EC2, PUBLIC, cosekey.ECDH_SS)
    for key in (hss, es256, agree):
        with pytest.raises(KeyRefused, match="a key for -9"):
            cose.verify(message, block, key)
    cose.verify(message, block, cose.Key(cosekey.EC2, PUBLIC))
    block.headers[1] = -8
    with pytest.raises(CodecError, match="got -8"):
        cose.verify(message, block, KEY)


def test_mac0():
    key = bytes(range(32))
    message = cose.parse(cose.mac0(key, b"p", external_aad=b"d"), cose.MAC0)
    cose.verify_mac(message, key, b"d")
    with pytest.raises(BadMac, match="matching MAC"):
        cose.verify_mac(message, key, b"e")
    with pytest.raises(BadMac):
        cose.verify_mac(message, bytes(32), b"d")
    with pytest.raises(KeyRefused, match="32 bytes, got 16"):
        cose.verify_mac(message, bytes(16), b"d")
    with pytest.raises(BadSignature, match="signed object, got tag 17"):
        message.blocks[0].headers[1] = -9
        cose.verify(message, message.blocks[0], KEY)
    with pytest.raises(BadMac, match="Mac0, got tag 18"):
        cose.verify_mac(cose.parse(cose.sign1(sign, b"p"), 18), key)


CONTEXT_IV = bytes(range(13))


def test_encrypt0_with_a_partial_iv():
    key = bytes(16)
    sealed = cose.encrypt0(
        key, b"reading", {1: 30}, {6: b"\1\2", 10: bytes(16)}, b"aad", CONTEXT_IV
    )
    message = cose.parse(sealed, cose.ENCRYPT0)
    assert (message.headers[6], message.headers[10]) == (b"\1\2", bytes(16))
    nonce = CONTEXT_IV[:11] + bytes((CONTEXT_IV[11] ^ 1, CONTEXT_IV[12] ^ 2))
    structure = cbor.encode(["Encrypt0", cbor.encode({1: 30}), b"aad"])
    assert message.payload == aead.seal(key, nonce, b"reading", structure)
    assert cose.decrypt0(message, key, b"aad", CONTEXT_IV) == b"reading"
    for args in ((key, b"other", CONTEXT_IV), (b"\1" * 16, b"aad", CONTEXT_IV)):
        with pytest.raises(BadMac):
            cose.decrypt0(message, *args)


@pytest.mark.parametrize(
    "key, headers, context_iv, error, part",
    (
        (16, ({1: 10}, {5: bytes(13)}), None, CodecError, "30 or 31, got 10"),
        (32, ({1: 30}, {5: bytes(13)}), None, KeyRefused, "16 bytes, got 32"),
        (16, ({1: 31}, {5: bytes(13)}), None, KeyRefused, "32 bytes, got 16"),
        (16, ({1: 30}, {5: bytes(12)}), None, CodecError, "IV of 13 bytes, got 12"),
        (16, ({1: 30}, {}), None, CodecError, "partial IV for a context IV"),
        (16, ({1: 30}, {5: bytes(13)}), bytes(13), CodecError, "partial IV for a context IV"),
        (16, ({1: 30}, {6: b"\1"}), None, CodecError, "context IV of 13 bytes"),
        (16, ({1: 30}, {6: b"\1"}), bytes(12), CodecError, "context IV of 13 bytes"),
        (16, ({1: 30}, {6: bytes(14)}), bytes(13), CodecError, "partial IV of <= 13"),
    ),
)
def test_encrypt0_refuses(key, headers, context_iv, error, part):
    with pytest.raises(error, match=part):
        cose.encrypt0(bytes(key), b"p", headers[0], headers[1], b"", context_iv)


def test_encrypt0_is_not_detached():
    with pytest.raises(CodecError, match="ciphertext"):
        cose.parse(tagged(16, b"", {}, None), 16)
    with pytest.raises(BadMac, match="Encrypt0, got tag 18"):
        cose.decrypt0(cose.parse(cose.sign1(sign, b"p"), 18), bytes(16))


# Keys

EC2_KEY = {1: 2, -1: 1, -2: PUBLIC[:32], -3: PUBLIC[32:]}


@pytest.mark.parametrize(
    "change, error, part",
    (
        ({1: 4}, KeyRefused, "kty 2 or 5, got 4"),
        ({-1: 2}, KeyRefused, "P-256"),
        ({-2: PUBLIC[:31]}, KeyRefused, "32 bytes each, got 31"),
        ({-3: True}, CodecError, "bytes at -3, got bool"),
        ({-4: bytes(32)}, CodecError, "known labels, got -4"),
        ({99: 1}, CodecError, "known labels, got 99"),
        ({3: -46}, KeyRefused, "algorithm of kty 2, got -46"),
        ({2: "kid"}, CodecError, "bytes at 2, got str"),
    ),
)
def test_key_refusals(change, error, part):
    with pytest.raises(error, match=part):
        cose.parse_key({**EC2_KEY, **change})


def test_key_forms():
    members = {**EC2_KEY, 3: -9, 2: b"kid"}
    for form in (members, cbor.encode(members)):
        key = cose.parse_key(form)
        assert (key.kty, key.public, key.alg, key.kid) == (2, PUBLIC, -9, b"kid")
        assert key.to_map() == members
    with pytest.raises(CodecError, match="a map, got list"):
        cose.parse_key([])
    hss = cose.parse_key({1: 5, 3: -46, -1: bytes(60)})
    assert hss.to_map() == {1: 5, 3: -46, -1: bytes(60)}


def test_thumbprint_of_rfc_9679():
    """The example of RFC 9679 6: kid and all optional members left out."""
    key = {
        1: 2,
        -1: 1,
        -2: bytes.fromhex("65eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d"),
        -3: bytes.fromhex("1e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c"),
    }
    known = "496bd8afadf307e5b08c64b0421bf9dc01528a344a43bda88fadd1669da253ec"
    assert cose.key_thumbprint(key).hex() == known
    assert cose.key_thumbprint({**key, 2: b"kid", 3: -9}).hex() == known
    hss = {1: 5, -1: bytes(60)}
    assert cose.key_thumbprint({**hss, 3: -46}) == hashlib.sha256(cbor.encode(hss)).digest()


def test_the_same_objects_on_the_port(device):
    """Sign1, Mac0 and Encrypt0 have the same bytes on each port (RFC 6979 nonces)."""
    data = device("device_cose", "objects", PRIVATE.hex())
    assert data == [
        cose.sign1(sign, b"payload", external_aad=b"d").hex(),
        cose.mac0(bytes(32), b"payload", external_aad=b"d").hex(),
        cose.encrypt0(bytes(32), b"payload", {1: 31}, {6: b"\5"}, b"d", CONTEXT_IV).hex(),
    ]
