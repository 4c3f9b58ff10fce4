"""COSE_Sign objects (RFC 9052 4.1) that several holders sign: trust documents, log heads.

Each has a domain string as external_aad (S7). A signature is added by a signer that is here, or
attached after it was made elsewhere over `to_be_signed`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from cbor2 import CBORTag

from host_tools.errors import Refused
from host_tools.signing import cose, lms
from host_tools.signing.cose import PublicKey, Signer
from host_tools.signing.trust_document import Holders


@dataclass(frozen=True)
class Kind:
    """What such an object is called in messages, and its domain string."""

    what: str
    domain: bytes


@dataclass(frozen=True)
class Block:
    """One signature of a COSE object: its algorithm, the kid (a hint) and the bytes."""

    alg: int
    kid: bytes
    signature: bytes


def sign(kind: Kind, payload: bytes, signers: Iterable[Signer]) -> bytes:
    """The payload with one signature a signer; with none, what others sign elsewhere."""
    envelope = _envelope(kind, payload, [])
    for signer in signers:
        envelope = add_signature(kind, envelope, signer)
    return envelope


def add_signature(kind: Kind, envelope: bytes, signer: Signer) -> bytes:
    """The object with one more signature. Raises Refused when this key signed already."""
    payload, blocks = split(kind, envelope)
    public = signer.public
    message = to_be_signed(kind, payload, public.alg)
    _refuse_second(kind, blocks, public, message)  # before it costs a one-time key
    return _envelope(kind, payload, [*blocks, Block(public.alg, public.kid, signer.sign(message))])


def attach(kind: Kind, envelope: bytes, public: PublicKey, signature: bytes) -> bytes:
    """The object with a signature that was made elsewhere; verified first. Raises Refused."""
    payload, blocks = split(kind, envelope)
    message = to_be_signed(kind, payload, public.alg)
    public.verify(message, signature)
    _refuse_second(kind, blocks, public, message)
    return _envelope(kind, payload, [*blocks, Block(public.alg, public.kid, signature)])


def to_be_signed(kind: Kind, payload: bytes, alg: int) -> bytes:
    """What a holder's key signs (RFC 9052 4.4, with the kind's domain string)."""
    return cose.sig_structure(cose.protected_header(alg), payload, kind.domain)


def split(kind: Kind, envelope: bytes) -> tuple[bytes, list[Block]]:
    """Payload and signatures. Raises Refused when it is not such an object."""
    body = cose.tagged(envelope, cose.TAG_SIGN, 4, kind.what)
    if body[0] != b"" or cose.mapping(body[1], kind.what):
        raise Refused(f"{kind.what}: the body's headers must be empty")
    if not isinstance(body[2], bytes):
        raise Refused(f"{kind.what}: the payload must be a byte string")
    blocks = [_block(item, kind.what) for item in cose.items(body[3], kind.what)]
    _check_blocks(blocks, kind.what)
    return body[2], blocks


def signed_by(kind: Kind, payload: bytes, blocks: Iterable[Block], held: Holders) -> list[str]:
    """The distinct holders whose key signed: by key, never by kid or by block (S7)."""
    given = list(blocks)
    return [
        name
        for name, key in held.keys
        if any(
            key.alg == block.alg
            and key.accepts(to_be_signed(kind, payload, key.alg), block.signature)
            for block in given
        )
    ]


def demand(
    kind: Kind, payload: bytes, blocks: Iterable[Block], held: Holders, whose: str
) -> list[str]:
    """As `signed_by`. Raises Refused below the threshold."""
    signed = signed_by(kind, payload, blocks, held)
    if len(signed) < held.threshold:
        raise Refused(f"{kind.what}: {whose} needs {held.threshold} holders, {len(signed)} signed")
    return signed


def used_indices(kind: Kind, envelopes: Iterable[bytes], public: PublicKey) -> dict[int, str]:
    """Which one-time indices of an HSS-LMS key these objects used, with message digests (S6)."""
    used: dict[int, str] = {}
    for envelope in envelopes:
        payload, blocks = split(kind, envelope)
        message = to_be_signed(kind, payload, cose.HSS_LMS)
        for block in blocks:
            if block.alg == cose.HSS_LMS == public.alg and public.accepts(
                message, block.signature
            ):
                used[lms.index_of(block.signature)] = sha256(message).hexdigest()
    return used


def kind_of(message: bytes) -> str:
    """What a Sig_structure (RFC 9052 4.4) is about, in words. Raises Refused for other bytes."""
    what = "what is to be signed"
    parts = cose.items(cose.decode(message, what), what)
    if parts[:1] == ["Signature"] and len(parts) == 5 and isinstance(parts[3], bytes):
        return parts[3].decode("ascii", "replace")
    if parts[:1] == ["Signature1"] and len(parts) == 4 and isinstance(parts[2], bytes):
        return parts[2].decode("ascii", "replace") or "SUIT manifest"
    raise Refused(f"{what}: expected a Sig_structure, as --digest-out writes it")


def _refuse_second(kind: Kind, blocks: list[Block], public: PublicKey, message: bytes) -> None:
    if any(b.alg == public.alg and public.accepts(message, b.signature) for b in blocks):
        raise Refused(f"key {public.kid.hex()} has signed this {kind.what} already")


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


def _envelope(kind: Kind, payload: bytes, blocks: list[Block]) -> bytes:
    _check_blocks(blocks, kind.what)
    signatures = [
        [cose.protected_header(block.alg), {cose.KID: block.kid}, block.signature]
        for block in blocks
    ]
    return cose.encode(CBORTag(cose.TAG_SIGN, [b"", {}, payload, signatures]))
