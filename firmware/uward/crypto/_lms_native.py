"""The inner loops of LMS in viper (S22): Winternitz chains, nine tenths of the work, and the path.

The hash input lies in one buffer whose values are word aligned: `pad 1 | I 16 | q 4 | i 2 | j 1 |
value` in a chain, `pad 2 | I 16 | r 4 | D_INTR 2 | left | right` on the path. The hash and its
digest are called as plain functions.
"""
# ruff: noqa: F401, F821 - viper's names are the compiler's

from micropython import const  # CPython stops here: ImportError

from uward.crypto._primitives import sha256


def chains(leaf, digits, values, n, end):
    """Advance chain i from digit i to `end`, in place in values (n bytes a chain)."""
    buffer = bytearray(56)
    buffer[1:21] = leaf
    source = memoryview(buffer)[1 : 24 + n]
    _chains(sha256, sha256.digest, buffer, source, digits, values, n, len(digits), end)


@micropython.viper
def _chains(sha, digest, buffer, source, digits, values, n: int, p: int, end: int):
    b = ptr8(buffer)
    t = ptr32(uint(b) + uint(24))
    v = ptr32(values)
    d = ptr8(digits)
    words = n >> 2
    i = 0
    while i < p:
        b[21] = i >> 8
        b[22] = i
        k = 0
        while k < words:
            t[k] = v[k]
            k += 1
        j = int(d[i])
        while j < end:
            b[23] = j
            s = ptr32(digest(sha(source)))
            t[0] = s[0]
            t[1] = s[1]
            t[2] = s[2]
            t[3] = s[3]
            t[4] = s[4]
            t[5] = s[5]
            if words == 8:
                t[6] = s[6]
                t[7] = s[7]
            j += 1
        k = 0
        while k < words:
            v[k] = t[k]
            k += 1
        v = ptr32(uint(v) + uint(n))
        i += 1


def climb(identity, r, node, path, m):
    """Node r (its first m bytes count) and what lies beside its way up -> the root, m bytes.

    path: word aligned.
    """
    buffer = bytearray(88)
    buffer[2:18] = identity
    buffer[22] = buffer[23] = 0x83
    source = memoryview(buffer)[2 : 24 + 2 * m]
    return _climb(sha256, sha256.digest, buffer, source, r, node, path, m)[:m]


@micropython.viper
def _climb(sha, digest, buffer, source, r: int, node, path, m: int):
    b = ptr8(buffer)
    beside = ptr32(path)
    words = m >> 2
    while r > 1:
        left = ptr32(uint(b) + uint(24))
        right = ptr32(uint(left) + uint(m))
        if r & 1:
            other = left  # no tuple: viper would make objects of the pointers
            left = right
            right = other
        r >>= 1
        b[18] = r >> 24
        b[19] = r >> 16
        b[20] = r >> 8
        b[21] = r
        below = ptr32(node)
        k = 0
        while k < words:
            left[k] = below[k]
            right[k] = beside[k]
            k += 1
        beside = ptr32(uint(beside) + uint(m))
        node = digest(sha(source))
    return node
