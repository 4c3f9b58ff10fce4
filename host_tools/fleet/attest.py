"""Attestation judged (SPEC 13): a device's token in, its verdict out. Pure.

A token is an Entity Attestation Token (RFC 9711): COSE_Sign1 with ESP256 by the identity key that
the device was enrolled with. Nothing of it counts before the signature and the nonce are checked.
"""

import hashlib
import hmac
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from host_tools.errors import Refused
from host_tools.fleet import device_keys
from host_tools.fleet.inventory import Device
from host_tools.signing import cose
from host_tools.signing.roles import ATTEST_DOMAIN

PROFILE = "urn:uuid:51f3481b-b95b-542d-9c9f-4ca5790a91c3"
TRUSTED, DEVELOPMENT, UNKNOWN, CLONED = "TRUSTED", "DEVELOPMENT", "UNKNOWN", "CLONED"
STALE = "STALE"  # what the inventory makes of a verdict that grew old
STATES = ("factory", "development", "locked", "retiring")
CONSOLES = ("REPL", "closed", "service")
STAGE0 = ("boot.py", "main.py", "s0/image.mpy", "s0/stage0.mpy", "s0/pins")  # measurements 1..5
CBOR_FORMAT = 60  # application/cbor (RFC 7252 12.3)
UEID_RANDOM = b"\x01"  # RFC 9711 4.2.1
TOKEN_BYTES = 2048  # ours have about 800

# claims of RFC 9711 and RFC 8392, by their IANA numbers
IAT, NONCE, UEID, OEMID, HWMODEL, UPTIME = 6, 10, 256, 258, 259, 261
OEMBOOT, DBGSTAT, EAT_PROFILE, SWVERSION, MEASUREMENTS = 262, 263, 265, 271, 273
OWN = -70000
CLAIMS = {IAT, NONCE, UEID, OEMID, HWMODEL, UPTIME, OEMBOOT, DBGSTAT, EAT_PROFILE, SWVERSION}
ALL_CLAIMS = CLAIMS | {MEASUREMENTS, OWN}
MANIFEST, IMAGE, TRUST = 6, 7, 8  # measurements


@dataclass(frozen=True)
class Evidence:
    """What a token says, its signature and nonce checked. Digests are bytes; times unix s."""

    time: int
    ueid: bytes
    vendor: bytes
    model: bytes
    uptime: int
    version: str
    board: str
    unique_id: bytes
    state: int
    slot: str
    trial: bool
    sequence: int
    security_version: int
    floor: int
    trust_version: int
    generation: int
    key_source: str
    console: int
    firmware: str
    measured: Mapping[int, bytes]
    key: str = ""  # that signed it, x | y in hex

    @property
    def stage0(self) -> dict[str, str]:
        """Hex digests of stage 0's files; "" for a file that is not there."""
        return {name: self.measured[i].hex() for i, name in enumerate(STAGE0, 1)}


@dataclass(frozen=True)
class References:
    """What a device of this fleet may say of itself; made by `reference.load`.

    stage0: the sets of files, as `Evidence.stage0`, that builds of this board made; images:
    manifest digest -> SHA-256 of its image, of what this fleet signed; built: the images that
    `uward build` made here; trust: version -> digest of the document.
    """

    vendor: bytes
    model: bytes
    stage0: tuple[Mapping[str, str], ...]
    images: Mapping[bytes, bytes]
    built: frozenset[bytes]
    trust: Mapping[int, bytes]


@dataclass(frozen=True)
class Before:
    """What an earlier attestation of the same device proved: it never goes back."""

    floor: int = 0
    generation: int = 0


@dataclass(frozen=True)
class Verdict:
    """status: TRUSTED, DEVELOPMENT, UNKNOWN or CLONED; reasons say why it is not the first."""

    status: str
    reasons: tuple[str, ...] = field(default=())


def verify(token: bytes, record: Device, nonce: bytes) -> Evidence:
    """Signature, form and nonce. Raises Refused."""
    what = "attestation"
    if len(token) > TOKEN_BYTES:
        raise Refused(f"{what}: expected at most {TOKEN_BYTES} bytes, got {len(token)}")
    payload, key = device_keys.verify1(token, record, ATTEST_DOMAIN, what)
    claims = cose.mapping(cose.decode(payload, what), what)
    if set(claims) != ALL_CLAIMS:
        raise Refused(f"{what}: expected the claims of SPEC 13, got {sorted(claims, key=str)}")
    got = claims[NONCE]
    if not isinstance(got, bytes) or not hmac.compare_digest(got, nonce):
        raise Refused(f"{what}: the nonce is another than the one that was sent")
    if claims[EAT_PROFILE] != PROFILE:
        raise Refused(f"{what}: expected profile {PROFILE}, got {claims[EAT_PROFILE]!r}")
    return replace(_evidence(claims, what), key=key)


