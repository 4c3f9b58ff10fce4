"""New certificates for devices that are enrolled: by the CA here, or by one that is elsewhere.

    est/<device>.csr    a request that waits for `uward ca sign` or `uward ca est`
    est/<device>.cer    the newest certificate; given again to a device that asks again

Whoever calls knows who asks: by a sealed message, or by the certificate of a TLS client. `renew`
is for a key that the device has: a request that is answered twice does no harm. `rekey` is for a
new one, for which the old one vouches; both are the device's until `proved` is told that the new
one has signed something over a connection of its own.
"""

import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from host_tools.errors import Refused
from host_tools.fleet import device_keys, limits
from host_tools.fleet.inventory import ACTIVE, Device, Inventory
from host_tools.pki import csr, files, names
from host_tools.pki.ca import Ca
from host_tools.pki.index import refuse_foreign_key
from host_tools.signing.roles import RENEW_DOMAIN

FOLDER = "est"


class Registrar:
    """Answers requests of devices. `local`: the CA's key is here and signs at once."""

    def __init__(self, ca: Ca, inventory: Inventory, folder: Path, local: bool) -> None:
        self._ca = ca
        self._inventory = inventory
        self._folder = folder
        self._local = local

    def renew(self, device_id: str, csr_der: bytes) -> bytes | None:
        """The certificate (DER), or None while a CA elsewhere has not answered.

        Raises Refused for a device that is barred or revoked, and for another key than its own.
        """
        raw = self._check(device_id, csr_der)
        given = self._given(device_id)
        if given is not None and _certified(given) == raw:
            return given
        if not self._local:
            self._put(device_id, ".csr", csr_der)
            return None
        return self._issue(device_id, csr_der)

    def rekey(self, device_id: str, vouched: bytes) -> bytes | None:
        """As `renew`, for a new key. vouched: COSE_Sign1 by the present key over the request.

        Raises Refused also for a second new key within a day: each fills the index.
        """
        record = self._active(device_id)
        request, by = device_keys.verify1(vouched, record, RENEW_DOMAIN, "request")
        if by == record.next_public_key:  # it signs, so it has taken over
            record = self.proved(device_id, by)
        key = csr.check_possession(request, device_id)
        raw = _raw(key)
        if raw not in device_keys.keys(record):
            refuse_foreign_key(self._ca.shelf.index(), key, device_id, "device")
            given = self._given(device_id)
            if given is not None and _certified(given) == record.next_public_key:
                raise Refused("request: another new key was certified less than a day ago")
            self._inventory.change(device_id, next_public_key=raw)
        return self.renew(device_id, request)

    def proved(self, device_id: str, raw: str) -> Device:
        """A key has signed for the device; when it is the new one, it takes over and what the
        device had for others is revoked. -> the record."""
        record = self._active(device_id)
        if raw != record.next_public_key:
            return record
        changed = self._inventory.change(
            device_id,
            identity_public_key=raw,
            next_public_key="",
            former_public_key=record.identity_public_key,
        )
        self._ca.supersede(device_id, device_keys.point(raw, device_id))
        return changed

    def taken_over(self, before: Device) -> bool:
        """Whether another key is the identity key than in this record."""
        now = self._inventory.get(before.id)
        return now is not None and now.identity_public_key != before.identity_public_key

    def waiting(self) -> list[tuple[str, bytes]]:
        """(device id, request) of those that wait, each checked again; others are left out."""
        found = [(path.stem, path.read_bytes()) for path in sorted(self._folder.glob("*.csr"))]
        return [pair for pair in found if names.DEVICE_ID.fullmatch(pair[0])]

    def sign(self, device_id: str, csr_der: bytes) -> bytes:
        """Have the CA here sign a request that waited. Raises Refused."""
        self._check(device_id, csr_der)
        return self._issue(device_id, csr_der)

    def adopt(self, device_id: str, csr_der: bytes, certificate: x509.Certificate) -> None:
        """Keep what a CA elsewhere has signed. Raises Refused."""
        self._check(device_id, csr_der)
        self._ca.adopt(certificate, device_id)
        self._answered(device_id, certificate.public_bytes(serialization.Encoding.DER))

    def ready(self) -> dict[str, int]:
        """device id -> when its newest certificate came, nanoseconds."""
        return {path.stem: path.stat().st_mtime_ns for path in self._folder.glob("*.cer")}

    def certificate(self, device_id: str) -> bytes | None:
        """The newest certificate of a device (DER), if one was made here lately."""
        return self._given(device_id)

    def _active(self, device_id: str) -> Device:
        record = self._inventory.get(device_id)
        if record is None:
            raise Refused(f"{device_id}: not a device of this fleet")
        if record.status != ACTIVE:
            raise Refused(f"{device_id} is {record.status}: it gets no certificate")
        self._ca.standing(device_id)
        return record

    def _check(self, device_id: str, csr_der: bytes) -> str:
        """-> the key of a request, which is one of the device's."""
        record = self._active(device_id)
        raw = _raw(csr.check_possession(csr_der, device_id))
        if raw not in device_keys.keys(record):
            raise Refused(f"request: expected the key that {device_id} was enrolled with")
        return raw

    def _issue(self, device_id: str, csr_der: bytes) -> bytes:
        made = self._ca.renew_device(csr_der, device_id, rekey=True)  # the record has its key
        self._answered(device_id, made)
        return made

    def _given(self, device_id: str) -> bytes | None:
        """What was made within a day: the same answer again, so that nobody fills the index."""
        path = self._folder / f"{device_id}.cer"
        if not path.is_file():
            return None
        made = path.read_bytes()
        record = self._inventory.get(device_id)
        fresh = time.time() - path.stat().st_mtime < limits.CERTIFICATE_AGAIN_S
        if not fresh or record is None or _certified(made) not in device_keys.keys(record):
            return None
        revoked = self._ca.is_revoked(x509.load_der_x509_certificate(made))
        return None if revoked else made

    def _answered(self, device_id: str, made: bytes) -> None:
        self._put(device_id, ".cer", made)
        (self._folder / f"{device_id}.csr").unlink(missing_ok=True)

    def _put(self, device_id: str, suffix: str, data: bytes) -> None:
        files.write(self._folder / f"{device_id}{suffix}", data, force=True)


def _certified(made: bytes) -> str:
    """The key of a certificate, "" for one that is not of a device's kind."""
    key = x509.load_der_x509_certificate(made).public_key()
    return _raw(key) if isinstance(key, ec.EllipticCurvePublicKey) else ""


def _raw(key: ec.EllipticCurvePublicKey) -> str:
    """x | y in hex, as the inventory has it."""
    form = serialization.PublicFormat.UncompressedPoint
    return key.public_bytes(serialization.Encoding.X962, form)[1:].hex()
