"""SHA-256, HMAC (RFC 2104), HKDF (RFC 5869) and comparison in constant time."""

from uward import limits
from uward.crypto._primitives import sha256 as _sha256
from uward.errors import LimitError


def sha256(data):
    """-> 32 bytes."""
    return _sha256(data).digest()


def equal(a, b):
    """Whether two byte strings are equal; the time depends on their lengths only."""
    if len(a) != len(b):
        return False
    diff = 0
    for i in range(len(a)):
        diff |= a[i] ^ b[i]
    return diff == 0


def _pads(key):
    if len(key) > 64:
        key = sha256(key)
    key = int.from_bytes(key, "big") << 8 * (64 - len(key))
    return [
        (key ^ int.from_bytes(pad * 64, "big")).to_bytes(64, "big") for pad in (b"\x36", b"\x5c")
    ]


def _mac(pads, *parts):
    inner = _sha256(pads[0])
    for part in parts:
        inner.update(part)
    outer = _sha256(pads[1])
    outer.update(inner.digest())
    return outer.digest()


def hmac(key, message):
    """HMAC-SHA256 -> 32 bytes."""
    return _mac(_pads(key), message)


def hkdf(ikm, salt, info, length=32):
    """HKDF-SHA256 -> `length` bytes; an empty salt is 32 zero bytes. LimitError beyond 8160."""
    if not 0 < length <= limits.HKDF_BYTES:
        raise LimitError("hkdf: expected 1..%d bytes, got %d" % (limits.HKDF_BYTES, length))
    pads = _pads(hmac(salt, ikm))
    block = out = b""
    count = 0
    while len(out) < length:
        count += 1
        block = _mac(pads, block, info, bytes((count,)))
        out += block
    return out[:length]
