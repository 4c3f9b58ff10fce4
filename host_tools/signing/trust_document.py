"""What a trust document says (SPEC 4, S7): its payload, made, read and checked; no signatures."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from host_tools.errors import Refused
from host_tools.signing import cose
from host_tools.signing.cose import PublicKey
from host_tools.signing.roles import APPROVER, BY_NUMBER, RELEASE, ROOT, Role

VERSION, FLEET, ISSUED, EXPIRES, ROLES, ANCHORS, REVOKED, PREVIOUS = 1, 2, 3, 4, 5, 6, 7, 8
RESETS_CLOCK = 9
REQUIRED = {VERSION, FLEET, ISSUED, EXPIRES, ROLES, ANCHORS}
FLEET_SIZE = 16  # bytes
THUMBPRINT_SIZE = 32  # bytes
MAX_ANCHORS = 2  # current and next issuing CA of the services
MAX_KEYS = 8  # of one role; what devices take
MAX_REVOKED = 32  # thumbprints; what devices take
MAX_U32 = (1 << 32) - 1


@dataclass(frozen=True)
class Holders:
    """The keys of one role, each with its holder's name, and how many holders must sign."""

    threshold: int
    keys: tuple[tuple[str, PublicKey], ...]


@dataclass(frozen=True)
class TrustDocument:
    """The payload of a trust document. `roles` is by role number; times are unix seconds.

    previous: `digest` of the version before, which chains them (S1); None in version 1.
    resets_clock: devices take their clock's floor back to `issued` (S10).
    """

    version: int
    fleet_id: bytes
    issued: int
    expires: int
    roles: Mapping[int, Holders]
    anchors: tuple[bytes, ...]
    revoked: tuple[bytes, ...] = ()
    previous: bytes | None = None
    resets_clock: bool = False

    def holders(self, role: Role) -> Holders:
        """The role's keys without the revoked ones. Raises Refused when nobody holds it."""
        if role.number not in self.roles:
            raise Refused(f"trust document {self.version}: nobody holds role {role.name}")
        held = self.roles[role.number]
        left = tuple(item for item in held.keys if item[1].thumbprint not in self.revoked)
        return Holders(held.threshold, left)


def encode_payload(document: TrustDocument) -> bytes:
    """The payload's bytes. Raises Refused for a document that no device would take."""
    check(document)
    return encode_unchecked(document)


def encode_unchecked(document: TrustDocument) -> bytes:
    """As `encode_payload`, but says whatever it is told: for tests of the device's refusals."""
    body: dict[int, Any] = {
        VERSION: document.version,
        FLEET: document.fleet_id,
        ISSUED: document.issued,
        EXPIRES: document.expires,
        ROLES: {
            number: cose.encode([held.threshold, [[name, key.members] for name, key in held.keys]])
            for number, held in document.roles.items()
        },
        ANCHORS: list(document.anchors),
    }
    if document.revoked:
        body[REVOKED] = list(document.revoked)
    if document.previous is not None:
        body[PREVIOUS] = document.previous
    if document.resets_clock:
        body[RESETS_CLOCK] = True
    return cose.encode(body)


def digest(document: TrustDocument) -> bytes:
    """SHA-256 of the payload: what the next version and the boot record name it by."""
    return sha256(encode_unchecked(document)).digest()


def parse(payload: bytes) -> TrustDocument:
    """The document in a payload. Raises Refused for one that breaks a rule of SPEC 4."""
    what = "trust document"
    body = cose.mapping(cose.decode(payload, what), what)
    if set(body) - {REVOKED, PREVIOUS, RESETS_CLOCK} != REQUIRED:
        raise Refused(f"{what}: expected keys 1 to 6 and perhaps 7 to 9, got {list(body)}")
    if body.get(RESETS_CLOCK, True) is not True:
        raise Refused(f"{what}: expected true as key 9, or none")
    roles = cose.mapping(body[ROLES], f"{what}: roles")
    if not all(type(body[key]) is int for key in (VERSION, ISSUED, EXPIRES)):
        raise Refused(f"{what}: version, issued and expires must be integers")
    if not isinstance(body[FLEET], bytes):
        raise Refused(f"{what}: the fleet id must be a byte string")
    document = TrustDocument(
        body[VERSION],
        body[FLEET],
        body[ISSUED],
        body[EXPIRES],
        {number: _holders(value, number) for number, value in roles.items()},
        _byte_strings(body[ANCHORS], f"{what}: CA certificates"),
        _byte_strings(body.get(REVOKED, []), f"{what}: revoked keys"),
        body.get(PREVIOUS),
        RESETS_CLOCK in body,
    )
    check(document)
    return document


