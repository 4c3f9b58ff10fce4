"""Our certificates as others judge them: openssl, cryptography's verifier, TLS itself."""

import shutil
import socket
import ssl
import subprocess
import threading
from datetime import datetime, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import verification
from cryptography.x509.oid import AttributeOID, NameOID

from host_tools.pki import leaf
from host_tools.pki.ca import Ca, pem

OPENSSL = shutil.which("openssl")
DEVICE = "abcdefghij0123456789"
NONCE = bytes(32)


class Fleet:
    """A CA with a broker, a collector and a device, each with key and certificate in PEM."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = Ca.create(folder / "ca", "demo")
        leaf.make_broker(self.ca, folder / "broker", "broker.test", ["broker.test"], ["127.0.0.1"])
        leaf.make_client(self.ca, folder / "collector", "collector")
        self.device()

    def device(self, replace=False):
        key = ec.generate_private_key(ec.SECP256R1())
        request = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, DEVICE)]))
            .add_attribute(AttributeOID.CHALLENGE_PASSWORD, NONCE.hex().encode())
            .sign(key, hashes.SHA256())
        )
        der = self.ca.issue_device(
            request.public_bytes(serialization.Encoding.DER), NONCE, DEVICE, replace
        )
        directory = self.folder / "device"
        directory.mkdir(exist_ok=True)
        (directory / "cert.pem").write_bytes(pem(x509.load_der_x509_certificate(der)))
        (directory / "key.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    def certificate(self, name):
        return x509.load_pem_x509_certificate((self.folder / name / "cert.pem").read_bytes())


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path)


def openssl(*arguments):
    """(exit code is 0, all output)"""
    if OPENSSL is None:
        pytest.skip("no openssl command on this machine")
    done = subprocess.run([OPENSSL, *map(str, arguments)], capture_output=True, text=True)
    return done.returncode == 0, done.stdout + done.stderr


def verify(fleet, issuer, name, purpose, *more):
    ca = fleet.ca
    return openssl(
        *("verify", "-x509_strict", "-purpose", purpose, "-crl_check"),
        *("-CRLfile", ca.crl_pem_path(issuer), "-CAfile", ca.chain_path(issuer)),
        *(*more, fleet.folder / name / "cert.pem"),
    )


@pytest.mark.parametrize(
    ("issuer", "name", "purpose", "accepted"),
    [
        ("devices", "device", "sslclient", True),
        ("services", "broker", "sslserver", True),
        ("services", "collector", "sslclient", True),
        ("devices", "device", "sslserver", False),
        ("services", "broker", "sslclient", False),
        ("services", "collector", "sslserver", False),
        ("services", "device", "sslclient", False),
        ("devices", "broker", "sslserver", False),
    ],
)
def test_openssl_gives_the_verdict_that_the_profile_means(fleet, issuer, name, purpose, accepted):
    verdict, text = verify(fleet, issuer, name, purpose)
    assert verdict == accepted, text


@pytest.mark.parametrize(
    ("option", "value", "accepted"),
    [
        ("-verify_hostname", "broker.test", True),
        ("-verify_hostname", "other.test", False),
        ("-verify_ip", "127.0.0.1", True),
        ("-verify_ip", "127.0.0.2", False),
    ],
)
def test_openssl_checks_the_names(fleet, option, value, accepted):
    verdict, text = verify(fleet, "services", "broker", "sslserver", option, value)
    assert verdict == accepted, text


def test_openssl_sees_the_revocation(fleet):
    assert verify(fleet, "devices", "device", "sslclient")[0]
    fleet.ca.revoke_device(DEVICE)
    verdict, text = verify(fleet, "devices", "device", "sslclient")
    assert not verdict and "certificate revoked" in text
    fleet.device(replace=True)
    assert verify(fleet, "devices", "device", "sslclient")[0]


def test_openssl_reads_the_lists(fleet):
    accepted, text = openssl(
        *("crl", "-inform", "DER", "-in", fleet.ca.crl_path("devices"), "-noout", "-text"),
        *("-CAfile", fleet.ca.chain_path("devices")),
    )
    assert accepted and "verify OK" in text and "Version 2" in text


def test_cryptography_verifies_client_and_server(fleet):
    # The web's profile: stricter than openssl's about what a certificate holds.
    store = verification.Store([fleet.ca.certificate("root")])
    builder = verification.PolicyBuilder().store(store).time(datetime.now(timezone.utc))
    services = [fleet.ca.certificate("services")]
    broker = builder.build_server_verifier(x509.DNSName("broker.test"))
    assert len(broker.verify(fleet.certificate("broker"), services)) == 3
    other = builder.build_server_verifier(x509.DNSName("other.test"))
    with pytest.raises(verification.VerificationError):
        other.verify(fleet.certificate("broker"), services)
    with pytest.raises(verification.VerificationError):
        broker.verify(fleet.certificate("collector"), services)


def handshake(fleet, server, client, trusted_by_client):
    """TLS 1.2 both ways as broker and device do it; raises what either side raises."""
    ends = [ssl.SSLContext(p) for p in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT)]
    for context, name in zip(ends, (server, client), strict=True):
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
        context.load_cert_chain(fleet.folder / name / "cert.pem", fleet.folder / name / "key.pem")
    listening, connecting = ends
    listening.verify_mode = ssl.CERT_REQUIRED
    listening.load_verify_locations(fleet.ca.chain_path("devices"))
    connecting.load_verify_locations(cadata=trusted_by_client)
    connecting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    left, right = socket.socketpair()
    failures = []

    def serve():
        try:
            with listening.wrap_socket(left, server_side=True) as connection:
                connection.sendall(b"ok")
        except (ssl.SSLError, OSError) as error:
            failures.append(error)
            left.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with connecting.wrap_socket(right, server_hostname="broker.test") as connection:
            return connection.recv(2), connection.getpeercert()
    finally:
        thread.join(10)
        if failures:
            raise failures[0]


def test_mutual_tls_with_the_anchor_that_devices_hold(fleet):
    # A device trusts the services' issuing CA alone (SPEC 4), not the root.
    answer, peer = handshake(fleet, "broker", "device", fleet.ca.anchor())
    assert answer == b"ok"
    assert ("DNS", "broker.test") in peer["subjectAltName"]


@pytest.mark.parametrize(
    ("server", "client"), [("collector", "device"), ("device", "device"), ("broker", "broker")]
)
def test_mutual_tls_refuses_the_wrong_kind(fleet, server, client):
    with pytest.raises(ssl.SSLError):
        handshake(fleet, server, client, fleet.ca.anchor())
