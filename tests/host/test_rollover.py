"""Birth certificates, renewal, rollover of each CA, lists that travel; openssl agrees."""

import shutil
import subprocess
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AttributeOID, NameOID
from uward.trust import x509 as device_x509

from host_tools.errors import Refused
from host_tools.fleet import identity
from host_tools.pki import crls, index, profiles, rollover
from host_tools.pki.ca import ISSUING, Ca
from host_tools.pki.shelf import pem

NONCE = bytes(range(32))
DEVICE, OTHER = "abcdefghij0123456789", "zyxwvutsrq9876543210"
UNIQUE, CLASS = bytes.fromhex("e66105481f3c2b29"), bytes(range(16))
OPENSSL = shutil.which("openssl")


@pytest.fixture
def ca(tmp_path):
    return Ca.create(tmp_path / "ca", "demo")


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def csr(key, device=DEVICE, nonce=NONCE):
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device)])
    )
    if nonce:
        builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, nonce.hex().encode())
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def birth(ca, key, device=DEVICE, **options):
    der = ca.issue_birth(csr(key, device), NONCE, device, UNIQUE, CLASS, **options)
    return x509.load_der_x509_certificate(der)


def enrol(ca, key, device=DEVICE, **options):
    der = ca.issue_device(csr(key, device), NONCE, device, **options)
    return x509.load_der_x509_certificate(der)


