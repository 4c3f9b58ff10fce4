"""Sealed messages, host side (SPEC 8, S12): COSE_Encrypt0 with AES-CCM-16-128-128.

    pair secret = ECDH(collector key, device's pairing key), x coordinate, 32 bytes
    key 16 | context IV 13 = HKDF(pair secret, salt = kid context,
                                  info = "uward.v1 <direction> <purpose>")
    nonce = context IV xor left-padded partial IV (RFC 9052 3.1)

Written from SPEC alone, with `cryptography` and `cbor2`: the device's code is the other side.
"""

from dataclasses import dataclass
from typing import Literal

import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from host_tools.errors import Refused
from host_tools.fleet import codec, limits

Direction = Literal["up", "down"]
PROTECTED = bytes([0xA1, 0x01, 0x18, 30])  # {1: 30}: RFC 9053 4.2
ENCRYPT0 = 16  # RFC 9052 2
PARTIAL_IV = 6
KID_CONTEXT = 10  # RFC 8613 registered label 10
CTX = 16  # bytes of one boot's context, and of one collector generation
KEY, NONCE, TAG = 16, 13, 16


class BadMac(Refused):
    """A message that was not sealed by the device whose topic it came on; event `e2e.bad_mac`."""


@dataclass(frozen=True)
class Sealed:
    """A parsed COSE_Encrypt0, not yet believed."""

    kid_context: bytes
    partial_iv: bytes
    ciphertext: bytes

    @property
    def counter(self) -> int:
        return int.from_bytes(self.partial_iv, "big")


def pair_secret(private: ec.EllipticCurvePrivateKey, peer: bytes) -> bytes:
    """32 bytes shared with the P-256 key `peer` (x | y). Raises Refused off the curve."""
    if len(peer) != 64:
        raise Refused(f"pairing key: expected 64 bytes, got {len(peer)}")
    try:
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + peer)
    except ValueError as error:
        raise Refused("pairing key: expected a point on P-256, got another") from error
    return private.exchange(ec.ECDH(), public)  # SP 800-56A 5.7.1.2: the x coordinate


def parse(message: bytes) -> Sealed:
    """The parts of a sealed message. Raises codec.Malformed."""
    value = codec.decode(message)
    if not isinstance(value, cbor2.CBORTag) or value.tag != ENCRYPT0:
        raise codec.Malformed("expected a COSE_Encrypt0, got another object")
    protected, unprotected, ciphertext = codec.array(value.value, 3, "COSE_Encrypt0")
    if protected != PROTECTED:
        raise codec.Malformed(
            f"expected the protected header {{1: 30}}, got {codec.brief(protected)}"
        )
    headers = codec.mapping(unprotected, "unprotected header")
    if set(headers) != {PARTIAL_IV, KID_CONTEXT}:
        raise codec.Malformed("expected the labels 6 and 10, got others")
    piv, context = headers[PARTIAL_IV], headers[KID_CONTEXT]
    if not isinstance(context, bytes) or len(context) not in (CTX, 2 * CTX):
        raise codec.Malformed(f"kid context: expected 16 or 32 bytes, got {codec.brief(context)}")
    if not isinstance(ciphertext, bytes) or len(ciphertext) < TAG:
        raise codec.Malformed("expected a ciphertext with its tag, got less")
    return Sealed(context, _checked_piv(piv), ciphertext)


def _checked_piv(piv: object) -> bytes:
    if not isinstance(piv, bytes) or not 1 <= len(piv) <= 4:
        raise codec.Malformed(f"partial IV: expected 1 to 4 bytes, got {codec.brief(piv)}")
    if len(piv) > 1 and piv[0] == 0:
        raise codec.Malformed("partial IV: expected minimal bytes, got leading zeros")
    return piv


def open_sealed(
    secret: bytes, device: str, direction: Direction, purpose: str, sealed: Sealed
) -> bytes:
    """The plaintext. Raises BadMac when key, device, direction, purpose or bytes are others."""
    key, iv = _derive(secret, sealed.kid_context, direction, purpose)
    aad = _aad(device, direction, purpose)
    try:
        return AESCCM(key, TAG).decrypt(_nonce(iv, sealed.partial_iv), sealed.ciphertext, aad)
    except InvalidTag as error:
        raise BadMac(f"{device}: expected a message sealed for {direction}/{purpose}") from error


def seal(
    secret: bytes, device: str, direction: Direction, purpose: str, context: bytes,
    counter: int, plaintext: bytes,
) -> bytes:  # fmt: skip
    """A sealed message. The caller has committed `counter` for `context` before (SPEC 8)."""
    if not 0 <= counter <= limits.COUNTER_MAX:
        raise Refused(f"partial IV: expected 0..{limits.COUNTER_MAX}, got {counter}")
    piv = counter.to_bytes(max(1, (counter.bit_length() + 7) // 8), "big")
    key, iv = _derive(secret, context, direction, purpose)
    aad = _aad(device, direction, purpose)
    ciphertext = AESCCM(key, TAG).encrypt(_nonce(iv, piv), plaintext, aad)
    headers = {PARTIAL_IV: piv, KID_CONTEXT: context}
    return codec.encode(cbor2.CBORTag(ENCRYPT0, [PROTECTED, headers, ciphertext]))


def _derive(secret: bytes, context: bytes, direction: str, purpose: str) -> tuple[bytes, bytes]:
    info = f"uward.v1 {direction} {purpose}".encode()
    okm = HKDF(SHA256(), KEY + NONCE, salt=context, info=info).derive(secret)  # RFC 5869
    return okm[:KEY], okm[KEY:]


def _nonce(iv: bytes, partial_iv: bytes) -> bytes:
    padded = partial_iv.rjust(NONCE, b"\0")  # RFC 9052 3.1
    return bytes(a ^ b for a, b in zip(iv, padded, strict=True))


def _aad(device: str, direction: str, purpose: str) -> bytes:
    """RFC 9052 5.3: Enc_structure, whose external_aad binds device, direction and purpose."""
    external = codec.encode(["uward.v1", device, direction, purpose])
    return codec.encode(["Encrypt0", PROTECTED, external])
