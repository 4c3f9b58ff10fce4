"""Releases that devices must refuse, offered by a release server that somebody broke into.

`releases.publish` would not let them through, so they are laid into its folder behind its back.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from host_tools import keyring
from host_tools.fleet import releases
from host_tools.project import Project
from host_tools.signing import author

OTHER_CLASS = "esp32"


@dataclass(frozen=True)
class Case:
    """One attack: what it does, the event by which the device names its refusal."""

    title: str
    event: str
    make: Callable[["Material"], tuple[bytes, bytes]]  # -> (envelope, payload)
    logged: bool = False  # the intruder has role log too


@dataclass(frozen=True)
class Material:
    """What the intruder has: the fleet's signers for the insider's part, two good releases."""

    found: Project
    board: str
    image: bytes  # the newest good image
    sequence: int  # above everything that was released
    version: str
    old: Path  # folder of the first release: image.img and image.suit

    def manifest(self, class_id: bytes | None = None) -> bytes:
        made, _ = author.build_manifest(
            self.image,
            self.sequence,
            self.found.app.security_version,
            self.version,
            self.found.vendor_id,
            class_id or self.found.class_id(self.board),
        )
        return made

    def signed(self, manifest: bytes, *roles: str) -> bytes:
        witness = keyring.signed_envelopes(self.found)
        signers = [
            signer for role in roles for signer in keyring.signers(self.found, role, None, witness)
        ]
        return author.sign(manifest, *signers)


def _tampered(given: Material) -> tuple[bytes, bytes]:
    payload = bytearray(given.image)
    payload[len(payload) // 16] ^= 1  # early: each block is judged when it comes
    return given.signed(given.manifest(), "release", "approver"), bytes(payload)


def _one_role(given: Material) -> tuple[bytes, bytes]:
    return given.signed(given.manifest(), "release"), given.image


def _older(given: Material) -> tuple[bytes, bytes]:
    return (given.old / "image.suit").read_bytes(), (given.old / "image.img").read_bytes()


def _other_class(given: Material) -> tuple[bytes, bytes]:
    manifest = given.manifest(given.found.class_id(OTHER_CLASS))
    return given.signed(manifest, "release", "approver"), given.image


def _in_secret(given: Material) -> tuple[bytes, bytes]:
    return given.signed(given.manifest(), "release", "approver"), given.image


CASES = (
    Case("an image with one bit flipped", "upd.bad_digest", _tampered, logged=True),
    Case("an image signed by one role only", "upd.quorum", _one_role),
    Case("an older version, rightly signed", "upd.rollback", _older),
    Case("an image for another board class", "upd.wrong_class", _other_class),
    Case("a rightly signed image that is in no log", "upd.not_logged", _in_secret),
)


def plant(case: Case, given: Material) -> Path:
    """Lay the release of `case` where the service offers it from; returns its folder."""
    envelope, payload = case.make(given)
    if case.logged:
        signers = keyring.signers(given.found, "log", None, [])
        trust = keyring.current_trust(given.found)
        keyring.release_log(given.found).append(envelope, trust, signers)
    told = releases.describe(envelope, given.board)
    own = given.found.class_id(given.board).hex()
    release = replace(told, sequence=given.sequence, class_id=own)  # or it is offered to nobody
    home = given.found.folder("releases")
    releases.place(home, release, envelope, payload)
    return home / str(release.sequence)


def next_sequence(given: Material) -> Material:
    """The same material for one more release."""
    return replace(given, sequence=given.sequence + 1)
