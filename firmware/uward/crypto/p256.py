"""ECDSA (FIPS 186-5), ECDH on P-256. All bytes: private 32, public x | y 64, signature r | s 64.

On RP2040 the point arithmetic runs in Thumb code (`_p256_native`), elsewhere on MicroPython's big
integers (`_p256_plain`). Neither runs in constant time: somebody who measures a board's power or
timing while it signs may learn its key; the docs say so.
"""

from uward import limits
from uward.crypto._inverse import inverse
from uward.crypto.hash import hmac
from uward.errors import BadSignature, KeyRefused, RngError

try:
    from uward.crypto._p256_native import combine

    high = None  # what it would spare is less than what it takes to keep

    def slices(u1, u2, x, y, far):
        yield combine(u1, u2, x, y)  # 60 ms: one slice

except (ImportError, ValueError, SyntaxError):  # S22; SyntaxError: source where no asm_thumb is
    from uward.crypto._p256_plain import combine, high, slices

_P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B


def verify(public_key_xy, digest, signature_rs):
    """BadSignature, or KeyRefused for a key that is no point; digest: 32 bytes."""
    for _ in verifying(public_key_xy, digest, signature_rs):
        pass


def verifying(public_key_xy, digest, signature_rs, far=b""):
    """`verify` as a generator: others may run between its slices (S18); far: the key's, or b""."""
    x, y = _point(public_key_xy)
    e = _digest(digest)
    if len(signature_rs) != 64:
        raise BadSignature("p256: expected a signature of 64 bytes, got %d" % len(signature_rs))
    r = int.from_bytes(signature_rs[:32], "big")
    s = int.from_bytes(signature_rs[32:], "big")
    if not (0 < r < _N and 0 < s < _N):
        raise BadSignature("p256: expected r and s in 1..n-1, got others")
    w = inverse(s, _N)
    for point in slices(e * w % _N, r * w % _N, x, y, far):
        if point is None:
            yield
    x, _, z = point
    zz = z * z % _P  # x(R) mod n = r, without a division: x = X / Z**2
    if z and ((r * zz - x) % _P == 0 or (r < _P - _N and ((r + _N) * zz - x) % _P == 0)):
        return
    raise BadSignature("p256: expected the key's signature, got another")


def sign(private_key, digest):
    """-> signature, with the nonce of RFC 6979; digest: 32 bytes."""
    d = _scalar(private_key)
    e = _digest(digest)
    for k in _nonces(d, e):
        x, _ = _affine(combine(k, 0, 0, 0))
        r = x % _N
        s = inverse(k, _N) * (e + r * d) % _N
        if r and s:
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    raise KeyRefused("p256: expected a usable nonce, got none")


def keygen(rng):
    """rng(n) -> n random bytes. -> (private key, public key)."""
    for _ in range(limits.P256_TRIES):
        private = rng(32)
        if 0 < int.from_bytes(private, "big") < _N:
            return private, public_key(private)
    raise RngError("p256: expected a scalar in %d tries, got none" % limits.P256_TRIES)


def public_key(private_key):
    x, y = _affine(combine(_scalar(private_key), 0, 0, 0))
    return x.to_bytes(32, "big") + y.to_bytes(32, "big")


def far(public_key_xy):
    """What halves the doublings of `verifying` by this key: 2**128 times it as x | 2y, 64 bytes;
    b"" where it would be of no use. Who verifies checks the key itself."""
    if high is None:
        return b""
    x = int.from_bytes(public_key_xy[:32], "big")
    y = int.from_bytes(public_key_xy[32:], "big")
    x, y = _affine(high(x, y))
    return x.to_bytes(32, "big") + ((y << 1) % _P).to_bytes(32, "big")


def ecdh(private_key, public_key_xy):
    """-> x of the shared point, 32 bytes (SP 800-56A 5.7.1.2); the peer's point is checked."""
    x, y = _point(public_key_xy)
    return _affine(combine(0, _scalar(private_key), x, y))[0].to_bytes(32, "big")


def _scalar(private_key):
    d = int.from_bytes(private_key, "big")
    if len(private_key) != 32 or not 0 < d < _N:
        raise KeyRefused("p256: expected a private key of 32 bytes in 1..n-1, got another")
    return d


def _digest(digest):
    if len(digest) != 32:
        raise KeyRefused("p256: expected a digest of 32 bytes, got %d" % len(digest))
    return int.from_bytes(digest, "big")


def _point(public_key_xy):
    """-> x, y of a point on the curve (SP 800-56A 5.6.2.3.4; the cofactor is 1)."""
    if len(public_key_xy) != 64:
        raise KeyRefused("p256: expected a public key of 64 bytes, got %d" % len(public_key_xy))
    x = int.from_bytes(public_key_xy[:32], "big")
    y = int.from_bytes(public_key_xy[32:], "big")
    if x >= _P or y >= _P or (y * y - x * x * x + 3 * x - _B) % _P:
        raise KeyRefused("p256: expected a point on the curve, got another")
    return x, y


def _affine(point):
    """Jacobian (X, W = 2Y, Z) -> x, y."""
    x, w, z = point
    zi = inverse(z, _P)
    square = zi * zi % _P
    w = w * square % _P * zi % _P
    return x * square % _P, (w if not w & 1 else w + _P) >> 1


def _nonces(d, e):
    """RFC 6979 3.2, with HMAC-SHA256."""
    seed = d.to_bytes(32, "big") + (e % _N).to_bytes(32, "big")
    key = bytes(32)
    v = b"\1" * 32
    for step in (b"\0", b"\1"):
        key = hmac(key, v + step + seed)
        v = hmac(key, v)
    for _ in range(limits.P256_TRIES):
        v = hmac(key, v)
        k = int.from_bytes(v, "big")
        if 0 < k < _N:
            yield k
        key = hmac(key, v + b"\0")
        v = hmac(key, v)
