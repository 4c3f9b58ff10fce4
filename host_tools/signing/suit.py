"""SUIT numbers (draft-ietf-suit-manifest-37, draft-ietf-suit-mti-23) and what is inside bytes."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeVar, cast

from host_tools.errors import Refused
from host_tools.signing import cose

TAG_ENVELOPE = 107
AUTHENTICATION, MANIFEST = 2, 3
SHA256_ALG = -16
# Manifest members
VERSION, SEQUENCE, COMMON, VALIDATE, INVOKE_MEMBER, INSTALL = 1, 2, 3, 7, 9, 20
COMPONENTS, SHARED = 2, 4
# Commands: conditions and directives
VENDOR, CLASS, IMAGE_MATCH, USE_BEFORE, DEVICE = 1, 2, 3, 4, 24
OVERRIDE, FETCH, INVOKE = 20, 21, 23
# Parameters
P_VENDOR, P_CLASS, P_DIGEST, P_USE_BEFORE, P_SIZE, P_ENCRYPTION = 1, 2, 3, 4, 14, 19
P_URI, P_DEVICE, P_VERSION = 21, 24, 28
P_SECURITY_VERSION, P_BLOCK_SIZE, P_BLOCK_HASHES, P_PAYLOAD_SIZE = -1, -2, -3, -4  # SPEC 5
P_DELTAS = -5
# Reporting policies as in the draft's own examples: conditions report all, directives failure
REPORT_CONDITION, REPORT_DIRECTIVE = 15, 2
# COSE of encryption-info: suit-sha256-hsslms-a256kw-a256ctr
PROFILE = "suit-sha256-hsslms-a256kw-a256ctr"
A256CTR, A256KW, IV = -65532, -5, 5
IMAGE_URI = "#image"

T = TypeVar("T", bytes, int)


@dataclass(frozen=True)
class Block:
    """One authentication block: algorithm, kid (a hint) and signature."""

    alg: int
    kid: bytes
    signature: bytes


@dataclass(frozen=True)
class Envelope:
    """An envelope taken apart. `manifest` is the map's bytes, without the bstr header."""

    manifest: bytes
    digest: bytes
    blocks: tuple[Block, ...]


def manifest_digest(manifest: bytes) -> bytes:
    """SHA-256 over the bstr-wrapped manifest, its header included; names a release."""
    return sha256(cose.encode(manifest)).digest()


def digest_structure(digest: bytes) -> bytes:
    """SUIT_Digest, as signed and as stored."""
    return cose.encode([SHA256_ALG, digest])


def parse(data: bytes) -> Envelope:
    """Take an envelope apart; its digest is checked. Raises Refused."""
    what = "SUIT envelope"
    value = cose.decode(data, what)
    if getattr(value, "tag", None) != TAG_ENVELOPE:
        raise Refused(f"{what}: expected CBOR tag {TAG_ENVELOPE}")
    body = cose.mapping(value.value, what)
    if set(body) != {AUTHENTICATION, MANIFEST} or not all(
        isinstance(item, bytes) for item in body.values()
    ):
        raise Refused(f"{what}: expected authentication (2) and manifest (3), got {list(body)}")
    wrapper: object = cose.decode(body[AUTHENTICATION], f"{what}: authentication")
    if not isinstance(wrapper, list) or not wrapper:
        raise Refused(f"{what}: expected [digest, signature, ...]")
    items = cast(list[Any], wrapper)
    digest = digest_in(items[0], what)
    if digest != manifest_digest(body[MANIFEST]):
        raise Refused(f"{what}: the digest is not that of the manifest")
    blocks = tuple(_block(item, what) for item in items[1:])
    check_blocks(blocks)
    return Envelope(body[MANIFEST], digest, blocks)


