"""AES key wrap (RFC 3394) with a KEK of 128 or 256 bits."""

from uward import limits
from uward.crypto._primitives import ECB, aes
from uward.crypto.hash import equal
from uward.errors import BadMac, KeyRefused

_IV = b"\xa6" * 8  # RFC 3394 2.2.3.1


def _start(kek, n):
    if len(kek) not in (16, 32):
        raise KeyRefused("keywrap: expected a KEK of 16 or 32 bytes, got %d" % len(kek))
    if n & 7 or not 16 <= n <= limits.KEYWRAP_BYTES:
        limit = limits.KEYWRAP_BYTES
        raise KeyRefused("keywrap: expected a key of 16, 24 .. %d bytes, got %d" % (limit, n))
    return aes(kek, ECB), bytearray(16)


def _count(block, t):
    block[7] ^= t & 255
    block[6] ^= t >> 8


def wrap(kek, key):
    """-> 8 bytes more than key."""
    cipher, block = _start(kek, len(key))
    n = len(key) >> 3
    out = bytearray(_IV + key)
    block[:8] = _IV
    for t in range(6 * n):
        i = 8 * (t % n + 1)
        block[8:] = out[i : i + 8]
        cipher.encrypt(block, block)
        _count(block, t + 1)
        out[i : i + 8] = block[8:]
    out[:8] = block[:8]
    return bytes(out)


def unwrap(kek, wrapped):
    """-> the key; BadMac when the check value is not RFC 3394's."""
    cipher, block = _start(kek, len(wrapped) - 8)
    n = (len(wrapped) >> 3) - 1
    out = bytearray(wrapped)
    block[:8] = out[:8]
    for t in range(6 * n - 1, -1, -1):
        i = 8 * (t % n + 1)
        _count(block, t + 1)
        block[8:] = out[i : i + 8]
        cipher.decrypt(block, block)
        out[i : i + 8] = block[8:]
    if not equal(memoryview(block)[:8], _IV):
        raise BadMac("keywrap: expected a matching check value, got another")
    return bytes(out[8:])