def verified(ca, certificate, kind, tmp_path, purpose="sslclient"):
    """openssl's verdict, with the revocation lists of every CA of this kind."""
    if OPENSSL is None:
        pytest.skip("no openssl command: apt-get install openssl")
    path, lists = tmp_path / "leaf.pem", tmp_path / "lists.pem"
    path.write_bytes(pem(certificate))
    bases = ca.shelf.bases(kind)
    lists.write_bytes(b"".join(ca.crl_pem_path(base).read_bytes() for base in bases))
    given = ["-CRLfile", lists, "-CAfile", ca.chain_path(kind), path]
    done = subprocess.run(
        [OPENSSL, "verify", "-x509_strict", "-purpose", purpose, "-crl_check", *given],
        capture_output=True,
        text=True,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


# Birth certificates (IEEE 802.1AR)


def test_a_birth_certificate_says_which_board_this_is(ca, tmp_path):
    key = new_key()
    certificate = birth(ca, key)
    serial, common = list(certificate.subject)
    assert (serial.oid, serial.value) == (NameOID.SERIAL_NUMBER, DEVICE)
    assert (common.oid, common.value) == (NameOID.COMMON_NAME, DEVICE)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (other,) = names.get_values_for_type(x509.OtherName)
    assert other.type_id == profiles.HARDWARE_MODULE_NAME
    module = asn1.decode_der(profiles.HardwareModuleName, other.value)
    assert module.type.dotted_string == f"2.25.{int.from_bytes(CLASS, 'big')}"
    assert module.serial == UNIQUE
    assert certificate.not_valid_after_utc == ca.certificate("birth").not_valid_after_utc
    assert verified(ca, certificate, "birth", tmp_path) == ""
    assert "purpose" in verified(ca, certificate, "birth", tmp_path, "sslserver")
    read = device_x509.parse_certificate(certificate.public_bytes(serialization.Encoding.DER))
    assert read.common_name == DEVICE and read.extended_key_usage == [device_x509.CLIENT_AUTH]


def test_no_broker_believes_a_birth_certificate(ca, tmp_path):
    certificate = birth(ca, new_key())
    for kind in ("devices", "services"):
        assert "unable to get local issuer" in verified(ca, certificate, kind, tmp_path)
    chains = tuple(ca.chain_path(kind) for kind in ("services", "devices"))
    trusted = [
        one for chain in chains for one in x509.load_pem_x509_certificates(chain.read_bytes())
    ]
    assert ca.certificate("birth") not in trusted


def test_the_key_of_a_birth_is_for_nothing_else(ca):
    key = new_key()
    birth(ca, key)
    with pytest.raises(Refused, match=f"this key is that of {DEVICE} already"):
        enrol(ca, key)
    with pytest.raises(Refused, match=f"this key is that of {DEVICE} already"):
        birth(ca, key, OTHER)


def test_replacing_a_board_revokes_its_birth_too(ca):
    first = birth(ca, new_key())
    with pytest.raises(Refused, match="has a certificate already"):
        birth(ca, new_key())
    second = birth(ca, new_key(), replace=True)
    assert ca.is_revoked(first) and not ca.is_revoked(second)
    listed = x509.load_der_x509_crl(ca.crl_path("birth").read_bytes())
    assert [entry.serial_number for entry in listed] == [first.serial_number]


# Renewal


def test_a_device_renews_with_the_key_that_it_has(ca, tmp_path):
    key = new_key()
    first = enrol(ca, key)
    der = ca.renew_device(csr(key, nonce=None), DEVICE)
    second = x509.load_der_x509_certificate(der)
    assert second.public_key() == first.public_key()
    assert second.serial_number != first.serial_number
    assert not ca.is_revoked(first) and not ca.is_revoked(second)  # the old one just ends
    assert verified(ca, second, "devices", tmp_path) == ""


def test_renewal_is_refused_by_name(ca):
    key = new_key()
    with pytest.raises(Refused, match=f"device {DEVICE}: no certificate was issued here"):
        ca.renew_device(csr(key, nonce=None), DEVICE)
    enrol(ca, key)
    with pytest.raises(Refused, match=f"expected the key that {DEVICE} was enrolled with"):
        ca.renew_device(csr(new_key(), nonce=None), DEVICE)
    with pytest.raises(Refused, match=f"expected the subject CN={DEVICE} alone"):
        ca.renew_device(csr(key, OTHER, nonce=None), DEVICE)
    forged = bytearray(csr(key, nonce=None))
    forged[-1] ^= 1
    with pytest.raises(Refused, match="does not prove possession"):
        ca.renew_device(bytes(forged), DEVICE)
    ca.revoke_device(DEVICE, "keyCompromise")
    with pytest.raises(Refused, match=f"device {DEVICE} is revoked \\(keyCompromise\\)"):
        ca.renew_device(csr(key, nonce=None), DEVICE)


def test_a_revoked_device_is_revoked_whole(ca):
    certificates = [birth(ca, new_key()), enrol(ca, new_key())]
    assert ca.revoke_device(DEVICE) == ("devices", "birth")
    assert all(ca.is_revoked(one) for one in certificates)


# Rollover


def test_issuing_cas_roll_over_with_nobody_locked_out(ca, tmp_path):
    key = new_key()
    first = enrol(ca, key)
    assert rollover.prepare(ca, "devices", "demo") == "devices-2"
    assert enrol(ca, new_key(), OTHER).issuer == first.issuer  # trusted, not yet in use
    assert rollover.switch(ca, "devices") == "devices-2"
    second = x509.load_der_x509_certificate(ca.renew_device(csr(key, nonce=None), DEVICE))
    assert second.issuer != first.issuer
    for certificate in (first, second):
        assert verified(ca, certificate, "devices", tmp_path) == ""
    with pytest.raises(Refused, match=f"1 certificates of devices are in use.* {OTHER}"):
        rollover.finish(ca, "devices")
    ca.revoke_device(OTHER)
    assert rollover.finish(ca, "devices") == ["devices"]
    assert verified(ca, second, "devices", tmp_path) == ""
    assert "unable to get local issuer" in verified(ca, first, "devices", tmp_path)
    with pytest.raises(Refused, match="no old CA is left"):
        rollover.finish(ca, "devices")
    assert sorted(path.name for path in (tmp_path / "ca/retired").iterdir()) == [
        "devices.key",
        "devices.pem",
    ]


def test_devices_pin_both_services_cas_while_one_takes_over(ca):
    (old,) = ca.anchors()
    rollover.prepare(ca, "services", "demo")
    current, following = ca.anchors()
    assert current == old
    rollover.switch(ca, "services")
    assert ca.anchors() == (following, old)
    assert ca.anchor() == following
    rollover.finish(ca, "services")
    assert ca.anchors() == (following,)


def test_the_root_rolls_over_under_the_issuing_cas(ca, tmp_path):
    old = enrol(ca, new_key())
    rollover.prepare(ca, "root", "demo")
    for kind in ISSUING:
        rollover.prepare(ca, kind, "demo")
        rollover.switch(ca, kind)
    rollover.switch(ca, "root")
    new = enrol(ca, new_key(), OTHER)
    assert verified(ca, old, "devices", tmp_path) == verified(ca, new, "devices", tmp_path) == ""
    assert ca.certificate("root").subject.rfc4514_string() == "CN=demo root CA 2"
    with pytest.raises(Refused, match="3 certificates of root are in use"):
        rollover.finish(ca, "root")
    for kind in ISSUING:
        rollover.finish(ca, kind, force=True)
    assert rollover.finish(ca, "root") == ["root"]
    assert verified(ca, new, "devices", tmp_path) == ""
    assert "unable to get local issuer" in verified(ca, old, "devices", tmp_path)


@pytest.mark.parametrize("call", [rollover.switch, rollover.finish])
def test_steps_go_in_order(ca, call):
    with pytest.raises(Refused, match=r"no next CA is prepared|no old CA is left"):
        call(ca, "services")
    rollover.prepare(ca, "services", "demo")
    with pytest.raises(Refused, match="the next CA is there already"):
        rollover.prepare(ca, "services", "demo")


def test_a_rollover_that_was_cut_off_overwrites_no_key(ca):
    root = ca.key_path("root")
    root.rename(root.with_suffix(".away"))
    with pytest.raises(Refused, match="key of the root CA"):
        rollover.prepare(ca, "devices", "demo")
    assert not ca.key_path("devices-2").exists()
    root.with_suffix(".away").rename(root)
    ca.key_path("devices-2").write_bytes(b"of a run that was cut off")
    assert rollover.prepare(ca, "devices", "demo") == "devices-3"
    assert ca.key_path("devices-2").read_bytes() == b"of a run that was cut off"


def test_a_broker_takes_what_either_ca_of_a_kind_has_issued(ca, tmp_path):
    old = enrol(ca, new_key())
    rollover.prepare(ca, "devices", "demo")
    rollover.switch(ca, "devices")
    new = enrol(ca, new_key(), OTHER)
    chains = tuple(ca.chain_path(kind) for kind in ("services", "devices"))
    lists = tuple(ca.crl_pem_path(base) for base in ca.shelf.bases("devices"))
    files = identity.TlsFiles(chains, chains[0], chains[0], lists)
    assert identity.client_name(old, files.issuers()) == DEVICE
    assert identity.client_name(new, files.issuers()) == OTHER
    ca.revoke_device(DEVICE)
    revocations = identity.Revocations(files)
    assert revocations.is_revoked(old) and not revocations.is_revoked(new)


# Lists that travel


def test_a_list_forgets_what_has_expired(tmp_path):
    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    now = [start]
    ca = Ca.create(tmp_path / "ca", "demo", clock=lambda: now[0])
    certificate = enrol(ca, new_key())
    ca.revoke_device(DEVICE)

    def listed():
        return len(list(x509.load_der_x509_crl(ca.renew_crl("devices"))))

    now[0] = certificate.not_valid_after_utc + profiles.CRL_LIFE
    assert listed() == 1  # named by one list after its end (RFC 5280 3.3)
    now[0] += timedelta(seconds=1)
    assert listed() == 0


def test_a_long_list_goes_without_reasons_so_that_it_still_travels(ca):
    now = datetime.now(timezone.utc)
    later = int(now.timestamp()) + 86400
    gone: list[index.Issued] = []
    for i in range(85):
        serial = f"{x509.random_serial_number():040x}"
        entry = index.Issued(serial, "services", "client", f"c{i}", "", 0, later, 1, "superseded")
        gone.append(entry)
    made = crls.build(ca.certificate("services"), ca.shelf.key("services"), gone, 9, now)
    der = made.public_bytes(serialization.Encoding.DER)
    assert len(der) <= crls.DEVICE_BYTES
    read = device_x509.parse_crl(der)
    read.verify(device_x509.parse_certificate(ca.anchor()))
    assert (len(read.serials), read.number) == (85, 9)
    assert all(not list(entry.extensions) for entry in made)
    few = crls.build(ca.certificate("services"), ca.shelf.key("services"), gone[:60], 9, now)
    assert all(list(entry.extensions) for entry in few)
