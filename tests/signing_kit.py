"""Throw-away role keys, a trust document and a signed release for tests (LMS H5)."""

from dataclasses import dataclass, replace
from pathlib import Path

from host_tools.pki import names
from host_tools.signing import author, cose, keys, trust
from host_tools.signing.roles import ROLES

VENDOR = names.vendor_id("example.com")
BOARD = "rpi_pico_w"
CLASS = names.class_id(VENDOR, BOARD)
IMAGE = bytes(range(256)) * 40  # 10,240 bytes: two blocks and a half
ISSUED, EXPIRES = 1_800_000_000, 1_900_000_000
ANCHOR = b"\x30\x03\x02\x01\x01"  # any DER


def make_key(path: Path, alg: int) -> cose.PublicKey:
    """A fresh key for `alg` at `path`."""
    if alg == cose.HSS_LMS:
        return keys.create_lms(path, 5)
    return keys.create_esp256(path) if alg == cose.ESP256 else keys.create_ecdh(path)


@dataclass
class Kit:
    """All role keys in one folder and the document that names them."""

    folder: Path
    document: trust.TrustDocument

    def signer(self, role: str):
        return keys.load_signer(self.folder / role)

    def public(self, role: str) -> cose.PublicKey:
        return keys.load_public(self.folder / f"{role}.pub")

    def signed(self, document=None, *roles) -> bytes:
        """The signed document, by root or by the roles named."""
        payload = trust.encode_unchecked(document or self.document)
        return trust.sign(payload, [self.signer(role) for role in roles or ("root",)])

    def pins(self) -> bytes:
        return trust.pins(self.document, VENDOR, CLASS, BOARD)

    def manifest(self, image=IMAGE, sequence=7, security_version=2, **options) -> bytes:
        return author.build_manifest(
            image, sequence, security_version, "1.2.3", VENDOR, CLASS, **options
        )[0]

    def release(self, manifest=None, *roles) -> bytes:
        """The envelope, signed by release and approver or by the roles named."""
        signers = [self.signer(role) for role in roles or ("release", "approver")]
        return author.sign(manifest or self.manifest(), *signers)

    def with_role(self, number: int, threshold: int, *holders) -> trust.TrustDocument:
        """The document with another holder list for one role."""
        roles = {**self.document.roles, number: trust.Holders(threshold, tuple(holders))}
        return replace(self.document, roles=roles)


def make(folder: Path) -> Kit:
    """A kit in `folder`: one key a role, thresholds of 1."""
    roles = {
        role.number: trust.Holders(
            1, ((f"{role.name}-holder", make_key(folder / role.name, role.algorithms[0])),)
        )
        for role in ROLES
    }
    fleet = names.new_fleet_id()
    return Kit(folder, trust.TrustDocument(1, fleet, ISSUED, EXPIRES, roles, (ANCHOR,)))
