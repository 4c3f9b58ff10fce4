"""HSS/LMS signature verification (RFC 8554), SHA-256 and SHA-256/192 (SP 800-208), L = 1..8.

Imported when needed and dropped (S20). The work is hashing: mean calls 383 (M24, W4), 3315 (W8).
"""

from uward import limits
from uward.crypto._primitives import sha256
from uward.errors import BadSignature, KeyRefused

try:
    from uward.crypto._lms_native import chains
except (ImportError, ValueError):  # S22: no build for this architecture
    from uward.crypto._lms_plain import chains

_OTS_HEAD = 8  # u32 q, u32 LM-OTS type: before the randomizer C
_D_PBLC = b"\x80\x80"  # RFC 8554 7.1: what a hash is for
_D_MESG = b"\x81\x81"
_D_LEAF = b"\x82\x82"
_D_INTR = b"\x83\x83"


def verify(public_key, message, signature):
    """HSS public key (4 + 24 + m bytes) and signature, any bytes as message (RFC 8554 6.3).

    KeyRefused: the public key is none of ours. BadSignature: the signature is not its.
    """
    if len(public_key) < 4:
        raise KeyRefused("hss: expected a public key, got %d bytes" % len(public_key))
    levels = _u32(public_key, 0)
    if not 1 <= levels <= limits.HSS_LEVELS:
        raise KeyRefused("hss: expected 1..%d levels, got %d" % (limits.HSS_LEVELS, levels))
    key = bytes(public_key[4:])
    if _key_size(key, KeyRefused) != len(key):
        raise KeyRefused("hss: expected a public key as long as its type, got %d" % len(key))
    signature = memoryview(signature)
    _need(signature, 4)
    if _u32(signature, 0) != levels - 1:
        raise BadSignature("hss: expected %d levels, got %d" % (levels, _u32(signature, 0) + 1))
    signature = signature[4:]
    for _ in range(levels - 1):
        used = _signature_size(key)
        _need(signature, used + 8)
        end = used + _key_size(signature[used:], BadSignature)
        _need(signature, end)
        signed = bytes(signature[used:end])
        _verify_lms(key, signed, signature[:used])
        key = signed
        signature = signature[end:]
    _verify_lms(key, message, signature)


def _u32(data, o):
    return int.from_bytes(data[o : o + 4], "big")


def _need(data, size):
    if len(data) < size:
        raise BadSignature("hss: expected %d bytes, got %d" % (size, len(data)))


def _ots(code, error):
    """LM-OTS type -> n, w, p, ls (RFC 8554 4.1, appendix B; SP 800-208 4.2, 4.3)."""
    if not 1 <= code <= 8:
        raise error("hss: expected an LM-OTS type 1..8, got %d" % code)
    n = 32 if code < 5 else 24
    w = 1 << (code - 1 & 3)
    sums = 2 if w == 8 else 3 if w == 4 else 5 if w == 2 else 9 if n == 32 else 8
    return n, w, 8 * n // w + sums, 16 - w * sums


def _lms(code, error):
    """LMS type -> m, h (RFC 8554 5.1, SP 800-208 4.2, 4.3)."""
    if not 5 <= code <= 14:
        raise error("hss: expected an LMS type 5..14, got %d" % code)
    return (32, 24)[code >= 10], 5 * (code % 5 + 1)


def _key_size(key, error):
    """Bytes of the LMS public key that starts here; refuses a type that is none of ours."""
    if len(key) < 24:
        raise error("hss: expected a public key, got %d bytes" % len(key))
    m, _ = _lms(_u32(key, 0), error)
    if _ots(_u32(key, 4), error)[0] != m:
        raise error("hss: expected one hash for tree and leaves, got two")
    return 24 + m


def _signature_size(key):
    m, h = _lms(_u32(key, 0), KeyRefused)
    n, _, p, _ = _ots(_u32(key, 4), KeyRefused)
    return _OTS_HEAD + n * (p + 1) + 4 + h * m


def _digits(digest, w, ls):
    """The base-2**w digits of digest and checksum, one a byte (RFC 8554 4.4)."""
    top = (1 << w) - 1
    shifts = range(8 - w, -1, -w)
    digits = bytearray([byte >> s & top for byte in digest for s in shifts])
    total = (len(digits) * top - sum(digits)) << ls
    digits.extend(
        bytearray([byte >> s & top for byte in total.to_bytes(2, "big") for s in shifts])
    )
    return digits


def _verify_lms(key, message, signature):
    """One LMS signature of exactly its type's length (RFC 8554 5.4.2)."""
    size = _signature_size(key)
    if len(signature) != size:
        raise BadSignature("lms: expected %d bytes, got %d" % (size, len(signature)))
    m, h = _lms(_u32(key, 0), KeyRefused)
    n, w, p, ls = _ots(_u32(key, 4), KeyRefused)
    q = _u32(signature, 0)
    path = _OTS_HEAD + n * (p + 1)
    if signature[4:8] != key[4:8] or signature[path : path + 4] != key[0:4]:
        raise BadSignature("lms: expected the types of the key, got others")
    if q >> h:
        raise BadSignature("lms: expected a leaf below %d, got %d" % (1 << h, q))
    leaf = key[8:24] + bytes(signature[0:4])
    digest = sha256(leaf + _D_MESG)
    digest.update(signature[8 : 8 + n])
    digest.update(message)
    values = bytearray(signature[8 + n : path])
    chains(leaf, _digits(digest.digest()[:n], w, ls)[:p], values, n, (1 << w) - 1)
    node = sha256(leaf + _D_PBLC)
    node.update(values)
    root = _root(key[8:24], (1 << h) + q, node.digest()[:n], signature[path + 4 :], m)
    if root != key[24:]:
        raise BadSignature("lms: expected the root of the key, got another")


def _root(identity, r, leaf, path, m):
    """Leaf r's one-time key and its authentication path -> the root of the tree."""
    node = sha256(identity + r.to_bytes(4, "big") + _D_LEAF)
    node.update(leaf)
    o = 0
    while r > 1:
        below = node.digest()[:m]
        beside = path[o : o + m]
        node = sha256(identity + (r >> 1).to_bytes(4, "big") + _D_INTR)
        node.update(beside if r & 1 else below)
        node.update(below if r & 1 else beside)
        r >>= 1
        o += m
    return node.digest()[:m]
