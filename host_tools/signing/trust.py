"""Trust documents (SPEC 4, S7): who holds which role, made, signed and judged on the host.

Independent of the device's own code: both are written from SPEC and tested against each other.
"""

from collections.abc import Iterable

from host_tools.errors import Refused
from host_tools.signing import cose, cosign
from host_tools.signing.cose import PublicKey, Signer
from host_tools.signing.cosign import Block
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
    "attach",
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
KIND = cosign.Kind("trust document", TRUST_DOMAIN)


def sign(payload: bytes, signers: Iterable[Signer]) -> bytes:
    """The payload with one signature a signer: the trust document as devices take it."""
    return cosign.sign(KIND, payload, signers)


def add_signature(envelope: bytes, signer: Signer) -> bytes:
    """The document with one more signature, for instance of a second root holder.

    Raises Refused when this key signed already.
    """
    return cosign.add_signature(KIND, envelope, signer)


def attach(envelope: bytes, public: PublicKey, signature: bytes) -> bytes:
    """The document with a signature that was made elsewhere; verified first. Raises Refused."""
    return cosign.attach(KIND, envelope, public, signature)


def to_be_signed(payload: bytes, alg: int) -> bytes:
    """What a holder's key signs (RFC 9052 4.4, with our domain string)."""
    return cosign.to_be_signed(KIND, payload, alg)


def split(envelope: bytes) -> tuple[bytes, list[Block]]:
    """Payload and signatures of a document. Raises Refused when it is not one."""
    return cosign.split(KIND, envelope)


def used_indices(envelopes: Iterable[bytes], public: PublicKey) -> dict[int, str]:
    """Which one-time indices of an HSS-LMS key these documents used, with message digests (S6).

    The witness for a root key, as `author.used_indices` is for a release key.
    """
    return cosign.used_indices(KIND, envelopes, public)


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
    cosign.demand(KIND, payload, blocks, held, "the pins' root")
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
    for one in (current, document):
        cosign.demand(KIND, payload, blocks, one.holders(ROOT), f"version {one.version}'s root")
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
