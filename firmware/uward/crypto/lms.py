"""HSS/LMS signature verification (RFC 8554), SHA-256 and SHA-256/192 (SP 800-208), L = 1..8.

Imported when needed and dropped (S20). The work is hashing: mean calls 383 (M24, W4), 3315 (W8).
"""

from uward import limits
from uward.crypto._primitives import sha256
from uward.errors import BadSignature, KeyRefused

try:
    from uward.crypto._lms_native import chains, climb
except (ImportError, ValueError):  # S22: no build for this architecture
    from uward.crypto._lms_plain import chains, climb
try:
    from uward.crypto._chain_native import chains
except (ImportError, ValueError, SyntaxError):  # not RP2040: the chains above
    pass

_OTS_HEAD = 8  # u32 q, u32 LM-OTS type: before the randomizer C
_D_PBLC = b"\x80\x80"  # RFC 8554 7.1: what a hash is for
_D_MESG = b"\x81\x81"
_D_LEAF = b"\x82\x82"


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
    kind = _parameters(key, KeyRefused)
    if len(key) != 24 + kind[0]:
        raise KeyRefused("hss: expected a public key as long as its type, got %d" % len(key))
    signature = memoryview(signature)
    _need(signature, 4)
    if _u32(signature, 0) != levels - 1:
        raise BadSignature("hss: expected %d levels, got %d" % (levels, _u32(signature, 0) + 1))
    signature = signature[4:]
    for _ in range(levels - 1):
        used = _signature_size(kind)
        _need(signature, used)
        below = _parameters(signature[used : used + 24], BadSignature)
        end = used + 24 + below[0]
        _need(signature, end)
        signed = bytes(signature[used:end])
        _verify_lms(key, kind, signed, signature[:used])
        key, kind = signed, below
        signature = signature[end:]
    _verify_lms(key, kind, message, signature)


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


def _parameters(key, error):
    """The LMS public key that starts here -> m, h, w, p, ls; n is m (one hash for both)."""
    if len(key) < 24:
        raise error("hss: expected a public key, got %d bytes" % len(key))
    m, h = _lms(_u32(key, 0), error)
    n, w, p, ls = _ots(_u32(key, 4), error)
    if n != m:
        raise error("hss: expected one hash for tree and leaves, got two")
    return m, h, w, p, ls


def _signature_size(kind):
    m, h, _, p, _ = kind
    return _OTS_HEAD + m * (p + 1) + 4 + h * m


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


def _verify_lms(key, kind, message, signature):
    """One LMS signature of exactly its type's length (RFC 8554 5.4.2)."""
    m, h, w, p, ls = kind
    if len(signature) != _signature_size(kind):
        size = _signature_size(kind)
        raise BadSignature("lms: expected %d bytes, got %d" % (size, len(signature)))
    q = _u32(signature, 0)
    path = _OTS_HEAD + m * (p + 1)
    if signature[4:8] != key[4:8] or signature[path : path + 4] != key[0:4]:
        raise BadSignature("lms: expected the types of the key, got others")
    if q >> h:
        raise BadSignature("lms: expected a leaf below %d, got %d" % (1 << h, q))
    identity = key[8:24]
    leaf = identity + bytes(signature[0:4])
    digest = sha256(leaf + _D_MESG)
    digest.update(signature[8 : 8 + m])
    digest.update(message)
    values = bytearray(signature[8 + m : path])
    chains(leaf, _digits(digest.digest()[:m], w, ls)[:p], values, m, (1 << w) - 1)
    public = sha256(leaf + _D_PBLC)
    public.update(values)
    r = (1 << h) + q
    node = sha256(identity + r.to_bytes(4, "big") + _D_LEAF + public.digest()[:m]).digest()
    if climb(identity, r, node, bytearray(signature[path + 4 :]), m) != key[24:]:
        raise BadSignature("lms: expected the root of the key, got another")
