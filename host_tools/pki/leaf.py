"""Key and certificate files of the services on this host: the broker, the collector."""

from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

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


def renew_broker(
    ca: Ca, directory: Path, name: str, dns: Sequence[str] = (), addresses: Sequence[str] = ()
) -> None:
    """A new certificate for the broker's key that is there. Raises Refused."""
    path = directory / KEY
    key = files.load_private(files.read(path, "broker key"), path)
    certificate = ca.issue_broker(key.public_key(), name, dns, addresses)
    files.write(directory / CERTIFICATE, pem(certificate), force=True)


def _new_key(directory: Path, force: bool) -> ec.EllipticCurvePrivateKey:
    if not force:
        files.refuse_existing(directory / KEY)
        files.refuse_existing(directory / CERTIFICATE)
    return ec.generate_private_key(ec.SECP256R1())


def _write(directory: Path, key: ec.EllipticCurvePrivateKey, cert: bytes, force: bool) -> None:
    files.write(directory / KEY, files.private_pem(key), secret=True, force=force)
    files.write(directory / CERTIFICATE, cert, force=force)
