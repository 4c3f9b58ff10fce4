"""Our CBOR and COSE and those of others, both ways: cbor2, pycose, pyhsslms, cryptography."""

import hashlib

import cbor2
import pyhsslms
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from hypothesis import given, settings
from hypothesis import strategies as st
from pycose.headers import IV, KID, Algorithm, PartialIV
from pycose.keys import CoseKey, EC2Key, SymmetricKey
from pycose.messages import Enc0Message, Mac0Message, Sign1Message, SignMessage
from pycose.messages.signer import CoseSignature
from uward.codec import cbor, cose, cosekey
from uward.crypto import p256
from uward.errors import BadSignature

PRIVATE = hashlib.sha256(b"a private key").digest()
PUBLIC = p256.public_key(PRIVATE)
THEIR_KEY = EC2Key(crv="P_256", x=PUBLIC[:32], y=PUBLIC[32:], d=PRIVATE)
OUR_KEY = cose.Key(cosekey.EC2, PUBLIC, cosekey.ES256)


def theirs(data):
    """pycose's message; its own decoder expects lists where cbor2 6 returns tuples."""
    tag = cbor2.loads(data)
    kind = {16: Enc0Message, 17: Mac0Message, 18: Sign1Message}[tag.tag]
    protected, unprotected, *rest = tag.value
    return kind.from_cose_obj([protected, dict(unprotected), *rest], True)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 64), (1 << 64) - 1),
    st.floats(allow_nan=False),
    st.binary(max_size=40),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
)
KEYS = st.one_of(
    st.integers(-(1 << 64), (1 << 64) - 1), st.text(max_size=8), st.binary(max_size=8)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=6), st.dictionaries(KEYS, inner, max_size=6)),
    max_leaves=30,
)


def same(ours, theirs):
    """cbor2 decodes to its own frozen types inside of tags and keys: compare by content."""
    if isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(same(ours[k], theirs[k]) for k in ours)
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return type(ours) is type(theirs) and ours == theirs


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_cbor2_reads_and_writes_the_same_bytes(value):
    data = cbor.encode(value)
    assert same(value, cbor2.loads(data))
    assert same(value, cbor.decode(data))
    # cbor2's canonical order is RFC 7049's: by length first
    assert same(value, cbor.decode(cbor2.dumps(value, canonical=True), ordered=False))


def sign(digest):
    return p256.sign(PRIVATE, digest)


@pytest.mark.parametrize("aad", (b"", b"uward.trust.v1"))
def test_pycose_verifies_our_sign1(aad):
    data = cose.sign1(sign, b"payload", {1: cosekey.ES256}, {4: b"kid"}, aad)
    message = theirs(data)
    message.key = THEIR_KEY
    message.external_aad = aad
    assert message.verify_signature()
    message.external_aad = b"other"
    assert not message.verify_signature()


@pytest.mark.parametrize("aad", (b"", b"uward.trust.v1"))
def test_we_verify_pycose_sign1(aad):
    message = Sign1Message(phdr={Algorithm: "ES256"}, uhdr={KID: b"kid"}, payload=b"payload")
    message.key = THEIR_KEY
    message.external_aad = aad
    parsed = cose.parse(message.encode(), cose.SIGN1)
    cose.verify(parsed, parsed.blocks[0], OUR_KEY, aad)
    with pytest.raises(BadSignature):
        cose.verify(parsed, parsed.blocks[0], OUR_KEY, aad + b"x")


def test_we_verify_pycose_sign():
    signer = CoseSignature(phdr={Algorithm: "ES256"}, uhdr={KID: b"kid"}, key=THEIR_KEY)
    message = SignMessage(phdr={}, uhdr={}, payload=b"payload", signers=[signer])
    parsed = cose.parse(message.encode(), cose.SIGN)
    cose.verify(parsed, parsed.blocks[0], OUR_KEY)
    parsed.payload = b"other"
    with pytest.raises(BadSignature):
        cose.verify(parsed, parsed.blocks[0], OUR_KEY)