def judge(evidence: Evidence, record: Device, known: References, before: Before) -> Verdict:
    """Compare evidence with what this fleet built, signed and enrolled."""
    if evidence.unique_id.hex() != record.unique_id:
        reason = f"the keys of board {record.unique_id} speak from board {_id(evidence)}"
        return Verdict(CLONED, (reason,))
    checks = (
        _check_device(evidence, record, known),
        _check_stage0(evidence, known),
        _check_image(evidence, known),
        _check_trust(evidence, known),
        _check_progress(evidence, before),
    )
    reasons = tuple(reason for reason in checks if reason)
    if reasons:
        return Verdict(UNKNOWN, reasons)
    if evidence.state <= 1 or evidence.console == 0:
        return Verdict(DEVELOPMENT, ("its console is an open REPL",))
    return Verdict(TRUSTED)


def _check_device(evidence: Evidence, record: Device, known: References) -> str:
    expected = UEID_RANDOM + uuid.uuid5(uuid.UUID(bytes=known.model), record.id).bytes
    for what, got, wanted in (
        ("board", evidence.board, record.board),
        ("UEID", evidence.ueid, expected),
        ("vendor id", evidence.vendor, known.vendor),
        ("class id", evidence.model, known.model),
    ):
        if got != wanted:
            return f"{what} is {_shown(got)}, expected {_shown(wanted)}"
    return ""


def _check_stage0(evidence: Evidence, known: References) -> str:
    """All files of one build: parts of two builds were never made together."""
    if not known.stage0:
        return "no build of this fleet has reference values for stage 0"
    if evidence.stage0 in known.stage0:
        return ""
    nearest = max(known.stage0, key=lambda build: len(_same(build, evidence.stage0)))
    wrong = [name for name in STAGE0 if name not in _same(nearest, evidence.stage0)]
    return f"stage 0 is of no build of this fleet: {', '.join(wrong)} differ"


def _same(build: Mapping[str, str], found: Mapping[str, str]) -> set[str]:
    return {name for name, digest in build.items() if found.get(name) == digest}


def _check_image(evidence: Evidence, known: References) -> str:
    manifest = evidence.measured[MANIFEST]
    image = known.images.get(manifest)
    if image is None:
        return f"manifest {manifest.hex()[:16]} was not signed by this fleet"
    if image not in known.built:
        return f"image {image.hex()[:16]} was signed, but has no reference values here"
    if evidence.slot != "r" and evidence.measured.get(IMAGE) != image[:16]:
        return "the boot record names another image than the manifest"
    if evidence.security_version < evidence.floor:
        return f"security version {evidence.security_version} is below the floor {evidence.floor}"
    return ""


def _check_trust(evidence: Evidence, known: References) -> str:
    digest = known.trust.get(evidence.trust_version)
    if digest is None:
        return f"trust document {evidence.trust_version} is none of this fleet"
    if digest != evidence.measured[TRUST]:
        return f"trust document {evidence.trust_version} has another digest"
    return ""


def _check_progress(evidence: Evidence, before: Before) -> str:
    """A flash that was restored to an earlier day shows in what never goes back (S2, S3)."""
    if evidence.floor < before.floor:
        return f"security floor fell from {before.floor} to {evidence.floor}: a restored flash"
    if evidence.generation < before.generation:
        return (
            f"boot record fell from generation {before.generation} to {evidence.generation}: "
            "a restored flash"
        )
    return ""


def _evidence(claims: Mapping[int, Any], what: str) -> Evidence:
    own = cose.mapping(claims[OWN], f"{what}: own claims")
    if set(own) != set(range(1, 14)):
        raise Refused(f"{what}: expected own claims 1 to 13, got {sorted(own, key=str)}")
    version = cose.array(claims[SWVERSION], 1, f"{what}: version")[0]
    values: list[Any] = [claims[key] for key in (IAT, UEID, OEMID, HWMODEL, UPTIME)]
    values += [version, *(own[key] for key in range(1, 14))]
    found = Evidence(*values, measured=_measured(claims[MEASUREMENTS], what))
    for name, kind in Evidence.__annotations__.items():
        if name not in ("measured", "key") and type(getattr(found, name)) is not kind:
            raise Refused(f"{what}: {name} is of the wrong type")
    if found.slot not in ("a", "b", "r") or not 0 <= found.console < len(CONSOLES):
        raise Refused(f"{what}: expected a slot a, b or r and a console 0..2, got others")
    return found


def _measured(value: object, what: str) -> dict[int, bytes]:
    (pair,) = cose.array(value, 1, f"{what}: measurements")
    kind, content = cose.array(pair, 2, f"{what}: measurement")
    if kind != CBOR_FORMAT:
        raise Refused(f"{what}: expected measurements in CBOR, got content format {kind!r}")
    found = cose.mapping(cose.decode(content, what), what)
    if set(found) - {IMAGE} != set(range(1, 9)) - {IMAGE}:
        raise Refused(f"{what}: expected measurements 1 to 8, got {sorted(found, key=str)}")
    if not all(isinstance(digest, bytes) for digest in found.values()):
        raise Refused(f"{what}: expected digests as byte strings")
    return found


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """Hex SHA-256 of stage 0's files among `files` ({absolute path: content})."""
    return {name: hashlib.sha256(files["/" + name]).hexdigest() for name in STAGE0}


def _id(evidence: Evidence) -> str:
    return evidence.unique_id.hex() or "(none)"


def _shown(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else repr(value)
