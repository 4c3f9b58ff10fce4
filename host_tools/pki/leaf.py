"""Key and certificate files of the services on this host: the broker, the collector."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from host_tools.errors import Refused
from host_tools.pki import files
from host_tools.pki.ca import Ca, pem

KEY, CERTIFICATE = "key.pem", "cert.pem"


def make_broker(
    ca: Ca,
    directory: Path,
    name: str,
    dns: Sequence[str] = (),
    addresses: Sequence[str] = (),
    force: bool = False,
) -> None:
    """`key.pem` and `cert.pem` in `directory` for a broker. Raises Refused, UsageError."""
    key = _new_key(directory, force)
    certificate = ca.issue_broker(key.public_key(), name, dns, addresses)
    _write(directory, key, pem(certificate), force)


def make_client(ca: Ca, directory: Path, name: str, force: bool = False) -> None:
    """`key.pem` and `cert.pem` in `directory` for a service's client such as `collector`."""
    key = _new_key(directory, force)
    certificate = ca.issue_client(key.public_key(), name)
    _write(directory, key, pem(certificate), force)


def certificate(directory: Path) -> x509.Certificate:
    """The certificate in `directory`. Raises Refused."""
    path = directory / CERTIFICATE
    try:
        return x509.load_pem_x509_certificate(files.read(path, "certificate"))
    except ValueError as error:
        raise Refused(f"{path}: not a certificate") from error


def renew(ca: Ca, directory: Path, life: timedelta | None = None) -> x509.Certificate:
    """A new certificate for the key and the names of the one that is there; `life`: another
    than its profile's. Raises Refused."""
    path = directory / KEY
    key = files.load_private(files.read(path, "key"), path).public_key()
    old = certificate(directory)
    name = str(old.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    try:
        extension = old.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        made = ca.issue_client(key, name, life=life)
    else:
        dns = extension.value.get_values_for_type(x509.DNSName)
        addresses = extension.value.get_values_for_type(x509.IPAddress)
        made = ca.issue_broker(key, name, dns, [str(one) for one in addresses], life=life)
    files.write(directory / CERTIFICATE, pem(made), force=True)
    return made


def _new_key(directory: Path, force: bool) -> ec.EllipticCurvePrivateKey:
    if not force:
        files.refuse_existing(directory / KEY)
        files.refuse_existing(directory / CERTIFICATE)
    return ec.generate_private_key(ec.SECP256R1())


def _write(directory: Path, key: ec.EllipticCurvePrivateKey, cert: bytes, force: bool) -> None:
    files.write(directory / KEY, files.private_pem(key), secret=True, force=force)
    files.write(directory / CERTIFICATE, cert, force=force)
