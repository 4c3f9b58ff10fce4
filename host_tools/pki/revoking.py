"""What of a CA's certificates holds no more: the index says so first, then the lists.

Whoever asks here is refused as soon as the index names a certificate, also when the key of the CA
that has to sign the list is elsewhere.
"""

from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from host_tools.errors import HostError, Refused, UsageError
from host_tools.pki import crls, files
from host_tools.pki.index import Issued, spki_hash
from host_tools.pki.shelf import Shelf

EXTERNAL = "external"  # issuer in the index: a CA elsewhere, which also revokes
REASONS = ("unspecified", "keyCompromise", "superseded", "cessationOfOperation")


def serial(shelf: Shelf, number: str, reason: str) -> bytes:
    """Revoke by serial (hex) and publish; returns the issuer's new list (DER)."""
    _check(reason)
    with shelf.locked():
        changed = shelf.index().with_revoked(number, shelf.now(), reason)
        shelf.save(changed)
    issuer = next(item.issuer for item in changed.issued if item.serial == number)
    return renew_list(shelf, issuer)


def device(shelf: Shelf, device_id: str, reason: str) -> tuple[str, ...]:
    """Revoke every certificate of a device, that of its birth too; returns the issuers.

    Raises Refused.
    """
    _check(reason)
    with shelf.locked():
        book = shelf.index()
        found = [item for kind in ("device", "birth") for item in book.of(kind, device_id)]
        if not found:
            raise Refused(f"device {device_id}: no certificate was issued here")
        _name(shelf, found, reason)
    issuers = _ours(found)
    for base in issuers:
        renew_list(shelf, base)
    return issuers


def other_keys(shelf: Shelf, device_id: str, key: ec.EllipticCurvePublicKey) -> list[str]:
    """Revoke what a device had for other keys than this one, which a connection has proved.

    Returns the CAs whose keys are elsewhere: their lists are to be signed there.
    """
    with shelf.locked():
        mine = shelf.index().of("device", device_id)
        found = [item for item in mine if item.key != spki_hash(key) and item.revoked is None]
        _name(shelf, found, "superseded")
    missing: list[str] = []
    for base in _ours(found):
        try:
            renew_list(shelf, base)
        except HostError:
            missing.append(base)
    return missing


def is_revoked(shelf: Shelf, certificate: x509.Certificate) -> bool:
    """Whether the index names it revoked, or does not know it."""
    number = f"{certificate.serial_number:040x}"
    known = [item for item in shelf.index().issued if item.serial == number]
    return not known or known[0].revoked is not None


def renew_list(shelf: Shelf, issuer: str) -> bytes:
    """A new list of an issuing CA (DER), its number one higher; also on disk."""
    with shelf.locked():
        changed, number = shelf.index().with_next_crl(issuer)
        listed = [item for item in changed.issued if item.issuer == issuer]
        certificate, key = shelf.certificate(issuer), shelf.key(issuer)
        crl = crls.build(certificate, key, listed, number, shelf.clock())
        # The index first: a number is never used for two lists, at worst one is skipped.
        shelf.save(changed)
        der = crl.public_bytes(serialization.Encoding.DER)
        files.write(shelf.crl_path(issuer), der, force=True)
        pem = crl.public_bytes(serialization.Encoding.PEM)
        files.write(shelf.crl_pem_path(issuer), pem, force=True)
    return der


def _check(reason: str) -> None:
    if reason not in REASONS:
        raise UsageError(f"reason: expected one of {', '.join(REASONS)}, got {reason!r}")


def _name(shelf: Shelf, found: Iterable[Issued], reason: str) -> None:
    book = shelf.index()
    for item in found:
        book = book.with_revoked(item.serial, shelf.now(), reason)
    shelf.save(book)


def _ours(found: Iterable[Issued]) -> tuple[str, ...]:
    """The issuing CAs of these, the devices' first."""
    return tuple(sorted({item.issuer for item in found} - {EXTERNAL}, reverse=True))
