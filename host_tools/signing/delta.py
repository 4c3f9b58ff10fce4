"""Delta payloads: a detools patch from an older image to the one that a release brings (SPEC 5).

detools writes the patch and proves it by applying it; devices apply it with `update/patch.py`.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, cast

from host_tools.errors import Refused, UsageError
from host_tools.signing import content, cose, suit

MAX_DELTAS = 4  # as limits.DELTAS on the device
PARTS = 4


@dataclass(frozen=True)
class Delta:
    """One patch as transferred. source: SHA-256 of the image that it starts from; encryption:
    COSE_Encrypt of its content key, None when it is plain."""

    source: bytes
    payload: bytes
    encryption: bytes | None = None


@dataclass(frozen=True)
class Listed:
    """What a manifest says of a patch."""

    source: bytes
    size: int
    hashes: bytes
    encryption: bytes | None


def make(source: bytes, image: bytes, encrypt: tuple[bytes, bytes] | None = None) -> Delta:
    """The patch from `source` to `image`; `encrypt` is (kid, KEK), as for the image.

    Raises UsageError when they are the same, Refused when a patch saves nothing.
    """
    if source == image:
        raise UsageError("a patch needs another image to start from, got the same")
    patch = _patch(source, image)
    if len(patch) >= len(image):
        raise Refused(
            f"a patch of {len(patch)} bytes saves nothing: the image has {len(image)}",
            "leave --delta-from out",
        )
    digest = sha256(source).digest()
    if encrypt is None:
        return Delta(digest, patch)
    payload, info = content.encrypt(patch, *encrypt)
    return Delta(digest, payload, info)


def apply(source: bytes, patch: bytes) -> bytes:
    """The image that detools makes of a plain patch. Raises Refused for what is none."""
    import detools  # type: ignore[import-untyped]

    tools: Any = detools
    made = io.BytesIO()
    try:
        tools.apply_patch(io.BytesIO(source), io.BytesIO(patch), made)
    except tools.Error as error:
        raise Refused(f"patch: {error}") from error
    return made.getvalue()


def encode(deltas: Sequence[Delta], block_hashes: Callable[[bytes], bytes]) -> bytes:
    """Parameter -5. Raises UsageError for too many, or two from one image."""
    if len(deltas) > MAX_DELTAS:
        raise UsageError(f"at most {MAX_DELTAS} patches of a release, got {len(deltas)}")
    if len({delta.source for delta in deltas}) != len(deltas):
        raise UsageError("two patches start from the same image")
    return cose.encode(
        [
            [delta.source, len(delta.payload), block_hashes(delta.payload), delta.encryption]
            for delta in deltas
        ]
    )


def listed(values: dict[int, Any]) -> list[Listed]:
    """The patches that a manifest with these parameters names. Raises Refused."""
    raw = suit.optional(values, suit.P_DELTAS, bytes)
    if raw is None:
        return []
    items: object = cose.decode(raw, "deltas")
    if not isinstance(items, list):
        raise Refused("deltas: expected an array")
    return [_listed(item) for item in cast("list[Any]", items)]


def _listed(item: object) -> Listed:
    source, size, hashes, encryption = cose.array(item, PARTS, "delta")
    if not (isinstance(source, bytes) and isinstance(size, int) and isinstance(hashes, bytes)):
        raise Refused("delta: expected a digest, a size and block hashes")
    if encryption is not None and not isinstance(encryption, bytes):
        raise Refused("delta: expected encryption-info in bytes")
    return Listed(source, size, hashes, encryption)


def _patch(source: bytes, image: bytes) -> bytes:
    import detools  # type: ignore[import-untyped]

    tools: Any = detools
    made = io.BytesIO()
    tools.create_patch(
        io.BytesIO(source), io.BytesIO(image), made, patch_type="sequential", compression="crle"
    )
    if apply(source, made.getvalue()) != image:
        raise Refused("the patch does not make the image: detools disagrees with itself")
    return made.getvalue()
