"""Trust documents (SPEC 4, S7): who holds which role, made, signed and judged on the host.

Independent of the device's own code: both are written from SPEC and tested against each other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from cbor2 import CBORTag

from host_tools.errors import Refused
from host_tools.signing import cose
from host_tools.signing.cose import PublicKey, Signer
from host_tools.signing.roles import BY_NUMBER, ROOT, TRUST_DOMAIN, Role

VERSION, FLEET, ISSUED, EXPIRES, ROLES, ANCHORS, REVOKED, PREVIOUS = 1, 2, 3, 4, 5, 6, 7, 8
REQUIRED = {VERSION, FLEET, ISSUED, EXPIRES, ROLES, ANCHORS}
FLEET_SIZE = 16  # bytes
THUMBPRINT_SIZE = 32  # bytes
MAX_ANCHORS = 2  # current and next issuing CA of the services
MAX_U32 = (1 << 32) - 1
PINS_FORMAT = 1


@dataclass(frozen=True)
class Holders:
    """The keys of one role, each with its holder's name, and how many holders must sign."""

    threshold: int
    keys: tuple[tuple[str, PublicKey], ...]


@dataclass(frozen=True)
class TrustDocument:
    """The payload of a trust document. `roles` is by role number; times are unix seconds.

    previous: `digest` of the version before, which chains them (S1); None in version 1.
    """

    version: int
    fleet_id: bytes
    issued: int
    expires: int
    roles: Mapping[int, Holders]
    anchors: tuple[bytes, ...]
    revoked: tuple[bytes, ...] = ()
    previous: bytes | None = None

    def holders(self, role: Role) -> Holders:
        """The role's keys without the revoked ones. Raises Refused when nobody holds it."""
        if role.number not in self.roles:
            raise Refused(f"trust document {self.version}: nobody holds role {role.name}")
        held = self.roles[role.number]
        left = tuple(item for item in held.keys if item[1].thumbprint not in self.revoked)
        return Holders(held.threshold, left)


@dataclass(frozen=True)
class Block:
    """One signature of a COSE object: its algorithm, the kid (a hint) and the bytes."""

    alg: int
    kid: bytes
    signature: bytes


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
            number: [held.threshold, [[name, key.members] for name, key in held.keys]]
            for number, held in document.roles.items()
        },
        ANCHORS: list(document.anchors),
    }
    if document.revoked:
        body[REVOKED] = list(document.revoked)
    if document.previous is not None:
        body[PREVIOUS] = document.previous
    return cose.encode(body)


def digest(document: TrustDocument) -> bytes:
    """SHA-256 of the payload: what the next version and the boot record name it by."""
    return sha256(encode_unchecked(document)).digest()


def sign(payload: bytes, signers: Iterable[Signer]) -> bytes:
    """The payload with one signature a signer: the trust document as devices take it."""
    envelope = _envelope(payload, [])
    for signer in signers:
        envelope = add_signature(envelope, signer)
    return envelope


def add_signature(envelope: bytes, signer: Signer) -> bytes:
    """The document with one more signature, for instance of a second root holder."""
    payload, blocks = split(envelope)
    signature = signer.sign(to_be_signed(payload, signer.public.alg))
    return _envelope(payload, [*blocks, Block(signer.public.alg, signer.public.kid, signature)])


def to_be_signed(payload: bytes, alg: int) -> bytes:
    """What a holder's key signs (RFC 9052 4.4, with our domain string)."""
    return cose.sig_structure(cose.protected_header(alg), payload, TRUST_DOMAIN)


def split(envelope: bytes) -> tuple[bytes, list[Block]]:
    """Payload and signatures of a document. Raises Refused when it is not one."""
    what = "trust document"
    body = cose.tagged(envelope, cose.TAG_SIGN, 4, what)
    if body[0] != b"" or cose.mapping(body[1], what):
        raise Refused(f"{what}: the body's headers must be empty")
    if not isinstance(body[2], bytes):
        raise Refused(f"{what}: the payload must be a byte string")
    blocks = [_block(item, what) for item in cose.items(body[3], what)]
    _check_blocks(blocks, what)
    return body[2], blocks


def parse(payload: bytes) -> TrustDocument:
    """The document in a payload. Raises Refused for one that breaks a rule of SPEC 4."""
    what = "trust document"
    body = cose.mapping(cose.decode(payload, what), what)
    if set(body) - {REVOKED, PREVIOUS} != REQUIRED:
        raise Refused(f"{what}: expected keys 1 to 6 and perhaps 7 and 8, got {sorted(body)}")
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
    if not 0 <= document.issued < document.expires:
        raise Refused(f"{what}: it expires ({document.expires}) before it is issued")
    if not 1 <= len(document.anchors) <= MAX_ANCHORS:
        raise Refused(f"{what}: expected 1 to {MAX_ANCHORS} CA certificates")
    if any(len(item) != THUMBPRINT_SIZE for item in document.revoked):
        raise Refused(f"{what}: a revoked key is named by its thumbprint, 32 bytes")
    if document.version == 1:
        chained = document.previous is None
    else:
        chained = isinstance(document.previous, bytes) and len(document.previous) == 32
    if not chained:
        raise Refused(f"{what}: every version but the first names the digest of the one before")
    _check_roles(document, what)


