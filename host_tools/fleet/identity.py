"""Who is at the other end of a TLS connection, and the contexts that prove it (S11)."""

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from host_tools.errors import Refused, UsageError
from host_tools.fleet import acl

# S11: forward secrecy and AEAD only; TLS 1.3 offers nothing else anyway
CIPHERS = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256"


@dataclass(frozen=True)
class TlsFiles:
    """PEM files of one end.

    `chains`: of each kind of CA whose certificates are taken, the issuing CAs and their roots; two
    issuing CAs while one rolls over. The first chain certifies services; a broker has a second
    one for devices.
    """

    chains: tuple[Path, ...]
    certificate: Path
    key: Path
    crls: tuple[Path, ...] = ()

    def check(self) -> None:
        """Raises UsageError for the first file that is absent."""
        for path in (*self.chains, self.certificate, self.key, *self.crls):
            if not path.is_file():
                raise UsageError(f"{path}: no such file", "run 'uward init' in the fleet first")

    def stamps(self) -> list[tuple[Path, int]]:
        """When each file was last written; 0 for an absent one."""
        every = (*self.chains, self.certificate, *self.crls)
        return [(path, path.stat().st_mtime_ns if path.is_file() else 0) for path in every]

    def issuers(self) -> list[list[x509.Certificate]]:
        """The issuing CAs of each chain, those of the services first; where a root issues by
        itself, the root."""
        found = [x509.load_pem_x509_certificates(path.read_bytes()) for path in self.chains]
        return [[one for one in chain if one.issuer != one.subject] or chain for chain in found]


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """A broker's side: no client without a certificate gets past the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _prepare(context, files)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


class NamedContext(ssl.SSLContext):
    """A client's context that expects a certain name, wherever the broker listens (SPEC 6)."""

    expected = ""

    def wrap_socket(self, sock: socket.socket, **options: Any) -> ssl.SSLSocket:  # type: ignore[override]
        options["server_hostname"] = self.expected
        return super().wrap_socket(sock, **options)


def client_context(files: TlsFiles, broker_name: str) -> ssl.SSLContext:
    """A service's side: believes only a broker whose certificate bears `broker_name`."""
    context = NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.expected = broker_name
    _prepare(context, files)
    return context


def _prepare(context: ssl.SSLContext, files: TlsFiles) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    load(context, files)


def load(context: ssl.SSLContext, files: TlsFiles) -> None:
    """Take certificate, key and chains; later handshakes of a context in use show the new ones.
    Raises UsageError."""
    files.check()
    try:
        context.load_cert_chain(files.certificate, files.key)
        for chain in files.chains:
            context.load_verify_locations(chain)
    except ssl.SSLError as error:
        raise UsageError(f"{files.certificate}: not a usable certificate: {error}") from error


def peer_certificate(tls: ssl.SSLObject | ssl.SSLSocket | None) -> x509.Certificate:
    """The certificate that the handshake has verified. Raises Refused when there is none."""
    der = tls.getpeercert(binary_form=True) if tls is not None else None
    if not der:
        raise Refused("expected a client certificate, got none")
    return x509.load_der_x509_certificate(der)


def client_name(certificate: x509.Certificate, issuers: list[list[x509.Certificate]]) -> str:
    """The one common name: a service's from the services' CA, a device id from the devices'.

    Raises Refused. `issuers`: as `TlsFiles.issuers`.
    """
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(names) != 1:
        raise Refused(f"expected one common name, got {len(names)}")
    name = str(names[0].value)
    if not acl.is_service(name) and not acl.DEVICE.fullmatch(name):
        raise Refused(f"expected a device id or a service as common name, got {name!r}")
    by_services = certificate.issuer in [one.subject for one in issuers[0]]
    if acl.is_service(name) != by_services:
        raise Refused(f"{name}: its certificate is from the CA for others")
    return name


class Revocations:
    """Certificate revocation lists in PEM files, read again when one changes.

    A list that is past its nextUpdate still counts: an old list must not stop sensing (T02), and
    `stale` lets the caller say so.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._seen: dict[Path, int] = {}
        self._lists: dict[Path, x509.CertificateRevocationList] = {}

    def is_revoked(self, certificate: x509.Certificate) -> bool:
        """True when a list of the certificate's issuer names its serial. Raises UsageError."""
        self._refresh()
        return any(
            crl.issuer == certificate.issuer
            and crl.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None
            for crl in self._lists.values()
        )

    def use(self, files: TlsFiles) -> None:
        """Look at these files from now on; what was read before still counts against older."""
        self._files = files
        for path in [path for path in self._lists if path not in files.crls]:
            del self._lists[path], self._seen[path]

    def _refresh(self) -> None:
        for path in self._files.crls:
            changed = path.stat().st_mtime_ns
            if self._seen.get(path) != changed:
                self._lists[path] = self._load(path)
                self._seen[path] = changed

    def _load(self, path: Path) -> x509.CertificateRevocationList:
        """A list signed by one of our CAs, never older than the one that it replaces (T02)."""
        try:
            crl = x509.load_pem_x509_crl(path.read_bytes())
        except ValueError as error:
            raise UsageError(f"{path}: not a revocation list") from error
        if not any(_signed_by(crl, issuer) for kind in self._files.issuers() for issuer in kind):
            raise UsageError(f"{path}: not signed by a CA of this fleet")
        known = self._lists.get(path)
        if known is not None and _number(crl) < _number(known):
            raise UsageError(f"{path}: revocation list {_number(crl)} is older than the last")
        return crl


def _signed_by(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    key = issuer.public_key()
    if crl.issuer != issuer.subject or not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    try:
        return crl.is_signature_valid(key)
    except InvalidSignature:
        return False


def _number(crl: x509.CertificateRevocationList) -> int:
    try:
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return 0