def check_blocks(blocks: tuple[Block, ...]) -> None:
    """At most four, none twice (S7). Raises Refused."""
    if len(blocks) > cose.MAX_BLOCKS:
        raise Refused(f"SUIT envelope: at most {cose.MAX_BLOCKS} signatures, got {len(blocks)}")
    if len(set(blocks)) != len(blocks):
        raise Refused("SUIT envelope: a signature is there twice")


def commands(sequence: bytes, what: str) -> Iterator[tuple[int, Any]]:
    """(command, argument) pairs of a command sequence. Raises Refused."""
    items = cose.decode(sequence, what)
    if not isinstance(items, list) or len(cast(list[Any], items)) % 2:
        raise Refused(f"{what}: expected commands, each with its argument")
    pairs = iter(cast(list[Any], items))
    yield from zip(pairs, pairs, strict=True)


def parameters(manifest: bytes) -> dict[int, Any]:
    """All parameters that the shared and the install sequence set, in one map.

    Only for manifests with one component, which is all that `author` writes. Raises Refused.
    """
    what = "SUIT manifest"
    body = cose.mapping(cose.decode(manifest, what), what)
    common = cose.mapping(cose.decode(body.get(COMMON, b""), what), what)
    found: dict[int, Any] = {}
    for sequence in (common.get(SHARED), body.get(INSTALL)):
        if not isinstance(sequence, bytes):
            raise Refused(f"{what}: expected a shared and an install sequence")
        for command, argument in commands(sequence, what):
            if command == OVERRIDE:
                found |= cose.mapping(argument, f"{what}: parameters")
    return found


def need(values: dict[int, Any], parameter: int, kind: type[T]) -> T:
    """The parameter's value. Raises Refused when it is absent or of another type."""
    value = values.get(parameter)
    if not isinstance(value, kind):
        raise Refused(f"SUIT manifest: expected parameter {parameter} as {kind.__name__}")
    return value


def optional(values: dict[int, Any], parameter: int, kind: type[T]) -> T | None:
    """As `need`, None when it is absent."""
    return need(values, parameter, kind) if parameter in values else None


def component(manifest: bytes) -> str:
    """The name of the one component. Raises Refused."""
    body = cose.mapping(cose.decode(manifest, "SUIT manifest"), "SUIT manifest")
    common = cose.mapping(cose.decode(body.get(COMMON, b""), "SUIT common"), "SUIT common")
    (identifier,) = cose.array(common.get(COMPONENTS), 1, "SUIT components")
    (name,) = cose.array(identifier, 1, "SUIT component identifier")
    if not isinstance(name, bytes):
        raise Refused("SUIT component identifier: expected a byte string")
    return name.decode(errors="replace")


def sequence_number(manifest: bytes) -> int:
    """The manifest's sequence number. Raises Refused."""
    number = cose.mapping(cose.decode(manifest, "SUIT manifest"), "SUIT manifest").get(SEQUENCE)
    if not isinstance(number, int):
        raise Refused("SUIT manifest: expected a sequence number")
    return number


def digest_in(data: object, what: str) -> bytes:
    """The SHA-256 digest in an encoded SUIT_Digest. Raises Refused."""
    if not isinstance(data, bytes):
        raise Refused(f"{what}: expected a SUIT_Digest in a byte string")
    algorithm, digest = cose.array(cose.decode(data, what), 2, what)
    if algorithm != SHA256_ALG or not isinstance(digest, bytes):
        raise Refused(f"{what}: expected a SHA-256 digest, got algorithm {algorithm}")
    return digest


def _block(data: object, what: str) -> Block:
    if not isinstance(data, bytes):
        raise Refused(f"{what}: expected a COSE_Sign1 in a byte string")
    protected, unprotected, payload, signature = cose.tagged(data, cose.TAG_SIGN1, 4, what)
    alg = cose.algorithm_of(protected, what)
    cose.check_headers(protected, unprotected, alg, what)
    if payload is not None or not isinstance(signature, bytes):
        raise Refused(f"{what}: expected a detached payload and a signature")
    return Block(alg, cose.mapping(unprotected, what).get(cose.KID, b""), signature)
