"""What each certificate of the fleet looks like (RFC 5280, S11): one profile a kind.

All keys are P-256, all signatures ECDSA with SHA-256: RSA handshakes take seconds on a board.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from host_tools.errors import UsageError

# All validities, in one place.
ROOT_LIFE = timedelta(days=20 * 365)  # outlives every prototype
ISSUING_LIFE = timedelta(days=10 * 365)  # the trust document pins current and next (SPEC 4)
BIRTH_CA_LIFE = ROOT_LIFE  # a birth certificate lasts as long as the board
BIRTH_LIFE = timedelta(days=100 * 365)  # no end of its own: that of its CA (IEEE 802.1AR 8.7)
DEVICE_LIFE = timedelta(days=2 * 365)  # a device in a drawer for a year still connects
BROKER_LIFE = timedelta(days=398)  # what public CAs keep to as well
SERVICE_LIFE = timedelta(days=398)
RENEW_LEAF = timedelta(days=30)  # before its end a service's certificate is renewed
CRL_LIFE = timedelta(days=30)  # renewed whenever something is revoked or served
BACKDATE = timedelta(minutes=5)  # clocks that are a little slow still accept a new certificate

HARDWARE_MODULE_NAME = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.4")  # RFC 4108 5
MAX_FLEET_NAME = 48  # characters; a CN holds 64 with our suffix


@dataclass(frozen=True)
class Request:
    """A certificate to be made: all that differs from one kind to another."""

    name: str
    key: ec.EllipticCurvePublicKey
    life: timedelta
    extensions: tuple[tuple[x509.ExtensionType, bool], ...]
    serial: str = ""  # serialNumber in the subject (IEEE 802.1AR 8.6)


@asn1.sequence
class HardwareModuleName:
    """RFC 4108 5: hwType, hwSerialNum."""

    type: x509.ObjectIdentifier
    serial: bytes


def root(fleet: str, key: ec.EllipticCurvePublicKey) -> Request:
    """The offline root: signs the two issuing CAs and nothing else."""
    return Request(f"{_fleet(fleet)} root CA", key, ROOT_LIFE, _authority(1))


def issuing(fleet: str, kind: str, key: ec.EllipticCurvePublicKey) -> Request:
    """The `devices`, `services` or `birth` CA. Its own EKU keeps one for devices from making a
    broker."""
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if kind == "services":
        usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
    limit = (x509.ExtendedKeyUsage(usages), False)
    life = BIRTH_CA_LIFE if kind == "birth" else ISSUING_LIFE
    return Request(f"{_fleet(fleet)} {kind} CA", key, life, (*_authority(0), limit))


def birth(
    device_id: str, unique_id: bytes, class_id: bytes, key: ec.EllipticCurvePublicKey
) -> Request:
    """A birth certificate (IDevID, IEEE 802.1AR 8): says which board this is, and no more.

    serialNumber is the device id, random as S11 wants it; the board's own number stands as
    hardwareModuleName (RFC 4108 5), under the UUID of its class as OID (X.667: 2.25.<UUID>).
    """
    module = x509.ObjectIdentifier(f"2.25.{int.from_bytes(class_id, 'big')}")
    value = asn1.encode_der(HardwareModuleName(type=module, serial=unique_id))
    named = x509.OtherName(HARDWARE_MODULE_NAME, value)
    alternative = (x509.SubjectAlternativeName([named]), False)
    extensions = (*_leaf(ExtendedKeyUsageOID.CLIENT_AUTH), alternative)
    return Request(device_id, key, BIRTH_LIFE, extensions, serial=device_id)


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
    subject = _name(request.name, request.serial)
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


def _name(common: str, serial: str = "") -> x509.Name:
    first = [x509.NameAttribute(NameOID.SERIAL_NUMBER, serial)] if serial else []
    try:
        return x509.Name([*first, x509.NameAttribute(NameOID.COMMON_NAME, common)])
    except ValueError as error:
        raise UsageError(f"certificate: {common!r} is no common name: {error}") from error


def _fleet(name: str) -> str:
    if not 1 <= len(name) <= MAX_FLEET_NAME:
        raise UsageError(f"fleet: expected a name of 1 to {MAX_FLEET_NAME} characters")
    return name
