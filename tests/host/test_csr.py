"""Certificate requests: the device proves its key and that it answers now (S8)."""

import secrets

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import AttributeOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from uward.crypto import p256
from uward.trust import x509 as device_x509

from host_tools.errors import Refused
from host_tools.pki import csr

NONCE = bytes(range(32))
DEVICE = "abcdefghij0123456789"
KEY = ec.generate_private_key(ec.SECP256R1())


def name(*pairs):
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in pairs])


def request(
    key=KEY, subject=None, nonce: bytes | None = NONCE, digest: hashes.HashAlgorithm | None = None
):
    """PKCS#10 in DER, right unless told otherwise."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        name((NameOID.COMMON_NAME, DEVICE)) if subject is None else subject
    )
    if nonce is not None:
        builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, nonce.hex().encode())
    hashing = None if isinstance(key, ed25519.Ed25519PrivateKey) else digest or hashes.SHA256()
    return builder.sign(key, hashing).public_bytes(serialization.Encoding.DER)


def test_good_request_gives_its_key():
    assert csr.check(request(), NONCE, DEVICE).public_numbers() == (
        KEY.public_key().public_numbers()
    )


def test_request_made_by_the_device():
    private, public = p256.keygen(secrets.token_bytes)
    made = device_x509.csr(DEVICE, public, lambda d: p256.sign(private, d), NONCE.hex())
    numbers = csr.check(made, NONCE, DEVICE).public_numbers()
    assert numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big") == public


def replaced_key():
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    return request().replace(KEY.public_key().public_bytes(*point), other.public_bytes(*point))


@pytest.mark.parametrize(
    ("der", "part"),
    [
        (lambda: b"", "not a PKCS#10 request"),
        (lambda: request()[:-1], "not a PKCS#10 request"),
        (lambda: request() + b"\0", "not a PKCS#10 request"),
        (lambda: bytes(3000), "at most 2048 bytes, got 3000"),
        (replaced_key, "does not prove possession"),
        (lambda: request(ec.generate_private_key(ec.SECP384R1())), "expected a P-256 key"),
        (lambda: request(rsa.generate_private_key(65537, 2048)), "expected a P-256 key"),
        (lambda: request(ed25519.Ed25519PrivateKey.generate()), "expected a P-256 key"),
        (lambda: request(digest=hashes.SHA384()), "expected a signature with SHA-256"),
        (lambda: request(subject=name((NameOID.COMMON_NAME, "b" * 20))), f"CN={DEVICE} alone"),
        (lambda: request(subject=name()), f"CN={DEVICE} alone"),
        (
            lambda: request(
                subject=name((NameOID.COMMON_NAME, DEVICE), (NameOID.ORGANIZATION_NAME, "x"))
            ),
            "alone",
        ),
        (
            lambda: request(
                subject=name((NameOID.COMMON_NAME, DEVICE), (NameOID.COMMON_NAME, DEVICE))
            ),
            "alone",
        ),
        (lambda: request(nonce=None), "holds no challengePassword"),
        (lambda: request(nonce=bytes(32)), "is not the nonce of this provisioning"),
    ],
)
def test_refused(der, part):
    with pytest.raises(Refused, match=part):
        csr.check(der(), NONCE, DEVICE)


def test_nonce_has_32_bytes():
    with pytest.raises(Refused, match="nonce of 32 bytes, got 0"):
        csr.check(request(nonce=b""), b"", DEVICE)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_refused(data):
    with pytest.raises(Refused):
        csr.check(data, NONCE, DEVICE)


GOOD = request()


def test_a_signature_with_unused_bits_is_refused():
    """The same bits again, written otherwise; possible where the signature ends in a zero bit."""
    while (good := request())[-1] & 1:
        pass
    signature = x509.load_der_x509_csr(good).signature
    broken = good[: -len(signature) - 1] + b"\1" + signature
    with pytest.raises(Refused, match="expected a signature of whole bytes"):
        csr.check(broken, NONCE, DEVICE)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_any_changed_byte_is_refused(position, mask):
    broken = bytearray(GOOD)
    broken[position] ^= mask
    with pytest.raises(Refused):
        csr.check(bytes(broken), NONCE, DEVICE)
