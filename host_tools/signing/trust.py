"""Trust documents (SPEC 4, S7): who holds which role, made, signed and judged on the host.

Independent of the device's own code: both are written from SPEC and tested against each other.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from cbor2 import CBORTag

from host_tools.errors import Refused
from host_tools.signing import cose, lms
from host_tools.signing.cose import PublicKey, Signer
from host_tools.signing.roles import ROOT, TRUST_DOMAIN
from host_tools.signing.trust_document import (
    Holders,
    TrustDocument,
    check,
    digest,
    encode_payload,
    encode_unchecked,
    parse,
)

__all__ = [
    "Block",
    "Holders",
    "TrustDocument",
    "add_signature",
    "check",
    "digest",
    "encode_payload",
    "encode_unchecked",
    "parse",
    "pins",
    "sign",
    "split",
    "to_be_signed",
    "used_indices",
    "verify_first",
    "verify_next",
]

PINS_FORMAT = 1


@dataclass(frozen=True)
class Block:
    """One signature of a COSE object: its algorithm, the kid (a hint) and the bytes."""

    alg: int
    kid: bytes
    signature: bytes


def sign(payload: bytes, signers: Iterable[Signer]) -> bytes:
    """The payload with one signature a signer: the trust document as devices take it."""
    envelope = _envelope(payload, [])
    for signer in signers:
        envelope = add_signature(envelope, signer)
    return envelope


def add_signature(envelope: bytes, signer: Signer) -> bytes:
    """The document with one more signature, for instance of a second root holder.

    Raises Refused when this key signed already.
    """
    payload, blocks = split(envelope)
    public = signer.public
    message = to_be_signed(payload, public.alg)
    if any(b.alg == public.alg and public.accepts(message, b.signature) for b in blocks):
        raise Refused(f"key {public.kid.hex()} has signed this trust document already")
    return _envelope(payload, [*blocks, Block(public.alg, public.kid, signer.sign(message))])


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


def used_indices(envelopes: Iterable[bytes], public: PublicKey) -> dict[int, str]:
    """Which one-time indices of an HSS-LMS key these documents used, with message digests (S6).

    The witness for a root key, as `author.used_indices` is for a release key.
    """
    used: dict[int, str] = {}
    for envelope in envelopes:
        payload, blocks = split(envelope)
        message = to_be_signed(payload, cose.HSS_LMS)
        for block in blocks:
            if block.alg == cose.HSS_LMS == public.alg and public.accepts(
                message, block.signature
            ):
                used[lms.index_of(block.signature)] = sha256(message).hexdigest()
    return used


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
