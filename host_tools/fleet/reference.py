"""Reference values of attestation: `reference.json` beside each image that `uward build` makes.

They name no secret and may be copied between machines: a collector that did not build an image
needs its folder under build/ with this file and the signed envelope.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from host_tools import keyring
from host_tools.errors import HostError
from host_tools.fleet import attest
from host_tools.fleet.attest import References
from host_tools.project import Project
from host_tools.signing import author, suit, trust

FILE = "reference.json"


@dataclass(frozen=True)
class Reference:
    """One build: SHA-256 in hex of both images and of stage 0's files that any board shares."""

    board: str
    version: str
    sequence: int
    security_version: int
    image: str
    recovery: str
    stage0: Mapping[str, str]

    def encoded(self) -> bytes:
        """As a file: sorted, so that equal builds give equal bytes."""
        return json.dumps(asdict(self), indent=2, sort_keys=True).encode() + b"\n"


def stage0(files: Mapping[str, bytes]) -> dict[str, str]:
    """Digests of stage 0's files without the pins, which are a fleet's and not a build's."""
    return attest.digests({**files, "/s0/pins": b""}) | {"s0/pins": ""}


def load(found: Project, board: str) -> References:
    """What devices of `board` in this fleet may say. Damaged files are left out: they can only
    make a device unknown."""
    pins = sha256(keyring.first_pins(found, board)).hexdigest()
    builds = [one for one in _builds(found) if one.board == board]
    sets = {tuple(sorted({**one.stage0, "s0/pins": pins}.items())) for one in builds}
    documents = {
        version: sha256(trust.split(document)[0]).digest()
        for version, document in keyring.documents(found).items()
    }
    return References(
        found.vendor_id,
        found.class_id(board),
        tuple(dict(one) for one in sorted(sets)),
        _signed(found),
        frozenset(bytes.fromhex(name) for one in builds for name in (one.image, one.recovery)),
        documents,
    )


def _builds(found: Project) -> list[Reference]:
    return [
        one
        for path in sorted(found.folder("build").glob(f"*/*/{FILE}"))
        if (one := _read(path)) is not None
    ]


def _read(path: Path) -> Reference | None:
    try:
        one = Reference(**cast("dict[str, Any]", json.loads(path.read_text("utf-8"))))
        bytes.fromhex(one.image + one.recovery)
        return one if set(one.stage0) == set(attest.STAGE0) else None
    except (OSError, ValueError, TypeError):
        return None


def _signed(found: Project) -> dict[bytes, bytes]:
    """Manifest digest -> image digest of every envelope that this fleet has kept."""
    images: dict[bytes, bytes] = {}
    for envelope in keyring.signed_envelopes(found):
        try:
            taken = suit.parse(envelope)
            images[taken.digest] = author.image_digest(taken.manifest)
        except HostError:
            continue  # `uward doctor` names it
    return images
