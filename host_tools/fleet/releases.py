"""Releases on disk (SPEC 5); `offers` says who may have them.

    releases/<sequence>/envelope.suit  payload  release.json  patch-<number>

A release is made whole in a hidden folder and renamed: it is there, or it is not. A file
`withdrawn` in it takes it back. What devices pull is judged by them; here only mistakes are
caught before a fleet sees them.
"""

import json
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from host_tools.errors import DeviceError, Refused, UsageError
from host_tools.fleet import limits
from host_tools.pki import files, names
from host_tools.signing import author, suit

log = logging.getLogger(__name__)
ENVELOPE, PAYLOAD, RECORD = "envelope.suit", "payload", "release.json"
WITHDRAWN = "withdrawn"
PATCH = "patch-%d"  # from 0, in the manifest's order
INSTALLED = "installed"  # in a slot, its trial comes
IMAGE, INTERPRETER = "image", "interpreter"  # components that are released
FINAL = ("refused", "reverted")  # what a device says of a release that it will not take


@dataclass(frozen=True)
class Release:
    """release.json: what `author.inspect` found in the envelope, and the board by name.

    device_identifier: SUIT's, in hex, of the only device that takes it; "" for all of the class.
    patches: their sizes in bytes; their blocks are numbered on from those of the payload.
    """

    sequence: int
    security_version: int
    version: str
    board: str
    class_id: str
    payload_id: str
    manifest_digest: str
    payload_size: int
    blocks: int
    encrypted: bool
    device_identifier: str = ""
    patches: tuple[int, ...] = ()
    component: str = IMAGE

    @property
    def all_blocks(self) -> int:
        return self.blocks + sum(-(-size // author.BLOCK_SIZE) for size in self.patches)

    @property
    def payload_key(self) -> bytes:
        return bytes.fromhex(self.payload_id)

    def fits(self, board: str, device: str) -> bool:
        """Whether it is for a device of this board with this id."""
        if self.board != board:
            return False
        if not self.device_identifier:
            return True
        mine = names.device_identifier(bytes.fromhex(self.class_id), device)
        return mine.hex() == self.device_identifier


def publish(
    folder: Path,
    envelope: bytes,
    payload: bytes,
    board: str,
    class_id: bytes,
    before: Callable[[], None] = lambda: None,
    patches: Sequence[bytes] = (),
) -> Release:
    """Put a signed release into `folder` for devices of `board`.

    The caller has judged the signatures (`author.verify`); `before` runs when all else is well,
    such as the release log's append. Raises Refused for another class, a
    payload that is not the manifest's, and a sequence that is not above the last one's.
    """
    for what, data, most in (
        ("envelope", envelope, limits.ENVELOPE_BYTES),
        ("payload", payload, limits.PAYLOAD_BYTES),
        *(("patch", patch, limits.PAYLOAD_BYTES) for patch in patches),
    ):
        if len(data) > most:
            raise Refused(f"{what}: expected at most {most} bytes, got {len(data)}")
    release = describe(envelope, board)
    if release.class_id != class_id.hex():
        raise Refused(
            f"the manifest is for class {release.class_id}, board {board} is {class_id.hex()}",
            "build and sign the image for this board and vendor",
        )
    manifest = suit.parse(envelope).manifest
    author.check_payload(manifest, payload)
    author.check_patches(manifest, patches)
    _refuse_old(folder, release)
    before()
    place(folder, release, envelope, payload, patches)
    return release


def describe(envelope: bytes, board: str) -> Release:
    """The record of an envelope. Raises Refused for a component that is not released."""
    found = author.inspect(envelope)
    if found["component"] not in (IMAGE, INTERPRETER):
        raise Refused(f"expected a manifest for the image, got one for {found['component']}")
    return Release(
        found["sequence"],
        found["security_version"],
        found["version"],
        board,
        found["class_id"],
        found["payload_id"],
        found["manifest_digest"],
        found["payload_size"],
        found["blocks"],
        found["encrypted_for"] is not None,
        found["device_identifier"] or "",
        tuple(one["size"] for one in found["deltas"]),
        found["component"],
    )


def withdraw(folder: Path, sequence: int) -> Release:
    """Take a release back: it is offered no more, and who is downloading it gives up.

    Who has installed it keeps it. Its sequence stays used. Raises Refused when there is none.
    """
    path = folder / str(sequence)
    if not (path / RECORD).is_file():
        raise Refused(f"there is no release {sequence}", f"{folder} holds those that there are")
    release = load(path / RECORD)
    files.write(path / WITHDRAWN, b"", force=True)
    return release


def _refuse_old(folder: Path, release: Release) -> None:
    last = max((r.sequence for r in load_all(folder)), default=0)
    if release.sequence <= last:
        raise Refused(
            f"sequence {release.sequence} is not above the last release's, {last}",
            "raise `sequence` in uward.toml, build and sign again",
        )


def place(
    folder: Path,
    release: Release,
    envelope: bytes,
    payload: bytes,
    patches: Sequence[bytes] = (),
) -> None:
    """Put a release into `folder` unjudged, whole or not at all: for `publish`, and for drills
    that need a bad one."""
    partial = folder / f".{release.sequence}.{os.getpid()}.tmp"
    text = json.dumps(asdict(release), indent=2) + "\n"
    try:
        files.write(partial / ENVELOPE, envelope)
        files.write(partial / PAYLOAD, payload)
        for number, patch in enumerate(patches):
            files.write(partial / (PATCH % number), patch)
        files.write(partial / RECORD, text.encode())
        os.rename(partial, folder / str(release.sequence))
        files.sync_directory(folder)
    except OSError as error:
        raise DeviceError(f"{folder}: cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def load_all(folder: Path) -> list[Release]:
    """Every release in `folder`, oldest first. Raises UsageError for a damaged record."""
    found = [path for path in folder.glob("*/" + RECORD) if path.parent.name.isdecimal()]
    return sorted((load(path) for path in found), key=lambda release: release.sequence)


def load(path: Path) -> Release:
    """One release by its record. Raises UsageError for a damaged one."""
    try:
        data = cast("dict[str, Any]", json.loads(path.read_text("utf-8")))
        release = Release(**data)
        release = replace(release, patches=tuple(release.patches))  # JSON has lists only
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{path}: not a release record: {error}") from error
    if path.parent.name != str(release.sequence):
        raise UsageError(f"{path}: expected the folder {release.sequence}")
    return release
