"""New certificates for devices that are enrolled: by the CA here, or by one that is elsewhere.

    est/<device>.csr    a request that waits for `uward ca sign` or `uward ca est`
    est/<device>.cer    the newest certificate; given again to a device that asks again

Whoever calls knows who asks: by a sealed message, or by the certificate of a TLS client. What is
asked for is always the same: a certificate for the key that the device was enrolled with, under
its own name. So a request that is answered twice does no harm.
"""

import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from host_tools.errors import Refused
from host_tools.fleet import limits
from host_tools.fleet.inventory import ACTIVE, Inventory
from host_tools.pki import csr, files, names
from host_tools.pki.ca import Ca

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
        self._check(device_id, csr_der)
        given = self._given(device_id)
        if given is not None:
            return given
        if not self._local:
            self._put(device_id, ".csr", csr_der)
            return None
        made = self._ca.renew_device(csr_der, device_id)
        self._put(device_id, ".cer", made)
        return made

    def waiting(self) -> list[tuple[str, bytes]]:
        """(device id, request) of those that wait, each checked again; others are left out."""
        found = [(path.stem, path.read_bytes()) for path in sorted(self._folder.glob("*.csr"))]
        return [pair for pair in found if names.DEVICE_ID.fullmatch(pair[0])]

    def sign(self, device_id: str, csr_der: bytes) -> bytes:
        """Have the CA here sign a request that waited. Raises Refused."""
        self._check(device_id, csr_der)
        made = self._ca.renew_device(csr_der, device_id)
        self._answered(device_id, made)
        return made

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

    def _check(self, device_id: str, csr_der: bytes) -> None:
        record = self._inventory.get(device_id)
        if record is None:
            raise Refused(f"{device_id}: not a device of this fleet")
        if record.status != ACTIVE:
            raise Refused(f"{device_id} is {record.status}: it gets no certificate")
        self._ca.standing(device_id)
        key = csr.check_possession(csr_der, device_id)
        if _raw(key) != record.identity_public_key:
            raise Refused(f"request: expected the key that {device_id} was enrolled with")

    def _given(self, device_id: str) -> bytes | None:
        """What was made within a day: the same answer again, so that nobody fills the index."""
        path = self._folder / f"{device_id}.cer"
        if not path.is_file():
            return None
        made = path.read_bytes()
        certificate = x509.load_der_x509_certificate(made)
        record, key = self._inventory.get(device_id), certificate.public_key()
        if record is None or not isinstance(key, ec.EllipticCurvePublicKey):
            return None
        fresh = time.time() - path.stat().st_mtime < limits.CERTIFICATE_AGAIN_S
        same = _raw(key) == record.identity_public_key
        return made if fresh and same and not self._ca.is_revoked(certificate) else None

    def _answered(self, device_id: str, made: bytes) -> None:
        self._put(device_id, ".cer", made)
        (self._folder / f"{device_id}.csr").unlink(missing_ok=True)

    def _put(self, device_id: str, suffix: str, data: bytes) -> None:
        files.write(self._folder / f"{device_id}{suffix}", data, force=True)


def _raw(key: ec.EllipticCurvePublicKey) -> str:
    """x | y in hex, as the inventory has it."""
    form = serialization.PublicFormat.UncompressedPoint
    return key.public_bytes(serialization.Encoding.X962, form)[1:].hex()
