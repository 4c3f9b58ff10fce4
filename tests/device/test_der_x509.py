"""codec/der and trust/x509: requests that others accept, certificates and CRLs of others read."""

import datetime
import subprocess

import pytest
from cryptography import x509 as theirs
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AttributeOID, ExtendedKeyUsageOID, NameOID
from uward import limits
from uward.codec import der
from uward.crypto import p256
from uward.errors import BadSignature, CodecError, KeyRefused, LimitError
from uward.trust import x509

PRIVATE = bytes(31) + b"\7"
PUBLIC = p256.public_key(PRIVATE)
BEFORE = datetime.datetime(2026, 2, 28, 23, 59, 58, tzinfo=datetime.timezone.utc)
AFTER = datetime.datetime(2052, 2, 29, 12, 0, 0, tzinfo=datetime.timezone.utc)  # GeneralizedTime
CA_KEY = ec.generate_private_key(ec.SECP256R1())


def name(*texts):
    return theirs.Name([theirs.NameAttribute(NameOID.COMMON_NAME, text) for text in texts])


def usage(**set_bits):
    bits = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment")
    bits += ("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return theirs.KeyUsage(**{bit: set_bits.get(bit, False) for bit in bits})


def certificate(
    key=CA_KEY, subject="ca", serial=0xF00D, extensions=(), before=BEFORE, after=AFTER
):
    builder = theirs.CertificateBuilder().subject_name(
        subject if isinstance(subject, theirs.Name) else name(subject)
    )
    builder = builder.issuer_name(name("ca")).public_key(key.public_key()).serial_number(serial)
    builder = builder.not_valid_before(BEFORE).not_valid_after(AFTER)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(CA_KEY, hashes.SHA256()).public_bytes(Encoding.DER)


CA = (
    (theirs.BasicConstraints(True, 0), True),
    (usage(key_cert_sign=True, crl_sign=True), True),
)


def crl(serials=(), key=CA_KEY, issuer="ca"):
    builder = theirs.CertificateRevocationListBuilder().issuer_name(name(issuer))
    builder = builder.last_update(BEFORE).next_update(AFTER)
    builder = builder.add_extension(theirs.CRLNumber(1), False)
    for serial in serials:
        entry = theirs.RevokedCertificateBuilder().serial_number(serial).revocation_date(BEFORE)
        entry = entry.add_extension(theirs.CRLReason(theirs.ReasonFlags.key_compromise), False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


# Requests


def test_request_is_accepted_by_others(device, tmp_path):
    nonce = "a5" * 32
    made = device("device_x509", "request", PRIVATE.hex(), "k3x9" * 5, nonce)
    path = tmp_path / "request.der"
    path.write_bytes(bytes.fromhex(made))
    request = theirs.load_der_x509_csr(path.read_bytes())
    assert request.is_signature_valid
    assert request.subject == theirs.Name(
        [theirs.NameAttribute(NameOID.COMMON_NAME, "k3x9" * 5, theirs.name._ASN1Type.UTF8String)]
    )
    attribute = request.attributes.get_attribute_for_oid(AttributeOID.CHALLENGE_PASSWORD)
    assert attribute.value == nonce.encode()
    numbers = request.public_key().public_numbers()
    assert numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big") == PUBLIC
    done = subprocess.run(
        ["openssl", "req", "-inform", "der", "-in", str(path), "-noout", "-verify"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "verify OK" in done.stdout + done.stderr


# Certificates


def test_certificate_fields(device):
    extensions = (
        (theirs.BasicConstraints(False, None), True),
        (usage(digital_signature=True), True),
        (theirs.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (theirs.SubjectAlternativeName([theirs.DNSName("broker")]), False),
        (theirs.SubjectKeyIdentifier(bytes(20)), False),
    )
    key = ec.generate_private_key(ec.SECP256R1())
    data = certificate(key, "broker", 2**159 - 5, extensions)
    numbers = key.public_key().public_numbers()
    public = numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
    assert device("device_x509", "certificate", data.hex()) == {
        "serial": "%040x" % (2**159 - 5),
        "issuer": name("ca").public_bytes().hex(),
        "subject": name("broker").public_bytes().hex(),
        "common_name": "broker",
        "not_before": int(BEFORE.timestamp()),
        "not_after": int(AFTER.timestamp()),
        "public_key": public.hex(),
        "key_usage": x509.DIGITAL_SIGNATURE,
        "extended_key_usage": [x509.SERVER_AUTH.hex()],
        "is_ca": False,
        "path_length": None,
    }


def test_ca_fields():
    parsed = x509.parse_certificate(certificate(extensions=CA))
    assert parsed.is_ca and parsed.path_length == 0
    assert parsed.key_usage == x509.KEY_CERT_SIGN | x509.CRL_SIGN
    assert parsed.extended_key_usage is None
    bare = x509.parse_certificate(certificate())
    assert not bare.is_ca and bare.key_usage is None


def test_a_ca_is_one_however_its_flag_is_written():
    """mbedTLS takes every boolean but 0 for TRUE: none may pass here for FALSE."""
    data = certificate(extensions=CA)
    flag = data.index(b"\x30\x06\x01\x01\xff\x02\x01\x00") + 4
    for value in (0, 1, 0x7F):
        with pytest.raises(CodecError, match="expected TRUE in DER"):
            x509.parse_certificate(data[:flag] + bytes([value]) + data[flag + 1 :])


def test_other_keys_and_names_are_read_over():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    parsed = x509.parse_certificate(certificate(key, theirs.Name([])))
    assert parsed.public_key is None and parsed.common_name is None
    with pytest.raises(CodecError, match="one common name, got two"):
        x509.parse_certificate(certificate(subject=name("a", "b")))


@pytest.mark.parametrize("year", (1970, 1999, 2000, 2023, 2024, 2049, 2050, 2099, 2100, 2400))
@pytest.mark.parametrize("month, day", ((1, 1), (2, 28), (3, 1), (12, 31)))
def test_times(year, month, day):
    moment = datetime.datetime(year, month, day, 1, 2, 3, tzinfo=datetime.timezone.utc)
    text = moment.strftime("%y%m%d%H%M%SZ" if year < 2050 else "%Y%m%d%H%M%SZ")
    text = text if year < 2050 else text.rjust(15, "0")
    tag = der.UTC_TIME if year < 2050 else der.GENERALIZED_TIME
    data = der.tlv(tag, text.encode())
    assert x509._time(der.Reader(data)) == int(moment.timestamp())


@pytest.mark.parametrize(
    "text",
    (
        "",
        "260101000000",
        "260101000000+",
        "2601010000Z",
        "26010100000aZ",
        "261301000000Z",
        "260100000000Z",
        "260132000000Z",
        "260101240000Z",
        "260101006000Z",
        "260101000060Z",
    ),
)
def test_bad_times(text):
    with pytest.raises(CodecError, match="x509: expected a"):
        x509._time(der.Reader(der.tlv(der.UTC_TIME, text.encode())))


def test_every_cut_of_a_certificate_is_refused():
    data = certificate(extensions=CA)
    for end in range(len(data)):
        with pytest.raises(CodecError):
            x509.parse_certificate(data[:end])
    with pytest.raises(CodecError, match="got 1 bytes more"):
        x509.parse_certificate(data + b"\0")
    with pytest.raises(LimitError, match="<= %d bytes" % limits.DER_BYTES):
        x509.parse_certificate(data + bytes(limits.DER_BYTES))


def test_duplicate_extension_and_version():
    twice = der.tlv(
        der.SEQUENCE, der.tlv(der.OID, b"\x55\x1d\x13"), der.tlv(der.OCTETS, b"\x30\0")
    )
    with pytest.raises(CodecError, match="once, got it twice"):
        list(x509._extensions(der.Reader(twice + twice)))
    data = bytearray(certificate())
    data[data.index(b"\xa0\3\2\1\2") + 4] = 1
    with pytest.raises(CodecError, match="version 3"):
        x509.parse_certificate(bytes(data))
    many = b""
    for i in range(limits.X509_EXTENSIONS + 1):
        many += der.tlv(der.SEQUENCE, der.tlv(der.OID, bytes((i,))), der.tlv(der.OCTETS, b""))
    with pytest.raises(LimitError, match="<= %d extensions" % limits.X509_EXTENSIONS):
        list(x509._extensions(der.Reader(many)))


# Revocation lists


def test_crl(device):
    serials = [1, 0x80, 2**158 + 7]
    parsed = device("device_x509", "crl", crl(serials).hex(), certificate(extensions=CA).hex())
    assert parsed == {
        "issuer": name("ca").public_bytes().hex(),
        "this_update": int(BEFORE.timestamp()),
        "next_update": int(AFTER.timestamp()),
        "serials": ["01", "80", "%040x" % (2**158 + 7)],
    }
    empty = device("device_x509", "crl", crl().hex(), certificate(extensions=CA).hex())
    assert empty["serials"] == []


def test_crl_refusals():
    issuer = x509.parse_certificate(certificate(extensions=CA))
    other = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(BadSignature):
        x509.parse_crl(crl(key=other)).verify(issuer)
    with pytest.raises(KeyRefused, match="its issuer's"):
        x509.parse_crl(crl(issuer="else")).verify(issuer)
    leaf = x509.parse_certificate(certificate())
    with pytest.raises(KeyRefused, match="a CA that signs"):
        x509.parse_crl(crl()).verify(leaf)
    for extensions in (CA[:1], CA[1:], (CA[0], (usage(key_cert_sign=True), True))):
        authority = x509.parse_certificate(certificate(extensions=extensions))
        with pytest.raises(KeyRefused, match="a CA that signs"):
            x509.parse_crl(crl()).verify(authority)
    with pytest.raises(CodecError, match="ECDSA with SHA-256"):
        x509.parse_crl(
            crl(key=ec.generate_private_key(ec.SECP521R1())).replace(
                b"\x2a\x86\x48\xce\x3d\x04\x03\x02", b"\x2a\x86\x48\xce\x3d\x04\x03\x04"
            )
        )
    with pytest.raises(LimitError):
        x509.parse_crl(crl(range(1, limits.CRL_ENTRIES + 20)))
    with pytest.raises(LimitError, match="entries"):
        entry = der.tlv(
            der.SEQUENCE, der.tlv(der.INTEGER, b"\1"), der.tlv(der.UTC_TIME, b"260101000000Z")
        )
        x509._revoked(der.Reader(der.tlv(der.SEQUENCE, entry * (limits.CRL_ENTRIES + 1))))
    longer = der.tlv(der.SEQUENCE, der.integer(b"\1" * 33), der.integer(b"\1"))
    with pytest.raises(CodecError, match="r and s of 32 bytes, got 33"):
        x509._signature(der.Reader(der.tlv(der.BITS, b"\0", longer)))
    data = crl([7])
    for end in range(0, len(data), 3):
        with pytest.raises(CodecError):
            x509.parse_crl(data[:end])


# DER


@pytest.mark.parametrize(
    "data, part",
    (
        ("", "got the end at byte 0"),
        ("30", "got the end at byte 0"),
        ("3f0100", "one-byte tag"),
        ("3080", "length of 1 or 2 bytes, got 0"),
        ("3083010000", "length of 1 or 2 bytes, got 3"),
        ("30817f", "shortest length"),
        ("308200ff", "shortest length"),
        ("3081", "length of 1 or 2"),
        ("300100"[:4], "expected 1 bytes, got 0"),
        ("0100", "tag 30, got 01"),
    ),
)
def test_der_refuses(data, part):
    with pytest.raises(CodecError, match=part):
        der.Reader(bytes.fromhex(data)).next(der.SEQUENCE)


def test_der_lengths_and_integers():
    for n in (0, 1, 127, 128, 255, 256, 65535):
        data = der.tlv(der.OCTETS, bytes(n))
        assert der.Reader(data).next(der.OCTETS) == bytes(n)
    for raw, encoded in (
        (b"\0", "020100"),
        (b"\0\0\x7f", "02017f"),
        (b"\x80", "02020080"),
        (bytes(31) + b"\x80", "02020080"),
    ):
        assert der.integer(raw).hex() == encoded
