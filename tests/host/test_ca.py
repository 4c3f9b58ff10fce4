"""The fleet's CA: what it certifies, refuses, revokes and remembers (S8, S11)."""

import json
import stat
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AttributeOID, ExtendedKeyUsageOID, NameOID
from uward.trust import x509 as device_x509

from host_tools.errors import Refused, UsageError
from host_tools.pki import files, leaf, lock, names, profiles
from host_tools.pki.ca import Ca

NONCE = bytes(range(32))
DEVICE, OTHER = "abcdefghij0123456789", "zyxwvutsrq9876543210"
NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


@pytest.fixture
def ca(tmp_path):
    return Ca.create(tmp_path / "ca", "demo", clock=lambda: NOW)


def csr(device=DEVICE, key=None, nonce=NONCE):
    key = key or ec.generate_private_key(ec.SECP256R1())
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device)]))
        .add_attribute(AttributeOID.CHALLENGE_PASSWORD, nonce.hex().encode())
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )


def issue(ca, device=DEVICE, **options):
    return x509.load_der_x509_certificate(ca.issue_device(csr(device), NONCE, device, **options))


def extension(certificate, kind):
    found = certificate.extensions.get_extension_for_class(kind)
    return found.value, found.critical


def certificate_der(ca, name):
    return ca.certificate(name).public_bytes(serialization.Encoding.DER)


def crl_of(ca, name):
    return x509.load_der_x509_crl(ca.crl_path(name).read_bytes())


def revoked(crl):
    return {entry.serial_number for entry in crl}


def test_hierarchy(ca):
    root, devices, services = (ca.certificate(n) for n in ("root", "devices", "services"))
    root.verify_directly_issued_by(root)
    for issuing in (devices, services):
        issuing.verify_directly_issued_by(root)
        assert extension(issuing, x509.BasicConstraints) == (x509.BasicConstraints(True, 0), True)
    assert extension(root, x509.BasicConstraints) == (x509.BasicConstraints(True, 1), True)
    usage, critical = extension(devices, x509.KeyUsage)
    assert critical and usage.key_cert_sign and usage.crl_sign and not usage.digital_signature
    limit, _ = extension(devices, x509.ExtendedKeyUsage)
    assert list(limit) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert root.not_valid_after_utc - root.not_valid_before_utc == profiles.ROOT_LIFE
    assert root.not_valid_before_utc == NOW - timedelta(minutes=5)


def test_device_certificate(ca):
    key = ec.generate_private_key(ec.SECP256R1())
    der = ca.issue_device(csr(key=key), NONCE, DEVICE)
    certificate = x509.load_der_x509_certificate(der)
    certificate.verify_directly_issued_by(ca.certificate("devices"))
    assert certificate.public_key() == key.public_key()
    assert certificate.subject.rfc4514_string() == f"CN={DEVICE}"
    usages, _ = extension(certificate, x509.ExtendedKeyUsage)
    assert list(usages) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert extension(certificate, x509.BasicConstraints) == (
        x509.BasicConstraints(False, None),
        True,
    )
    usage, critical = extension(certificate, x509.KeyUsage)
    assert critical and usage.digital_signature and not usage.key_cert_sign
    authority, _ = extension(certificate, x509.AuthorityKeyIdentifier)
    subject, _ = extension(ca.certificate("devices"), x509.SubjectKeyIdentifier)
    assert authority.key_identifier == subject.digest
    assert certificate.serial_number.bit_length() > 100
    read = device_x509.parse_certificate(der)
    assert (read.common_name, read.is_ca) == (DEVICE, False)
    assert read.extended_key_usage == [device_x509.CLIENT_AUTH]


