"""A CA elsewhere (a hospital's) whose certificates our broker takes from devices too.

    ca/external-chain.pem    its certificates, as EST's /cacerts gave them
    ca/external.crl.pem      its revocation list; mosquitto takes nobody of it without one

Names are still ours: what it signs is taken only under the name of a device of this fleet.
"""

from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from host_tools.errors import Refused
from host_tools.pki import files
from host_tools.project import Project

CHAIN, CRL = "external-chain.pem", "external.crl.pem"


def publish(found: Project, chain: Sequence[x509.Certificate], lists_file: Path | None) -> None:
    """Let the broker trust this CA for devices. Raises Refused for a list of somebody else."""
    folder = found.folder("ca")
    ordered = sorted(chain, key=lambda one: one.issuer == one.subject)  # issuing CAs first
    if lists_file is not None:
        data = files.read(lists_file, "revocation list")
        _check(data, chain)
        files.write(folder / CRL, data, force=True)
    text = b"".join(one.public_bytes(Encoding.PEM) for one in ordered)
    files.write(folder / CHAIN, text, force=True)


def parts(found: Project) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """(chains, lists) for the broker: one of each, or none."""
    folder = found.folder("ca")
    chain, crl = folder / CHAIN, folder / CRL
    return ((chain,) if chain.is_file() else ()), ((crl,) if crl.is_file() else ())


def _check(data: bytes, chain: Sequence[x509.Certificate]) -> None:
    try:
        crl = x509.load_pem_x509_crl(data)
    except ValueError as error:
        raise Refused("the CA elsewhere: not a revocation list in PEM") from error
    for issuer in chain:
        if crl.issuer == issuer.subject and crl.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]
            return
    raise Refused("the CA elsewhere: expected its own revocation list, got another's")
