"""The fleet's certificate authority: an offline root and two issuing CAs, in one directory.

`devices` certifies devices, `services` the broker and the services' clients (S11): so a stolen
device certificate never passes for a broker, whatever a verifier forgets to check. After
`create` the root's key is not needed any more until an issuing CA is renewed: take `root.key`
off this machine.

    ca/{root,devices,services}.key      PKCS#8, 0600, never overwritten
    ca/{root,devices,services}.pem      certificates
    ca/{devices,services}-chain.pem     issuing CA and root: what verifiers trust
    ca/{devices,services}.crl, .crl.pem the current revocation list, DER and PEM
    ca/index.json                       what was issued and revoked
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from host_tools.errors import Refused, UsageError
from host_tools.pki import csr, files, index, lock, names, profiles
from host_tools.pki.index import Index, Issued

ROOT, DEVICES, SERVICES = "root", "devices", "services"
ISSUING = (DEVICES, SERVICES)
REASONS = ("unspecified", "keyCompromise", "superseded", "cessationOfOperation")

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0)


class Ca:
    """The CA in `directory`. Every change is made under its lock and written whole."""

    def __init__(
        self, directory: Path, clock: Clock = utc_now, passphrase: bytes | None = None
    ) -> None:
        self.directory = directory
        self._clock = clock
        self._passphrase = passphrase

    @classmethod
    def create(
        cls,
        directory: Path,
        fleet: str,
        clock: Clock = utc_now,
        passphrase: bytes | None = None,
    ) -> "Ca":
        """Make all three CAs and their first CRLs. Raises Refused when there is one already."""
        ca = cls(directory, clock, passphrase)
        for name in (ROOT, *ISSUING):
            files.refuse_existing(ca.key_path(name))
        start = clock() - profiles.BACKDATE
        root_key = ca._new_key(ROOT)
        root = profiles.make(profiles.root(fleet, root_key.public_key()), None, root_key, start)
        files.write(ca.certificate_path(ROOT), pem(root))
        for name in ISSUING:
            request = profiles.issuing(fleet, name, ca._new_key(name).public_key())
            certificate = profiles.make(request, root, root_key, start)
            files.write(ca.certificate_path(name), pem(certificate))
            files.write(ca.chain_path(name), pem(certificate) + pem(root))
        index.save(ca._index_path, Index())
        for name in ISSUING:
            ca.renew_crl(name)
        return ca

    @classmethod
    def open(
        cls, directory: Path, clock: Clock = utc_now, passphrase: bytes | None = None
    ) -> "Ca":
        """The CA in `directory`. Raises Refused when it is not there."""
        ca = cls(directory, clock, passphrase)
        index.load(ca._index_path)
        return ca

    def issue_device(
        self, csr_der: bytes, nonce: bytes, device_id: str, replace: bool = False
    ) -> bytes:
        """A device certificate (DER) for a request that holds `nonce` (32 bytes).

        A second request for an id is refused unless `replace`, which revokes the first (S8).
        Raises Refused.
        """
        key = csr.check(csr_der, nonce, names.check_device_id(device_id))
        with self._locked():
            before = self._index()
            earlier = before.of("device", device_id)
            if earlier and not replace:
                raise Refused(
                    f"device {device_id} has a certificate already (serial {earlier[-1].serial})",
                    "--replace issues a new one and revokes the old",
                )
            _refuse_foreign_key(before, key, device_id)
            certificate = self._make(DEVICES, profiles.device(device_id, key))
            after = before.with_issued(_entry(certificate, DEVICES, "device", device_id))
            for item in earlier:
                after = after.with_revoked(item.serial, self._now(), "superseded")
            index.save(self._index_path, after)
        if earlier:
            self.renew_crl(DEVICES)
        return certificate.public_bytes(serialization.Encoding.DER)

    def issue_broker(
        self,
        key: ec.EllipticCurvePublicKey,
        name: str,
        dns: Sequence[str] = (),
        addresses: Sequence[str] = (),
        start: datetime | None = None,
    ) -> x509.Certificate:
        """A broker certificate for these DNS names and IP addresses; `start`: notBefore."""
        return self._issue_service("broker", profiles.broker(name, key, dns, addresses), start)

    def issue_client(
        self, key: ec.EllipticCurvePublicKey, name: str, start: datetime | None = None
    ) -> x509.Certificate:
        """A client certificate for a service such as `collector`."""
        if names.DEVICE_ID.fullmatch(name):
            raise UsageError(f"service: {name!r} could be a device id, choose a shorter name")
        return self._issue_service("client", profiles.service(name, key), start)

    def revoke(self, serial: str, reason: str = "unspecified") -> bytes:
        """Revoke by serial (hex) and publish; returns the issuer's new CRL (DER)."""
        if reason not in REASONS:
            raise UsageError(f"reason: expected one of {', '.join(REASONS)}, got {reason!r}")
        with self._locked():
            changed = self._index().with_revoked(serial, self._now(), reason)
            index.save(self._index_path, changed)
        issuer = next(item.issuer for item in changed.issued if item.serial == serial)
        return self.renew_crl(issuer)

    def revoke_device(self, device_id: str, reason: str = "unspecified") -> bytes:
        """Revoke every certificate of a device; returns the new CRL (DER). Raises Refused."""
        found = self._index().of("device", device_id)
        if not found:
            raise Refused(f"device {device_id}: no certificate was issued here")
        crl = b""
        for item in found:
            crl = self.revoke(item.serial, reason)
        return crl

    def renew_crl(self, issuer: str) -> bytes:
        """A new CRL of `devices` or `services` (DER), its number one higher; also on disk."""
        with self._locked():
            changed, number = self._index().with_next_crl(issuer)
            crl = self._make_crl(issuer, changed, number)
            # The index first: a number is never used for two lists, at worst one is skipped.
            index.save(self._index_path, changed)
            der = crl.public_bytes(serialization.Encoding.DER)
            files.write(self.crl_path(issuer), der, force=True)
            pem_bytes = crl.public_bytes(serialization.Encoding.PEM)
            files.write(self.crl_pem_path(issuer), pem_bytes, force=True)
        return der

    def issued(self) -> tuple[Issued, ...]:
        """Every certificate ever issued, oldest first."""
        return self._index().issued

    def certificate(self, name: str) -> x509.Certificate:
        """The certificate of `root`, `devices` or `services`."""
        return x509.load_pem_x509_certificate(
            files.read(self.certificate_path(name), f"certificate of the {name} CA")
        )

    def anchor(self) -> bytes:
        """DER of the services' issuing CA: what devices trust (trust document, key 6)."""
        return self.certificate(SERVICES).public_bytes(serialization.Encoding.DER)

    def key_path(self, name: str) -> Path:
        return self.directory / f"{name}.key"

    def certificate_path(self, name: str) -> Path:
        return self.directory / f"{name}.pem"

    def chain_path(self, name: str) -> Path:
        return self.directory / f"{name}-chain.pem"

    def crl_path(self, name: str) -> Path:
        return self.directory / f"{name}.crl"

    def crl_pem_path(self, name: str) -> Path:
        return self.directory / f"{name}.crl.pem"

    @property
    def _index_path(self) -> Path:
        return self.directory / "index.json"

    def _index(self) -> Index:
        return index.load(self._index_path)

    def _locked(self):
        return lock.held(self.directory / "lock", f"the CA {self.directory}")

    def _now(self) -> int:
        return int(self._clock().timestamp())

    def _new_key(self, name: str) -> ec.EllipticCurvePrivateKey:
        key = ec.generate_private_key(ec.SECP256R1())
        files.write(self.key_path(name), files.private_pem(key, self._passphrase), secret=True)
        return key

    def _key(self, name: str) -> ec.EllipticCurvePrivateKey:
        return files.load_private(
            files.read(self.key_path(name), f"key of the {name} CA"),
            self.key_path(name),
            self._passphrase,
        )

    def _make(
        self, issuer: str, request: profiles.Request, start: datetime | None = None
    ) -> x509.Certificate:
        begin = start or self._clock() - profiles.BACKDATE
        return profiles.make(request, self.certificate(issuer), self._key(issuer), begin)

    def _issue_service(
        self, kind: str, request: profiles.Request, start: datetime | None
    ) -> x509.Certificate:
        with self._locked():
            certificate = self._make(SERVICES, request, start)
            entry = _entry(certificate, SERVICES, kind, request.name)
            index.save(self._index_path, self._index().with_issued(entry))
        return certificate

    def _make_crl(self, issuer: str, book: Index, number: int) -> x509.CertificateRevocationList:
        now = self._clock()
        key = self._key(issuer)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate(issuer).subject)
            .last_update(now - profiles.BACKDATE)
            .next_update(now + profiles.CRL_LIFE)
            .add_extension(x509.CRLNumber(number), False)
            .add_extension(authority, False)
        )
        for item in book.issued:
            if item.issuer == issuer and item.revoked is not None:
                builder = builder.add_revoked_certificate(_revoked(item, item.revoked))
        return builder.sign(key, hashes.SHA256())


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def spki_hash(key: ec.EllipticCurvePublicKey) -> str:
    """SHA-256 of the SubjectPublicKeyInfo, hex."""
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return sha256(key.public_bytes(serialization.Encoding.DER, spki)).hexdigest()


def _entry(certificate: x509.Certificate, issuer: str, kind: str, name: str) -> Issued:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Refused(f"certificate for {name}: expected a P-256 key")
    return Issued(
        f"{certificate.serial_number:040x}",
        issuer,
        kind,
        name,
        spki_hash(key),
        int(certificate.not_valid_before_utc.timestamp()),
        int(certificate.not_valid_after_utc.timestamp()),
    )


def _refuse_foreign_key(book: Index, key: ec.EllipticCurvePublicKey, device_id: str) -> None:
    same = [item for item in book.issued if item.key == spki_hash(key) and item.name != device_id]
    if same:
        raise Refused(f"request: this key is that of {same[0].name} already: a clone?")


def _revoked(item: Issued, when: int) -> x509.RevokedCertificate:
    builder = (
        x509.RevokedCertificateBuilder()
        .serial_number(int(item.serial, 16))
        .revocation_date(datetime.fromtimestamp(when, timezone.utc))
    )
    if item.reason and item.reason != "unspecified":  # RFC 5280 5.3.1: absent, not 0
        builder = builder.add_extension(x509.CRLReason(x509.ReasonFlags(item.reason)), False)
    return builder.build()
