"""Where a CA keeps what it has: keys, certificates, chains, lists, the index; one folder.

    ca/<base>.key            PKCS#8, 0600, never overwritten; or a reference to a token (hsm)
    ca/<base>.pem            certificates
    ca/<base>.crl, .crl.pem  the current revocation list, DER and PEM
    ca/<kind>-chain.pem      what verifiers trust: each issuing CA of the kind, then their roots
    ca/index.json            what was issued and revoked, which generation is in use

A base is a kind (`root`, `devices`, `services`, `birth`), from its second generation on with a
number: `services-2`.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from host_tools.errors import Refused
from host_tools.pki import files, index, lock
from host_tools.pki.index import Index

Clock = Callable[[], datetime]


def base_name(kind: str, generation: int) -> str:
    return kind if generation == 1 else f"{kind}-{generation}"


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


class Shelf:
    """The folder of one CA."""

    def __init__(self, directory: Path, clock: Clock, passphrase: bytes | None) -> None:
        self.directory = directory
        self.clock = clock
        self._passphrase = passphrase

    @property
    def index_path(self) -> Path:
        return self.directory / "index.json"

    def key_path(self, base: str) -> Path:
        return self.directory / f"{base}.key"

    def certificate_path(self, base: str) -> Path:
        return self.directory / f"{base}.pem"

    def chain_path(self, kind: str) -> Path:
        return self.directory / f"{kind}-chain.pem"

    def crl_path(self, base: str) -> Path:
        return self.directory / f"{base}.crl"

    def crl_pem_path(self, base: str) -> Path:
        return self.directory / f"{base}.crl.pem"

    def index(self) -> Index:
        return index.load(self.index_path)

    def save(self, changed: Index) -> None:
        index.save(self.index_path, changed)

    def locked(self) -> AbstractContextManager[None]:
        return lock.held(self.directory / "lock", f"the CA {self.directory}")

    def now(self) -> int:
        return int(self.clock().timestamp())

    def bases(self, kind: str) -> list[str]:
        """Every generation that counts: the current one, the next, those that end."""
        return [base_name(kind, one) for one in self.index().generations_of(kind).all]

    def current(self, kind: str) -> str:
        return base_name(kind, self.index().generations_of(kind).current)

    def certificate(self, base: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate(
            files.read(self.certificate_path(base), f"certificate of the {base} CA")
        )

    def new_key(self, base: str) -> ec.EllipticCurvePrivateKey:
        key = ec.generate_private_key(ec.SECP256R1())
        files.write(self.key_path(base), files.private_pem(key, self._passphrase), secret=True)
        return key

    def key(self, base: str) -> ec.EllipticCurvePrivateKey:
        """The key of a CA, from its file or its token. Raises Refused when it is not here or
        needs a passphrase, DeviceError when its token is absent."""
        from host_tools.signing import hsm  # not at the top: most fleets have no token

        path = self.key_path(base)
        data = files.read(path, f"key of the {base} CA")
        if hsm.is_reference(data):
            return hsm.private_key(hsm.open(hsm.referred(data, path)))
        return files.load_private(data, path, self._passphrase)

    def write_chain(self, kind: str, bases: list[str]) -> None:
        """Each issuing CA of `bases`, then the root of each, once."""
        issuing = [self.certificate(base) for base in bases]
        roots: list[x509.Certificate] = []
        for certificate in issuing:
            root = self._root_of(certificate)
            if root not in roots:
                roots.append(root)
        text = b"".join(pem(certificate) for certificate in (*issuing, *roots))
        files.write(self.chain_path(kind), text, force=True)

    def _root_of(self, certificate: x509.Certificate) -> x509.Certificate:
        for base in self.bases("root"):
            root = self.certificate(base)
            if root.subject == certificate.issuer:
                return root
        raise Refused(f"the root that issued {certificate.subject.rfc4514_string()} is not here")
