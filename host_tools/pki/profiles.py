"""What each certificate of the fleet looks like (RFC 5280, S11): one profile a kind.

All keys are P-256, all signatures ECDSA with SHA-256: RSA handshakes take seconds on a board.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from host_tools.errors import UsageError

# All validities, in one place.
ROOT_LIFE = timedelta(days=20 * 365)  # outlives every prototype
ISSUING_LIFE = timedelta(days=10 * 365)  # the trust document pins current and next (SPEC 4)
DEVICE_LIFE = timedelta(days=2 * 365)  # a device in a drawer for a year still connects
BROKER_LIFE = timedelta(days=398)  # what public CAs keep to as well
SERVICE_LIFE = timedelta(days=398)
CRL_LIFE = timedelta(days=30)  # renewed whenever something is revoked or served
BACKDATE = timedelta(minutes=5)  # clocks that are a little slow still accept a new certificate

MAX_FLEET_NAME = 48  # characters; a CN holds 64 with our suffix


@dataclass(frozen=True)
class Request:
    """A certificate to be made: all that differs from one kind to another."""

    name: str
    key: ec.EllipticCurvePublicKey
    life: timedelta
    extensions: tuple[tuple[x509.ExtensionType, bool], ...]


def root(fleet: str, key: ec.EllipticCurvePublicKey) -> Request:
    """The offline root: signs the two issuing CAs and nothing else."""
    return Request(f"{_fleet(fleet)} root CA", key, ROOT_LIFE, _authority(1))


def issuing(fleet: str, kind: str, key: ec.EllipticCurvePublicKey) -> Request:
    """The `devices` or `services` CA. Its own EKU keeps a devices CA from making a broker."""
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if kind == "services":
        usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
    limit = (x509.ExtendedKeyUsage(usages), False)
    return Request(f"{_fleet(fleet)} {kind} CA", key, ISSUING_LIFE, (*_authority(0), limit))


def device(device_id: str, key: ec.EllipticCurvePublicKey) -> Request:
    """A device: clientAuth only, CN = device id."""
    return Request(device_id, key, DEVICE_LIFE, _leaf(ExtendedKeyUsageOID.CLIENT_AUTH))


def service(name: str, key: ec.EllipticCurvePublicKey) -> Request:
    """A service client such as the collector: clientAuth, from the services CA."""
    return Request(name, key, SERVICE_LIFE, _leaf(ExtendedKeyUsageOID.CLIENT_AUTH))


def broker(
    name: str, key: ec.EllipticCurvePublicKey, dns: Sequence[str], addresses: Sequence[str]
) -> Request:
    """The broker: serverAuth only, its DNS names and IP addresses as subjectAltName."""
    if not dns and not addresses:
        raise UsageError("broker: expected at least one DNS name or IP address, got none")
    try:
        names: list[x509.GeneralName] = [x509.DNSName(item) for item in dns]
        names += [x509.IPAddress(ipaddress.ip_address(item)) for item in addresses]
    except ValueError as error:
        raise UsageError(f"broker: not a DNS name or IP address: {error}") from error
    extensions = _leaf(ExtendedKeyUsageOID.SERVER_AUTH)
    alternative = (x509.SubjectAlternativeName(names), False)
    return Request(name, key, BROKER_LIFE, (*extensions, alternative))


def make(
    request: Request,
    issuer: x509.Certificate | None,
    issuer_key: ec.EllipticCurvePrivateKey,
    start: datetime,
) -> x509.Certificate:
    """Sign `request`; without an `issuer` it is self-signed. It never outlasts its issuer.

    Valid from `start`; the serial number is random, 20 bytes.
    """
    subject = _name(request.name)
    signer = issuer_key.public_key()
    end = start + request.life
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(request.key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end if issuer is None else min(end, issuer.not_valid_after_utc))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(request.key), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), False)
    )
    for extension, critical in request.extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256())


def _authority(path_length: int) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    return (
        (x509.BasicConstraints(ca=True, path_length=path_length), True),
        (_key_usage(authority=True), True),
    )


def _leaf(usage: x509.ObjectIdentifier) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    return (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_key_usage(authority=False), True),
        (x509.ExtendedKeyUsage([usage]), False),
    )


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    try:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
    except ValueError as error:
        raise UsageError(f"certificate: {common!r} is no common name: {error}") from error


def _fleet(name: str) -> str:
    if not 1 <= len(name) <= MAX_FLEET_NAME:
        raise UsageError(f"fleet: expected a name of 1 to {MAX_FLEET_NAME} characters")
    return name
