"""The fleet's certificate authority: an offline root and three issuing CAs, in one folder.

`devices` certifies devices, `services` the broker and the services' clients (S11): so a stolen
device certificate never passes for a broker, whatever a verifier forgets to check. `birth` makes
birth certificates, which no broker trusts: they are good for enrolling again and for nothing else
(S10). After `create` the root's key is not needed any more until an issuing CA rolls over
(`rollover`): take `root.key` off this machine. Where what lies: `shelf`.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from host_tools.errors import HostError, Refused, UsageError
from host_tools.pki import csr, files, names, profiles, revoking
from host_tools.pki.index import Index, Issued, entry, refuse_foreign_key, spki_hash
from host_tools.pki.revoking import EXTERNAL
from host_tools.pki.shelf import Clock, Shelf, base_name, pem

ROOT, DEVICES, SERVICES, BIRTH = "root", "devices", "services", "birth"
ISSUING = (DEVICES, SERVICES, BIRTH)


def utc_now() -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0)


class Ca:
    """The CA in `directory`. Every change is made under its lock and written whole."""

    def __init__(
        self, directory: Path, clock: Clock = utc_now, passphrase: bytes | None = None
    ) -> None:
        self.directory = directory
        self.shelf = Shelf(directory, clock, passphrase)

    @classmethod
    def create(
        cls,
        directory: Path,
        fleet: str,
        clock: Clock = utc_now,
        passphrase: bytes | None = None,
    ) -> "Ca":
        """Make all CAs and their first CRLs. Raises Refused when there is one already."""
        ca = cls(directory, clock, passphrase)
        shelf = ca.shelf
        for name in (ROOT, *ISSUING):
            files.refuse_existing(shelf.key_path(name))
        shelf.save(Index())
        start = clock() - profiles.BACKDATE
        root_key = shelf.new_key(ROOT)
        root = profiles.make(profiles.root(fleet, root_key.public_key()), None, root_key, start)
        files.write(shelf.certificate_path(ROOT), pem(root))
        for name in ISSUING:
            request = profiles.issuing(fleet, name, shelf.new_key(name).public_key())
            certificate = profiles.make(request, root, root_key, start)
            files.write(shelf.certificate_path(name), pem(certificate))
            shelf.write_chain(name, [name])
            ca.renew_crl(name)
        return ca

    @classmethod
    def open(
        cls, directory: Path, clock: Clock = utc_now, passphrase: bytes | None = None
    ) -> "Ca":
        """The CA in `directory`. Raises Refused when it is not there."""
        ca = cls(directory, clock, passphrase)
        ca.shelf.index()
        return ca

    # devices

    def issue_device(
        self, csr_der: bytes, nonce: bytes, device_id: str, replace: bool = False
    ) -> bytes:
        """A device certificate (DER) for a request that holds `nonce` (32 bytes).

        A second request for an id is refused unless `replace`, which revokes the first (S8).
        Raises Refused.
        """
        key = csr.check(csr_der, nonce, names.check_device_id(device_id))
        return self._enrol("device", DEVICES, profiles.device(device_id, key), replace)

    def issue_birth(
        self,
        csr_der: bytes,
        nonce: bytes,
        device_id: str,
        unique_id: bytes,
        class_id: bytes,
        replace: bool = False,
    ) -> bytes:
        """A birth certificate (DER), as `issue_device`. unique_id: the board's own number."""
        key = csr.check(csr_der, nonce, names.check_device_id(device_id))
        request = profiles.birth(device_id, unique_id, class_id, key)
        return self._enrol("birth", BIRTH, request, replace)

    def renew_device(self, csr_der: bytes, device_id: str, rekey: bool = False) -> bytes:
        """A new certificate (DER) for a key that a device has; what it has goes on to its end.

        rekey: also for a new key, for which the caller has the old one's word. The caller knows
        who asks: by a sealed message or a TLS certificate. Raises Refused for another key, and
        for a device that was revoked or never enrolled.
        """
        key = csr.check_possession(csr_der, names.check_device_id(device_id))
        with self.shelf.locked():
            before = self.shelf.index()
            if rekey:
                self.standing(device_id, before)
                refuse_foreign_key(before, key, device_id, "device")
            elif spki_hash(key) not in [one.key for one in self.standing(device_id, before)]:
                raise Refused(f"request: expected the key that {device_id} was enrolled with")
            certificate = self._make(DEVICES, profiles.device(device_id, key))
            made = entry(certificate, self.shelf.current(DEVICES), "device", device_id)
            self.shelf.save(before.with_issued(made))
        return certificate.public_bytes(serialization.Encoding.DER)

    def adopt(self, certificate: x509.Certificate, device_id: str) -> None:
        """Note a certificate that a CA elsewhere has made for an enrolled device."""
        with self.shelf.locked():
            made = entry(certificate, EXTERNAL, "device", names.check_device_id(device_id))
            self.shelf.save(self.shelf.index().with_issued(made))

    def standing(self, device_id: str, book: Index | None = None) -> list[Issued]:
        """The certificates of a device that nobody revoked. Raises Refused when there is none."""
        known = (book or self.shelf.index()).of("device", device_id)
        if not known:
            raise Refused(f"device {device_id}: no certificate was issued here")
        if all(one.revoked is not None for one in known):
            raise Refused(f"device {device_id} is revoked ({known[-1].reason})")
        return [one for one in known if one.revoked is None]

    def _enrol(self, kind: str, issuer: str, request: profiles.Request, replace: bool) -> bytes:
        with self.shelf.locked():
            before = self.shelf.index()
            earlier = before.of(kind, request.name)
            if earlier and not replace:
                raise Refused(
                    f"device {request.name} has a certificate already "
                    f"(serial {earlier[-1].serial})",
                    "--replace issues a new one and revokes the old",
                )
            refuse_foreign_key(before, request.key, request.name, kind)
            certificate = self._make(issuer, request)
            made = entry(certificate, self.shelf.current(issuer), kind, request.name)
            after = before.with_issued(made)
            for item in earlier:
                after = after.with_revoked(item.serial, self.shelf.now(), "superseded")
            self.shelf.save(after)
        for base in {item.issuer for item in earlier}:
            self.renew_crl(base)
        return certificate.public_bytes(serialization.Encoding.DER)

    # services

    def issue_broker(
        self,
        key: ec.EllipticCurvePublicKey,
        name: str,
        dns: Sequence[str] = (),
        addresses: Sequence[str] = (),
        start: datetime | None = None,
        life: timedelta | None = None,
    ) -> x509.Certificate:
        """A broker certificate for these DNS names and IP addresses; `start`: notBefore."""
        request = profiles.broker(name, key, dns, addresses)
        return self._issue_service("broker", request, start, life)

    def issue_client(
        self,
        key: ec.EllipticCurvePublicKey,
        name: str,
        start: datetime | None = None,
        life: timedelta | None = None,
    ) -> x509.Certificate:
        """A client certificate for a service such as `collector`."""
        if names.DEVICE_ID.fullmatch(name):
            raise UsageError(f"service: {name!r} could be a device id, choose a shorter name")
        return self._issue_service("client", profiles.service(name, key), start, life)

    def _issue_service(
        self,
        kind: str,
        request: profiles.Request,
        start: datetime | None,
        life: timedelta | None,
    ) -> x509.Certificate:
        if life is not None:
            request = replace(request, life=life)
        with self.shelf.locked():
            certificate = self._make(SERVICES, request, start)
            made = entry(certificate, self.shelf.current(SERVICES), kind, request.name)
            self.shelf.save(self.shelf.index().with_issued(made))
        return certificate

    # revocation

    def revoke(self, serial: str, reason: str = "unspecified") -> bytes:
        """Revoke by serial (hex) and publish; returns the issuer's new CRL (DER)."""
        return revoking.serial(self.shelf, serial, reason)

    def revoke_device(self, device_id: str, reason: str = "unspecified") -> tuple[str, ...]:
        """Revoke all that a device has, also its birth; returns the issuers. Raises Refused."""
        return revoking.device(self.shelf, device_id, reason)

    def supersede(self, device_id: str, key: ec.EllipticCurvePublicKey) -> list[str]:
        """Revoke what a device had for other keys than this one, which has taken over; returns
        the CAs whose lists are to be signed elsewhere."""
        return revoking.other_keys(self.shelf, device_id, key)

    def is_revoked(self, certificate: x509.Certificate) -> bool:
        """Whether the index names it revoked, or does not know it."""
        return revoking.is_revoked(self.shelf, certificate)

    def renew_crl(self, issuer: str) -> bytes:
        """A new CRL of an issuing CA (DER), its number one higher; also on disk."""
        return revoking.renew_list(self.shelf, issuer)

    # what is here

    def issued(self) -> tuple[Issued, ...]:
        """Every certificate ever issued, oldest first."""
        return self.shelf.index().issued

    def certificate(self, kind: str) -> x509.Certificate:
        """The certificate of `root`, `devices`, `services` or `birth` that is in use."""
        return self.shelf.certificate(self.shelf.current(kind))

    def anchors(self) -> tuple[bytes, ...]:
        """DER of the services' issuing CAs, the current one first: what devices trust (trust
        document, key 6). Two while it rolls over."""
        generations = self.shelf.index().generations_of(SERVICES).all
        found = [self.shelf.certificate(base_name(SERVICES, one)) for one in generations[:2]]
        return tuple(one.public_bytes(serialization.Encoding.DER) for one in found)

    def anchor(self) -> bytes:
        """DER of the services' issuing CA that is in use."""
        return self.anchors()[0]

    def can_sign(self, kind: str) -> bool:
        """Whether the key of the CA in use can be had without asking anybody."""
        try:
            self.shelf.key(self.shelf.current(kind))
        except HostError:
            return False
        return True

    def key_path(self, base: str) -> Path:
        return self.shelf.key_path(base)

    def chain_path(self, kind: str) -> Path:
        return self.shelf.chain_path(kind)

    def crl_path(self, base: str) -> Path:
        return self.shelf.crl_path(base)

    def crl_pem_path(self, base: str) -> Path:
        return self.shelf.crl_pem_path(base)

    def _make(
        self, issuer: str, request: profiles.Request, start: datetime | None = None
    ) -> x509.Certificate:
        shelf = self.shelf
        base = shelf.current(issuer)
        begin = start or shelf.clock() - profiles.BACKDATE
        return profiles.make(request, shelf.certificate(base), shelf.key(base), begin)