def test_mac0_both_ways():
    key = bytes(range(32))
    data = cose.mac0(key, b"payload", external_aad=b"aad")
    message = theirs(data)
    message.key = SymmetricKey(k=key)
    message.external_aad = b"aad"
    assert message.verify_tag()
    made = Mac0Message(phdr={Algorithm: "HMAC_256"}, payload=b"payload")
    made.key = SymmetricKey(k=key)
    cose.verify_mac(cose.parse(made.encode(), cose.MAC0), key)


@pytest.mark.parametrize(
    "alg, name, size", ((30, "AES_CCM_16_128_128", 16), (31, "AES_CCM_16_128_256", 32))
)
def test_encrypt0_both_ways(alg, name, size):
    key, nonce = bytes(range(size)), bytes(range(13))
    data = cose.encrypt0(key, b"plain", {1: alg}, {5: nonce}, b"aad")
    message = theirs(data)
    message.key = SymmetricKey(k=key)
    message.external_aad = b"aad"
    assert message.decrypt() == b"plain"
    made = Enc0Message(phdr={Algorithm: name}, uhdr={IV: nonce}, payload=b"plain")
    made.key = SymmetricKey(k=key)
    assert cose.decrypt0(cose.parse(made.encode(), cose.ENCRYPT0), key) == b"plain"


def test_partial_iv_with_pycose():
    """pycose takes the context IV from the key's base IV; it drops leading zeros of the nonce."""
    key, context_iv = bytes(16), bytes(range(1, 14))
    made = Enc0Message(
        phdr={Algorithm: "AES_CCM_16_128_128"}, uhdr={PartialIV: b"\1\2"}, payload=b"plain"
    )
    made.key = SymmetricKey(k=key, optional_params={"BASE_IV": context_iv})
    parsed = cose.parse(made.encode(), cose.ENCRYPT0)
    assert cose.decrypt0(parsed, key, b"", context_iv) == b"plain"


def test_cose_key_both_ways():
    data = cbor.encode(OUR_KEY.to_map())
    read = CoseKey.decode(data)
    assert (read.x, read.y) == (PUBLIC[:32], PUBLIC[32:])
    again = cose.parse_key(EC2Key(crv="P_256", x=PUBLIC[:32], y=PUBLIC[32:]).encode())
    assert again.public == PUBLIC
    assert again.thumbprint() == OUR_KEY.thumbprint()


def test_hss_lms_signature_in_cose():
    """Signature by pyhsslms, envelope by cbor2: what an author without our code would send."""
    private = pyhsslms.HssPrivateKey(
        levels=1, lms_type=pyhsslms.lms_sha256_m24_h5, lmots_type=pyhsslms.lmots_sha256_n24_w4
    )
    protected = cbor2.dumps({1: -46})
    structure = cbor2.dumps(["Signature1", protected, b"aad", b"payload"])
    array = [protected, {}, b"payload", private.sign(structure)]
    parsed = cose.parse(cbor2.dumps(cbor2.CBORTag(18, array)), cose.SIGN1)
    key = cose.parse_key({1: 5, 3: -46, -1: private.publicKey().serialize()})
    cose.verify(parsed, parsed.blocks[0], key, b"aad")
    with pytest.raises(BadSignature):
        cose.verify(parsed, parsed.blocks[0], key, b"bad")


def test_cryptography_verifies_the_signed_bytes():
    message = cose.parse(cose.sign1(sign, b"payload", external_aad=b"d"), cose.SIGN1)
    raw = message.blocks[0].value
    structure = cbor2.dumps(["Signature1", cbor2.dumps({1: -9}), b"d", b"payload"])
    assert structure == message.structure(None, b"d")
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\4" + PUBLIC)
    pair = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    public.verify(utils.encode_dss_signature(*pair), structure, ec.ECDSA(hashes.SHA256()))