def verify_first(envelope: bytes, pinned: bytes) -> TrustDocument:
    """Judge the first document of a device by its pins (`/s0/pins`). Raises Refused."""
    payload, blocks = split(envelope)
    document = parse(payload)
    body = cose.mapping(cose.decode(pinned, "pins"), "pins")
    threshold, thumbprints = cose.array(body.get(4), 2, "pins: root")
    if body.get(5) != document.fleet_id:
        raise Refused("trust document: it is of another fleet than the pins")
    root = document.holders(ROOT)
    if {key.thumbprint for _, key in root.keys} - set(thumbprints):
        raise Refused("trust document: a root key is not among the pinned ones")
    held = Holders(max(threshold, root.threshold), root.keys)
    _quorum(payload, blocks, held, "the pins' root")
    return document


def verify_next(envelope: bytes, current: TrustDocument) -> TrustDocument:
    """Judge a successor: both root thresholds, version + 1, same fleet. Raises Refused."""
    payload, blocks = split(envelope)
    document = parse(payload)
    if document.version != current.version + 1:
        raise Refused(
            f"trust document: expected version {current.version + 1}, got {document.version}",
            "versions are applied one by one",
        )
    if document.fleet_id != current.fleet_id:
        raise Refused("trust document: it is of another fleet")
    if document.previous != digest(current):
        raise Refused("trust document: it does not follow the one in force")
    _quorum(payload, blocks, current.holders(ROOT), f"version {current.version}'s root")
    _quorum(payload, blocks, document.holders(ROOT), f"version {document.version}'s root")
    return document


def pins(document: TrustDocument, vendor_id: bytes, class_id: bytes, board: str) -> bytes:
    """`/s0/pins` for a board of this fleet (SPEC 4)."""
    root = document.holders(ROOT)
    thumbprints = [key.thumbprint for _, key in root.keys]
    return cose.encode(
        {
            1: PINS_FORMAT,
            2: vendor_id,
            3: class_id,
            4: [root.threshold, thumbprints],
            5: document.fleet_id,
            6: board,
        }
    )


def _quorum(payload: bytes, blocks: list[Block], held: Holders, whose: str) -> None:
    signed = {
        key.thumbprint
        for block in blocks
        for _, key in held.keys
        if key.alg == block.alg and key.accepts(to_be_signed(payload, key.alg), block.signature)
    }
    if len(signed) < held.threshold:
        raise Refused(
            f"trust document: {whose} needs {held.threshold} holders, {len(signed)} signed"
        )


def _check_roles(document: TrustDocument, what: str) -> None:
    seen: set[bytes] = set()
    for number, held in document.roles.items():
        if number not in BY_NUMBER:
            raise Refused(f"{what}: there is no role {number}")
        role = BY_NUMBER[number]
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
    # Without it, post-quantum updates rest on P-256 (S7).
    root = document.roles.get(ROOT.number, Holders(0, ()))
    if all(key.alg != cose.HSS_LMS for _, key in root.keys):
        raise Refused(f"{what}: root needs at least one HSS-LMS key")


def _holders(value: object, number: object) -> Holders:
    what = f"trust document: role {number}"
    threshold, keys = cose.array(value, 2, what)
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


def _block(value: object, what: str) -> Block:
    protected, unprotected, signature = cose.array(value, 3, what)
    alg = cose.algorithm_of(protected, what)
    cose.check_headers(protected, unprotected, alg, what)
    if not isinstance(signature, bytes):
        raise Refused(f"{what}: a signature must be a byte string")
    return Block(alg, cose.mapping(unprotected, what).get(cose.KID, b""), signature)


def _check_blocks(blocks: list[Block], what: str) -> None:
    if len(blocks) > cose.MAX_BLOCKS:
        raise Refused(f"{what}: at most {cose.MAX_BLOCKS} signatures, got {len(blocks)}")
    if len(set(blocks)) != len(blocks):
        raise Refused(f"{what}: a signature is there twice")


def _envelope(payload: bytes, blocks: list[Block]) -> bytes:
    _check_blocks(blocks, "trust document")
    signatures = [
        [cose.protected_header(block.alg), {cose.KID: block.kid}, block.signature]
        for block in blocks
    ]
    return cose.encode(CBORTag(cose.TAG_SIGN, [b"", {}, payload, signatures]))