def test_broker_and_client(ca):
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    broker = ca.issue_broker(key, "broker.test", ["broker.test"], ["127.0.0.1", "::1"])
    broker.verify_directly_issued_by(ca.certificate("services"))
    assert list(extension(broker, x509.ExtendedKeyUsage)[0]) == [ExtendedKeyUsageOID.SERVER_AUTH]
    alternative, _ = extension(broker, x509.SubjectAlternativeName)
    assert alternative.get_values_for_type(x509.DNSName) == ["broker.test"]
    addresses = alternative.get_values_for_type(x509.IPAddress)
    assert [str(item) for item in addresses] == ["127.0.0.1", "::1"]
    client = ca.issue_client(key, "collector")
    client.verify_directly_issued_by(ca.certificate("services"))
    assert list(extension(client, x509.ExtendedKeyUsage)[0]) == [ExtendedKeyUsageOID.CLIENT_AUTH]


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (lambda ca, key: ca.issue_broker(key, "b"), "at least one DNS name or IP address"),
        (lambda ca, key: ca.issue_broker(key, "b", (), ["x.y"]), "not a DNS name or IP address"),
        (lambda ca, key: ca.issue_broker(key, "b" * 65, ["b"]), "no common name"),
        (lambda ca, key: ca.issue_client(key, DEVICE), "could be a device id"),
        (lambda ca, key: ca.issue_device(b"", NONCE, "Short"), "expected 16 to 32"),
        (lambda ca, key: ca.revoke("00", "boredom"), "reason: expected one of"),
    ],
)
def test_bad_arguments(ca, call, part):
    with pytest.raises(UsageError, match=part):
        call(ca, ec.generate_private_key(ec.SECP256R1()).public_key())
    assert ca.issued() == ()


def test_issuer_limits_the_life_of_a_leaf(tmp_path):
    late = NOW + profiles.ISSUING_LIFE - timedelta(days=10)
    Ca.create(tmp_path / "ca", "demo", clock=lambda: NOW)
    ca = Ca.open(tmp_path / "ca", clock=lambda: late)
    assert issue(ca).not_valid_after_utc == ca.certificate("devices").not_valid_after_utc


def test_second_request_needs_replace_which_revokes_the_first(ca):
    first = issue(ca)
    with pytest.raises(Refused, match="has a certificate already") as caught:
        issue(ca)
    assert "--replace" in caught.value.hint
    assert len(ca.issued()) == 1
    second = issue(ca, replace=True)
    assert revoked(crl_of(ca, "devices")) == {first.serial_number}
    assert second.serial_number != first.serial_number
    issue(ca, OTHER)
    assert [item.revoked is None for item in ca.issued()] == [False, True, True]


def test_revoked_id_stays_taken(ca):
    issue(ca)
    ca.revoke_device(DEVICE, "keyCompromise")
    with pytest.raises(Refused, match="has a certificate already"):
        issue(ca)


def test_key_of_another_device_is_a_clone(ca):
    key = ec.generate_private_key(ec.SECP256R1())
    ca.issue_device(csr(DEVICE, key), NONCE, DEVICE)
    with pytest.raises(Refused, match=f"key is that of {DEVICE} already"):
        ca.issue_device(csr(OTHER, key), NONCE, OTHER)


def test_wrong_nonce_issues_nothing(ca):
    with pytest.raises(Refused, match="not the nonce"):
        ca.issue_device(csr(nonce=bytes(32)), NONCE, DEVICE)
    assert ca.issued() == ()


def test_crl_number_grows_and_lists_are_kept_apart(ca):
    certificate = issue(ca)
    number = x509.CRLNumber
    assert extension(crl_of(ca, "devices"), number)[0].crl_number == 1
    assert ca.revoke_device(DEVICE, "keyCompromise") == ("devices",)
    der = ca.crl_path("devices").read_bytes()
    crl = x509.load_der_x509_crl(der)
    assert crl.is_signature_valid(ca.certificate("devices").public_key())
    assert extension(crl, number)[0].crl_number == 2
    assert revoked(crl) == {certificate.serial_number}
    reason = next(iter(crl)).extensions.get_extension_for_class(x509.CRLReason).value
    assert reason.reason == x509.ReasonFlags.key_compromise
    assert crl.next_update_utc - NOW == profiles.CRL_LIFE
    assert revoked(x509.load_der_x509_crl(ca.renew_crl("services"))) == set()
    assert extension(crl_of(ca, "services"), number)[0].crl_number == 2
    assert x509.load_pem_x509_crl(ca.crl_pem_path("devices").read_bytes()) == crl
    read = device_x509.parse_crl(der)
    read.verify(device_x509.parse_certificate(certificate_der(ca, "devices")))
    assert [int.from_bytes(serial, "big") for serial in read.serials] == [
        certificate.serial_number
    ]


