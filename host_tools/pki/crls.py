"""Revocation lists (RFC 5280 5): numbered, without what has expired, small enough to travel."""

from collections.abc import Iterable
from datetime import datetime, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from host_tools.pki import profiles
from host_tools.pki.index import Issued

DEVICE_BYTES = 4096  # what a device reads of one list (its DER_BYTES)


def build(
    issuer: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    revoked: Iterable[Issued],
    number: int,
    now: datetime,
) -> x509.CertificateRevocationList:
    """The list of `issuer`. One that would not travel to a device goes without its reasons."""
    listed = [item for item in revoked if _counts(item, now)]
    crl = _sign(issuer, key, listed, number, now, reasons=True)
    if len(crl.public_bytes(serialization.Encoding.DER)) > DEVICE_BYTES:
        crl = _sign(issuer, key, listed, number, now, reasons=False)
    return crl


def _counts(item: Issued, now: datetime) -> bool:
    """RFC 5280 3.3: it stays until one list after its expiry has named it."""
    kept = item.not_after + profiles.CRL_LIFE.total_seconds()
    return item.revoked is not None and now.timestamp() <= kept


def _sign(
    issuer: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    listed: list[Issued],
    number: int,
    now: datetime,
    *,
    reasons: bool,
) -> x509.CertificateRevocationList:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(now - profiles.BACKDATE)
        .next_update(now + profiles.CRL_LIFE)
        .add_extension(x509.CRLNumber(number), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False)
    )
    for item in listed:
        builder = builder.add_revoked_certificate(_entry(item, reasons))
    return builder.sign(key, hashes.SHA256())


def _entry(item: Issued, with_reason: bool) -> x509.RevokedCertificate:
    builder = (
        x509.RevokedCertificateBuilder()
        .serial_number(int(item.serial, 16))
        .revocation_date(datetime.fromtimestamp(item.revoked or 0, timezone.utc))
    )
    known = item.reason not in (None, "unspecified")  # RFC 5280 5.3.1: absent, not 0
    if with_reason and known:
        builder = builder.add_extension(x509.CRLReason(x509.ReasonFlags(item.reason)), False)
    return builder.build()
