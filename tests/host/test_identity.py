"""Who a verified certificate is (S11): one name, of the right kind, from the CA for that kind."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fleet_kit import ALICE, DAY, NOW, Authority, Pki

from host_tools.errors import Refused
from host_tools.fleet import identity


@pytest.fixture(scope="module")
def cas():
    root = Authority("Test Root")
    return Authority("Test Services", root), Authority("Test Devices", root)


def certificate(ca, *names):
    common = [x509.NameAttribute(x509.NameOID.COMMON_NAME, name) for name in names]
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(common))
        .issuer_name(ca.cert.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
    )
    return builder.sign(ca.key, hashes.SHA256())


def name_of(cas, ca, *names):
    return identity.client_name(certificate(ca, *names), [[authority.cert] for authority in cas])


def test_a_device_and_a_service_are_known_by_their_names(cas):
    services, devices = cas
    assert name_of(cas, devices, ALICE) == ALICE
    assert name_of(cas, services, "collector") == "collector"


@pytest.mark.parametrize(
    ("by", "names", "message"),
    [
        ("devices", ["collector"], "from the CA for others"),
        ("services", [ALICE], "from the CA for others"),
        ("services", ["broker"], "expected a device id or a service"),
        ("devices", ["+"], "expected a device id or a service"),
        ("devices", ["alice/../collector"], "expected a device id or a service"),
        ("devices", [ALICE.upper()], "expected a device id or a service"),
        ("devices", [ALICE, ALICE], "expected one common name, got 2"),
        ("devices", [], "expected one common name, got 0"),
    ],
)
def test_other_names_are_refused(cas, by, names, message):
    services, devices = cas
    with pytest.raises(Refused, match=message):
        name_of(cas, devices if by == "devices" else services, *names)


def test_a_list_revokes_only_what_its_own_ca_has_issued(tmp_path):
    pki = Pki(tmp_path)
    files = pki.files("broker", crls=True)
    alice = pki.certs[ALICE]
    pki.services.write_crl(pki.crls[1], [alice], number=2)  # a serial number of the other CA
    assert not identity.Revocations(files).is_revoked(alice)
    pki.devices.write_crl(pki.crls[0], [alice], number=2)
    assert identity.Revocations(files).is_revoked(alice)


def test_no_certificate_is_nobody():
    class Silent:
        def getpeercert(self, binary_form):
            return None

    for tls in (None, Silent()):
        with pytest.raises(Refused, match="expected a client certificate, got none"):
            identity.peer_certificate(tls)