def check(document: TrustDocument) -> None:
    """Raise Refused for the first rule of SPEC 4 that the document breaks."""
    what = f"trust document {document.version}"
    if not 1 <= document.version <= MAX_U32:
        raise Refused(f"{what}: the version is a u32 from 1")
    if len(document.fleet_id) != FLEET_SIZE:
        raise Refused(f"{what}: a fleet id has {FLEET_SIZE} bytes")
    if not 0 <= document.issued < document.expires <= MAX_U32:
        raise Refused(
            f"{what}: expected issued < expires, got {document.issued} and {document.expires}"
        )
    if not 1 <= len(document.anchors) <= MAX_ANCHORS:
        raise Refused(f"{what}: expected 1 to {MAX_ANCHORS} CA certificates")
    if len(document.revoked) > MAX_REVOKED:
        raise Refused(f"{what}: at most {MAX_REVOKED} revoked keys, got {len(document.revoked)}")
    if any(len(item) != THUMBPRINT_SIZE for item in document.revoked):
        raise Refused(f"{what}: a revoked key is named by its thumbprint, 32 bytes")
    if document.version == 1:
        chained = document.previous is None
    else:
        chained = isinstance(document.previous, bytes) and len(document.previous) == 32
    if not chained:
        raise Refused(f"{what}: every version but the first names the digest of the one before")
    _check_roles(document, what)


def _check_roles(document: TrustDocument, what: str) -> None:
    seen: set[bytes] = set()
    for number, held in document.roles.items():
        if number not in BY_NUMBER:
            raise Refused(f"{what}: there is no role {number}")
        role = BY_NUMBER[number]
        if len(held.keys) > MAX_KEYS:
            raise Refused(f"{what}: role {role.name} has more than {MAX_KEYS} keys")
        if not 1 <= held.threshold <= len(held.keys):
            raise Refused(
                f"{what}: role {role.name} has a threshold of {held.threshold} "
                f"with {len(held.keys)} keys"
            )
        names = [name for name, _ in held.keys]
        if len(set(names)) != len(names):
            raise Refused(f"{what}: role {role.name} names a holder twice")
        for name, key in held.keys:
            if key.alg not in role.algorithms:
                algorithm = cose.ALGORITHMS[key.alg]
                raise Refused(f"{what}: role {role.name} takes no {algorithm} key ({name})")
            if key.thumbprint in seen:
                raise Refused(f"{what}: the key of {name} is there twice (one key: one role)")
            seen.add(key.thumbprint)
    for role in (ROOT, RELEASE, APPROVER):
        if role.number not in document.roles:
            raise Refused(f"{what}: nobody holds role {role.name}")
    # Without it, post-quantum updates rest on P-256 (S7).
    if all(key.alg != cose.HSS_LMS for _, key in document.roles[ROOT.number].keys):
        raise Refused(f"{what}: root needs at least one HSS-LMS key")


def _holders(value: object, number: object) -> Holders:
    what = f"trust document: role {number}"
    if not isinstance(value, bytes):
        raise Refused(f"{what}: must be a byte string")
    threshold, keys = cose.array(cose.decode(value, what), 2, what)
    if not isinstance(threshold, int):
        raise Refused(f"{what}: the threshold must be an integer")
    pairs = [cose.array(pair, 2, what) for pair in cose.items(keys, what)]
    if not all(isinstance(name, str) for name, _ in pairs):
        raise Refused(f"{what}: a holder's name must be text")
    return Holders(threshold, tuple((name, cose.public_key(key)) for name, key in pairs))


def _byte_strings(value: object, what: str) -> tuple[bytes, ...]:
    found = cose.items(value, what)
    if not all(isinstance(item, bytes) for item in found):
        raise Refused(f"{what}: expected byte strings")
    return tuple(found)
