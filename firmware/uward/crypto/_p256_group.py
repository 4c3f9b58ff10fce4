"""P-256 point arithmetic on big integers (FIPS 186-5 appendix G.1).

Jacobian coordinates with W = 2Y, which saves doublings; sums are reduced late.
"""

from uward.crypto._inverse import inverse

P = _P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_GX = 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
_GY = 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5
_SLICE = 4  # additions, each after about three doublings, between two rests: 30 ms on RP2040
_WIDTH = 5  # bits of a signed digit: a table holds 1, 3 .. 15 times its point


def combine(u1, u2, x, y):
    """u1 G + u2 (x, y) -> (X, W, Z); Z = 0 is infinity. Scalars 0..n-1. Exact for all inputs."""
    parts = [(u1, (_GX, (_GY << 1) % _P)), (u2, (x, (y << 1) % _P))]
    return last(total(with_tables([part for part in parts if part[0]])))


def last(slices):
    """The point at the end of `slices`."""
    point = None
    for found in slices:
        point = found
    return point


def with_tables(parts):
    """[(scalar, (x, 2y))] -> parts for `total`: the tables are made with one inversion."""
    tables = _odd_multiples([point for _, point in parts])
    return [(parts[i][0], tables[i], _WIDTH) for i in range(len(parts))]


def total(parts):
    """The sum of scalars times points -> (X, W, Z) (Shamir, wNAF). Exact for all inputs.

    parts: at most 4 of (scalar, the point's odd multiples, width of a digit in bits <= 8);
    multiples as [(x, 2y)] or as bytes, 64 each. A generator: None now and then, so that others
    may run (S18), the point at last.
    """
    steps = []  # position, part and digit in one number: numbers sort without a call
    for part, (scalar, _, width) in enumerate(parts):
        steps += [(i << 2 | part) << 8 | digit + 128 for i, digit in _digits(scalar, width)]
        yield
    steps.sort(reverse=True)
    point = 1, 2, 0
    at = 0
    rest = _SLICE
    for step in steps:
        i = step >> 10
        digit = (step & 255) - 128
        rest -= 1
        if not rest:
            rest = _SLICE
            yield
        point = _double(point, at - i)
        at = i
        x, w = _entry(parts[step >> 8 & 3][1], abs(digit) >> 1)
        point = _add(point, x, _P - w if digit < 0 else w)
    yield _double(point, at)


def high(x, y):
    """2**128 (x, y) -> (X, W, Z)."""
    return _double((x, (y << 1) % _P, 1), 128)


def _entry(table, index):
    if isinstance(table, list):
        return table[index]
    raw = table[index << 6 : index + 1 << 6]
    return int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")


def _double(point, times, P=_P):
    X, W, Z = point
    for _ in range(times):
        d = Z * Z % P
        g = W * W % P
        b = X * g % P
        a = (X - d) * (X + d) * 3 % P
        X = (a * a - (b << 1)) % P
        Z = W * Z % P
        W = ((a * (b - X) << 1) - g * g) % P
    return X, W, Z


def _add(point, x, w, P=_P):
    """Mixed addition of the affine point (x, w)."""
    X, W, Z = point
    if not Z:
        return x, w, 1
    zz = Z * Z % P
    h = x * zz % P - X
    r = w * (Z * zz % P) % P - W
    if not h:
        return _double(point, 1) if not r else (1, 2, 0)
    i = h * h % P << 2
    j = h * i % P
    v = X * i % P
    x = (r * r - j - (v << 1)) % P
    return x, (r * (v - x) - W * j << 1) % P, (Z * h << 1) % P


def _digits(k, width):
    """Width-w signed digits of k < 2**256, odd or left out: [(position, digit)], lowest first.

    Small integers alone: three bytes of k hold any digit of up to 16 bits.
    """
    out = []
    data = k.to_bytes(35, "little")
    end = 257 if k >> 128 else 129
    mask = (1 << width) - 1
    half = mask >> 1
    i = carry = 0
    while i < end:
        o = i >> 3
        digit = (data[o] | data[o + 1] << 8 | data[o + 2] << 16) >> (i & 7)
        if digit & 1 == carry:
            i += 1
            continue
        digit = (digit & mask) + carry
        carry = 0
        if digit > half:
            digit -= mask + 1
            carry = 1
        out.append((i, digit))
        i += width
    return out


def _odd_multiples(points, P=_P):
    """1, 3 .. 15 times each affine point (x, w), affine again: [[(x, w)]]; one inversion
    normalises all."""
    sums = []
    product = 1
    for x, w in points:
        product = _co_z_sums(x, w, sums, product)
    zi = inverse(product, P) if sums else 1
    tables = [[point] for point in points]
    count = (1 << _WIDTH - 2) - 1
    for number in range(len(sums) - 1, -1, -1):
        X, W, Z, before = sums[number]
        i = zi * before % P
        zi = zi * Z % P
        g = i * i % P
        tables[number // count].insert(1, (X * g % P, W * g % P * i % P))
    return tables


def _co_z_sums(x, w, sums, product, P=_P):
    """Append 3, 5 .. 15 times the affine point as (X, W, Z, product of the Z before). -> product.

    Twice the point is added over and over, scaled each time to the Z of the sum (co-Z addition,
    Meloni 2007), which makes 7 multiplications of 11.
    """
    g = w * w % P
    b = x * g % P
    a = (x - 1) * (x + 1) * 3 % P
    X2 = (a * a - (b << 1)) % P
    X, W, Z = b, g * g % P, w  # the point itself
    W2 = ((a * (b - X2) << 1) - W) % P  # (X2, W2): twice the point
    for _ in range((1 << _WIDTH - 2) - 1):
        h = X2 - X
        i = h * h % P << 2
        X2 = X2 * i % P
        r = W2 - W
        v = X * i % P
        X = (r * r - X2 - v) % P
        W2 = W2 * (X2 - v << 1) % P
        W = ((r * (X2 - X) << 1) - W2) % P
        Z = Z * (h << 1) % P
        sums.append((X, W, Z, product))
        product = product * Z % P
    return product
