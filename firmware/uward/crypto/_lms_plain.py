"""The inner loops of `_lms_native` in bytecode: for ports without a build of it."""

from uward.crypto._primitives import sha256


def chains(leaf, digits, values, n, end):
    """Advance chain i from digit i to `end`, in place in values (n bytes a chain)."""
    o = 0
    for i, j in enumerate(digits):
        head = leaf + i.to_bytes(2, "big")
        value = values[o : o + n]
        while j < end:
            value = sha256(head + bytes((j,)) + value).digest()[:n]
            j += 1
        values[o : o + n] = value
        o += n


def climb(identity, r, node, path, m):
    """Node r (its first m bytes count) and what lies beside its way up -> the root, m bytes."""
    o = 0
    while r > 1:
        below = node[:m]
        beside = path[o : o + m]
        pair = beside + below if r & 1 else below + beside
        r >>= 1
        node = sha256(identity + r.to_bytes(4, "big") + b"\x83\x83" + pair).digest()
        o += m
    return node[:m]
