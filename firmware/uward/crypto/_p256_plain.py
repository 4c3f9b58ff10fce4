"""P-256 point arithmetic on big integers: for ports without Thumb code, and for crafted inputs.

Jacobian coordinates with W = 2Y, which saves doublings; sums are reduced late.
"""

from uward.crypto._p256_table import ODD_MULTIPLES

_P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_WIDTH_G = 7  # bits of a signed digit: the table holds 1, 3 .. 63 times G
_WIDTH_Q = 5  # 1, 3 .. 15 times Q


def combine(u1, u2, x, y):
    """u1 G + u2 (x, y) -> (X, W, Z); Z = 0 is infinity. Scalars 0..n-1 (Shamir, wNAF)."""
    steps = [(i, digit, None) for i, digit in _digits(u1, _WIDTH_G)]
    if u2:
        odd = _odd_multiples(x, (y << 1) % _P, 1 << _WIDTH_Q - 2)
        steps += [(i, digit, odd) for i, digit in _digits(u2, _WIDTH_Q)]
    steps.sort(key=lambda step: -step[0])
    point = 1, 2, 0
    at = 0
    for i, digit, odd in steps:
        point = _double(point, at - i)
        at = i
        x, w = odd[abs(digit) >> 1] if odd else _base(abs(digit) >> 1)
        point = _add(point, x, _P - w if digit < 0 else w)
    return _double(point, at)


def _base(index):
    raw = ODD_MULTIPLES[index << 6 : index + 1 << 6]
    return int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")


def _double(point, times, P=_P):
    X, W, Z = point
    while times > 0:
        times -= 1
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
    """Width-w signed digits of k, odd or left out: [(position, digit)], lowest first."""
    out = []
    i = 0
    mask = (1 << width) - 1
    while k:
        low = k & 255
        if not low:
            k >>= 8
            i += 8
            continue
        while not low & 1:
            low >>= 1
            k >>= 1
            i += 1
        digit = k & mask
        if digit > mask >> 1:
            digit -= mask + 1
        out.append((i, digit))
        k = k - digit >> width
        i += width
    return out


def _inverse(a):
    # extended Euclid, as in `p256`
    x, y, u, v = 1, 0, a, _P
    while u > 1:
        q = v // u
        v, u = u, v - q * u
        y, x = x, y - q * x
    return x % _P


def _normalise(points):
    """[(X, W, Z)] -> [(x, w)] with one inversion."""
    products = []
    product = 1
    for point in points:
        products.append(product)
        product = product * point[2] % _P
    inverse = _inverse(product)
    out = []
    for i in range(len(points) - 1, -1, -1):
        X, W, Z = points[i]
        zi = inverse * products[i] % _P
        inverse = inverse * Z % _P
        square = zi * zi % _P
        out.append((X * square % _P, W * square % _P * zi % _P))
    out.reverse()
    return out


def _odd_multiples(x, w, count):
    """1, 3 .. 2 count - 1 times the affine point (x, w)."""
    point = x, w, 1
    x2, w2 = _normalise([_double(point, 1)])[0]
    points = [point]
    for _ in range(count - 1):
        point = _add(point, x2, w2)
        points.append(point)
    return _normalise(points)
