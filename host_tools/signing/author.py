"""SUIT manifests: written, signed, shown and judged (SPEC 5), profile `suit.PROFILE`.

A release needs two persons: the second signs the first one's envelope on another machine with
`add_signature`, or signs `to_be_signed` wherever the key is and hands back a bare signature for
`attach`. ESP256 blocks stand beside HSS-LMS ones; no other profile is claimed.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

from cbor2 import CBORTag

from host_tools.errors import Refused, UsageError
from host_tools.pki import names
from host_tools.signing import content, cose, delta, lms, suit
from host_tools.signing.cose import PublicKey, Signer
from host_tools.signing.roles import APPROVER, RELEASE
from host_tools.signing.trust import Holders, TrustDocument

COMPONENTS = ("image", "recovery", "interpreter")
BLOCK_SIZE = 4096  # bytes; what the device pulls, checks and writes at once
BLOCK_HASH = 16  # bytes of SHA-256
UUID_SIZE = 16  # bytes
MAX_U32 = (1 << 32) - 1


def build_manifest(
    image: bytes,
    sequence: int,
    security_version: int,
    version: str,
    vendor_id: bytes,
    class_id: bytes,
    component: str = "image",
    use_before: int | None = None,
    device_id: str | None = None,
    encrypt: tuple[bytes, bytes] | None = None,
    deltas: Sequence[delta.Delta] = (),
) -> tuple[bytes, bytes]:
    """The manifest for `image` and the payload to transfer (encrypted when asked for).

    `use_before` is unix time; `device_id` binds it to one device; `encrypt` is (kid, KEK of 32
    bytes): content key and IV are fresh for every call (S6). `deltas` are patches to `image`,
    for devices that run what they start from. Raises UsageError.
    """
    _check_release(image, sequence, security_version, component)
    for name, value in (("vendor id", vendor_id), ("class id", class_id)):
        if len(value) != UUID_SIZE:
            raise UsageError(f"{name}: expected {UUID_SIZE} bytes, got {len(value)}")
    payload, info = (image, None) if encrypt is None else content.encrypt(image, *encrypt)
    parameters = {
        suit.P_VENDOR: vendor_id,
        suit.P_CLASS: class_id,
        suit.P_DIGEST: suit.digest_structure(sha256(image).digest()),
        suit.P_SIZE: len(image),
        suit.P_VERSION: version.encode(),
        suit.P_SECURITY_VERSION: security_version,
        suit.P_BLOCK_SIZE: BLOCK_SIZE,
        suit.P_BLOCK_HASHES: block_hashes(payload),
    }
    if device_id is not None:
        parameters[suit.P_DEVICE] = names.device_identifier(class_id, device_id)
    manifest = {
        suit.VERSION: 1,
        suit.SEQUENCE: sequence,
        suit.COMMON: _common(component, parameters),
        suit.VALIDATE: cose.encode([suit.IMAGE_MATCH, suit.REPORT_CONDITION]),
        suit.INVOKE_MEMBER: cose.encode([suit.INVOKE, suit.REPORT_DIRECTIVE]),
        suit.INSTALL: _install(len(payload), info, use_before, deltas),
    }
    return cose.encode(manifest), payload


def block_hashes(payload: bytes) -> bytes:
    """For each 4096-byte block of the payload as transferred 16 bytes of its SHA-256."""
    blocks = (payload[at : at + BLOCK_SIZE] for at in range(0, len(payload), BLOCK_SIZE))
    return b"".join(sha256(block).digest()[:BLOCK_HASH] for block in blocks)


def sign(manifest: bytes, *signers: Signer) -> bytes:
    """The envelope with one signature a signer."""
    envelope = _wrap(manifest, ())
    for signer in signers:
        envelope = add_signature(envelope, signer)
    return envelope


def add_signature(envelope: bytes, signer: Signer) -> bytes:
    """The envelope with one more signature. Raises Refused when this key signed already."""
    taken = suit.parse(envelope)
    public = signer.public
    message = to_be_signed(taken.manifest, public.alg)
    _refuse_second(taken, public, message)  # before the signature costs a one-time key
    return _append(taken, suit.Block(public.alg, public.kid, signer.sign(message)))


def to_be_signed(manifest: bytes, alg: int) -> bytes:
    """The Sig_structure that a signer elsewhere signs with algorithm `alg` (RFC 9052 4.4).

    The payload is the SUIT_Digest. The kid is a hint outside the signature.
    """
    digest = suit.digest_structure(suit.manifest_digest(manifest))
    return cose.sig_structure1(cose.protected_header(alg), digest)


def attach(envelope: bytes, public: PublicKey, signature: bytes) -> bytes:
    """The envelope with a signature that was made elsewhere; it is verified first.

    `envelope` may be unsigned: `sign(manifest)`. Raises Refused.
    """
    taken = suit.parse(envelope)
    message = to_be_signed(taken.manifest, public.alg)
    public.verify(message, signature)
    _refuse_second(taken, public, message)
    return _append(taken, suit.Block(public.alg, public.kid, signature))


def verify(envelope: bytes, trust: TrustDocument) -> dict[str, list[str]]:
    """Judge an envelope as a device would: thresholds of release *and* approver (S7).

    Returns the holders who signed, by role. Raises Refused naming the missing role, or a block
    that no key of these roles made.
    """
    taken = suit.parse(envelope)
    signed = {role.name: _signed_by(taken, trust.holders(role)) for role in (RELEASE, APPROVER)}
    known = set[suit.Block]().union(*(found.values() for found in signed.values()))
    strange = [block for block in taken.blocks if block not in known]
    if strange:
        raise Refused(
            f"signature by key {strange[0].kid.hex() or 'without kid'} is of no holder of "
            f"release or approver in trust document {trust.version}, or does not verify"
        )
    for role in (RELEASE, APPROVER):
        needed, got = trust.holders(role).threshold, len(signed[role.name])
        if got < needed:
            raise Refused(
                f"role {role.name} needs {needed} signature(s), got {got}",
                f"have a holder of {role.name} sign the envelope",
            )
    return {name: sorted(found) for name, found in signed.items()}


def inspect(envelope: bytes) -> dict[str, Any]:
    """What an envelope says, for people and for --json. Raises Refused."""
    taken = suit.parse(envelope)
    values = suit.parameters(taken.manifest)
    device = suit.optional(values, suit.P_DEVICE, bytes)
    info = suit.optional(values, suit.P_ENCRYPTION, bytes)
    return {
        "profile": suit.PROFILE,
        "component": suit.component(taken.manifest),
        "version": suit.need(values, suit.P_VERSION, bytes).decode(errors="replace"),
        "sequence": suit.sequence_number(taken.manifest),
        "security_version": suit.need(values, suit.P_SECURITY_VERSION, int),
        "vendor_id": suit.need(values, suit.P_VENDOR, bytes).hex(),
        "class_id": suit.need(values, suit.P_CLASS, bytes).hex(),
        "device_identifier": None if device is None else device.hex(),
        "image_digest": image_digest(taken.manifest).hex(),
        "image_size": suit.need(values, suit.P_SIZE, int),
        "payload_size": suit.need(values, suit.P_PAYLOAD_SIZE, int),
        "blocks": len(suit.need(values, suit.P_BLOCK_HASHES, bytes)) // BLOCK_HASH,
        "encrypted_for": None if info is None else content.kek_kid(info).hex(),
        "deltas": [{"source": one.source.hex(), "size": one.size} for one in delta.listed(values)],
        "use_before": suit.optional(values, suit.P_USE_BEFORE, int),
        "manifest_digest": taken.digest.hex(),
        "payload_id": payload_id(taken.manifest).hex(),
        "signatures": [
            {"algorithm": cose.ALGORITHMS[block.alg], "kid": block.kid.hex()}
            for block in taken.blocks
        ],
    }


def image_digest(manifest: bytes) -> bytes:
    """SHA-256 of the plaintext image that a manifest names."""
    structure = suit.need(suit.parameters(manifest), suit.P_DIGEST, bytes)
    return suit.digest_in(structure, "image digest")


def payload_id(manifest: bytes) -> bytes:
    """The first 8 bytes of the manifest digest (SPEC 8)."""
    return suit.manifest_digest(manifest)[:8]


def check_payload(manifest: bytes, payload: bytes) -> None:
    """Raise Refused unless `payload` is what the manifest tells devices to pull."""
    values = suit.parameters(manifest)
    size = suit.need(values, suit.P_PAYLOAD_SIZE, int)
    if len(payload) != size:
        raise Refused(f"payload: expected {size} bytes, got {len(payload)}")
    if block_hashes(payload) != suit.need(values, suit.P_BLOCK_HASHES, bytes):
        raise Refused("payload: its block hashes are not those of the manifest")


def check_patches(manifest: bytes, patches: Sequence[bytes]) -> None:
    """Raise Refused unless `patches` are those that the manifest offers, in its order."""
    found = delta.listed(suit.parameters(manifest))
    if len(found) != len(patches):
        raise Refused(f"the manifest names {len(found)} patches, got {len(patches)}")
    for one, patch in zip(found, patches, strict=True):
        if len(patch) != one.size or block_hashes(patch) != one.hashes:
            raise Refused(f"the patch from image {one.source.hex()[:16]} is not the manifest's")


def used_indices(envelopes: Iterable[bytes], public: PublicKey) -> dict[int, str]:
    """Which one-time indices of an HSS-LMS key these envelopes used, with message digests.

    Handed to `keys.load_signer` as witness, so that a restored key does not sign (S6).
    """
    used: dict[int, str] = {}
    for envelope in envelopes:
        taken = suit.parse(envelope)
        message = to_be_signed(taken.manifest, cose.HSS_LMS)
        for block in taken.blocks:
            if block.alg == cose.HSS_LMS == public.alg and public.accepts(
                message, block.signature
            ):
                used[lms.index_of(block.signature)] = sha256(message).hexdigest()
    return used


def _check_release(image: bytes, sequence: int, security_version: int, component: str) -> None:
    if not image:
        raise UsageError("image: expected some bytes, got none")
    if component not in COMPONENTS:
        raise UsageError(f"component: expected one of {COMPONENTS}, got {component!r}")
    for name, value in (("sequence", sequence), ("security version", security_version)):
        if not 0 <= value <= MAX_U32:
            raise UsageError(f"{name}: expected 0 to {MAX_U32}, got {value}")


def _common(component: str, parameters: dict[int, Any]) -> bytes:
    conditions = [suit.VENDOR, suit.CLASS]
    if suit.P_DEVICE in parameters:
        conditions.append(suit.DEVICE)
    shared: list[Any] = [suit.OVERRIDE, parameters]
    for condition in conditions:
        shared += [condition, suit.REPORT_CONDITION]
    return cose.encode({suit.COMPONENTS: [[component.encode()]], suit.SHARED: cose.encode(shared)})


def _install(
    size: int,
    encryption_info: bytes | None,
    use_before: int | None,
    deltas: Sequence[delta.Delta],
) -> bytes:
    parameters: dict[int, Any] = {suit.P_URI: suit.IMAGE_URI, suit.P_PAYLOAD_SIZE: size}
    if encryption_info is not None:
        parameters[suit.P_ENCRYPTION] = encryption_info
    if deltas:
        parameters[suit.P_DELTAS] = delta.encode(deltas, block_hashes)
    commands: list[Any] = [suit.OVERRIDE, parameters]
    if use_before is not None:
        parameters[suit.P_USE_BEFORE] = use_before
        commands += [suit.USE_BEFORE, suit.REPORT_CONDITION]
    commands += [suit.FETCH, suit.REPORT_DIRECTIVE]
    commands += [suit.IMAGE_MATCH, suit.REPORT_CONDITION]
    return cose.encode(commands)


def _signed_by(taken: suit.Envelope, held: Holders) -> dict[str, suit.Block]:
    return {
        name: block
        for name, key in held.keys
        for block in taken.blocks
        if key.alg == block.alg
        and key.accepts(to_be_signed(taken.manifest, key.alg), block.signature)
    }


def _refuse_second(taken: suit.Envelope, public: PublicKey, message: bytes) -> None:
    if any(
        block.alg == public.alg and public.accepts(message, block.signature)
        for block in taken.blocks
    ):
        raise Refused(f"key {public.kid.hex()} has signed this envelope already")


def _append(taken: suit.Envelope, block: suit.Block) -> bytes:
    return _wrap(taken.manifest, (*taken.blocks, block))


def _wrap(manifest: bytes, blocks: tuple[suit.Block, ...]) -> bytes:
    suit.check_blocks(blocks)
    signed = [
        cose.encode(
            CBORTag(
                cose.TAG_SIGN1,
                [cose.protected_header(b.alg), {cose.KID: b.kid}, None, b.signature],
            )
        )
        for b in blocks
    ]
    wrapper = [suit.digest_structure(suit.manifest_digest(manifest)), *signed]
    body = {suit.AUTHENTICATION: cose.encode(wrapper), suit.MANIFEST: manifest}
    return cose.encode(CBORTag(suit.TAG_ENVELOPE, body))