def test_revocation_keeps_its_first_date(tmp_path):
    Ca.create(tmp_path / "ca", "demo", clock=lambda: NOW)
    ca = Ca.open(tmp_path / "ca", clock=lambda: NOW)
    issue(ca)
    ca.revoke_device(DEVICE)
    later = Ca.open(tmp_path / "ca", clock=lambda: NOW + timedelta(days=3))
    later.revoke_device(DEVICE, "keyCompromise")
    assert [(i.revoked, i.reason) for i in later.issued()] == [
        (int(NOW.timestamp()), "unspecified")
    ]


def test_unknown_serial_and_device(ca):
    with pytest.raises(Refused, match="no certificate with serial beef"):
        ca.revoke("beef")
    with pytest.raises(Refused, match="no certificate was issued here"):
        ca.revoke_device(DEVICE)


def test_keys_are_private_and_never_overwritten(ca, tmp_path):
    keys = sorted((tmp_path / "ca").glob("*.key"))
    assert [path.name for path in keys] == ["birth.key", "devices.key", "root.key", "services.key"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}
    before = [path.read_bytes() for path in keys]
    with pytest.raises(Refused, match="exists and is not overwritten"):
        Ca.create(tmp_path / "ca", "demo")
    assert [path.read_bytes() for path in keys] == before


def test_root_key_may_leave(ca):
    ca.key_path("root").unlink()
    issue(ca)
    ca.revoke_device(DEVICE)
    leaf.make_broker(ca, ca.directory.parent / "broker", "broker.test", ["broker.test"])


def test_passphrase_protects_the_keys(tmp_path):
    Ca.create(tmp_path / "ca", "demo", passphrase=b"secret")
    with pytest.raises(Refused, match="is protected by a passphrase"):
        issue(Ca.open(tmp_path / "ca"))
    issue(Ca.open(tmp_path / "ca", passphrase=b"secret"))


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        (None, "index of the CA: expected a file"),
        (lambda text: text[:10], "is damaged"),
        (lambda text: text.replace('"format": 1', '"format": 2'), "expected format 1, got 2"),
        (lambda text: "[]", "is damaged"),
        (lambda text: json.dumps({"format": 1, "issued": [{}], "crl_numbers": {}}), "is damaged"),
    ],
)
def test_damaged_index_is_never_begun_anew(ca, damage, part):
    path = ca.directory / "index.json"
    if damage is None:
        path.unlink()
    else:
        path.write_text(damage(path.read_text()))
    with pytest.raises(Refused, match=part):
        Ca.open(ca.directory)
    with pytest.raises(Refused, match=part):
        issue(ca)


def test_one_at_a_time(ca):
    with lock.held(ca.directory / "lock", "the CA"), pytest.raises(Refused, match="in use by"):
        issue(ca)


def test_broker_files(ca, tmp_path):
    leaf.make_broker(ca, tmp_path / "broker", "broker.test", ["broker.test"])
    key, certificate = tmp_path / "broker/key.pem", tmp_path / "broker/cert.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes(), certificate.read_bytes()
    with pytest.raises(Refused, match="exists and is not overwritten"):
        leaf.make_broker(ca, tmp_path / "broker", "broker.test", ["broker.test"])
    assert len([i for i in ca.issued() if i.kind == "broker"]) == 1
    leaf.renew(ca, tmp_path / "broker")
    assert key.read_bytes() == before[0]
    assert certificate.read_bytes() != before[1]


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    files.write(path, b"old")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write(path, b"new", force=True)
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_names():
    ids = {names.new_device_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(names.check_device_id(item) == item for item in ids)
    for bad in ("short", "A" * 20, "a" * 33, "a" * 19 + "\n", "a-b" * 7):
        with pytest.raises(UsageError, match="device id: expected"):
            names.check_device_id(bad)
    with pytest.raises(UsageError, match="expected a domain name"):
        names.vendor_id("not a domain")
    vendor = names.vendor_id("example.com")
    assert vendor.hex() == "cfbff0d193755685968c48ce8b15ae17"  # UUIDv5(DNS, "example.com")
    assert names.class_id(vendor, "unix") != names.class_id(vendor, "esp32")
