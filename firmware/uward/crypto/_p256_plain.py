"""P-256 for ports without Thumb code: big integers and tables of the base point.

What takes longest is doubling, once for each bit of the longest scalar. A scalar of the base point
is cut in halves, of which the upper one belongs to 2**128 G; so is that of a key whose multiple by
2**128 is known. Then 128 doublings do for 256.
"""

from uward.crypto import _p256_group
from uward.crypto._p256_table import ODD_MULTIPLES

_WIDTH = 8  # bits of a signed digit: the table holds 1, 3 .. 127 times G
_WIDTH_HIGH = 7  # 1, 3 .. 63 times 2**128 G
_HALF = 128
_LOW = (1 << _HALF) - 1


def combine(u1, u2, x, y):
    """u1 G + u2 (x, y) -> (X, W, Z); Z = 0 is infinity. Scalars 0..n-1."""
    return _p256_group.last(slices(u1, u2, x, y))


def slices(u1, u2, x, y, far=b""):
    """The same as a generator: None now and then, the point at last (S18). far: as `high`."""
    parts = []
    if u2:
        point = x, (y << 1) % _p256_group.P
        if far:
            other = int.from_bytes(far[:32], "big"), int.from_bytes(far[32:], "big")
            parts = _p256_group.with_tables([(u2 & _LOW, point), (u2 >> _HALF, other)])
        else:
            parts = _p256_group.with_tables([(u2, point)])
        yield
    if far or not u2:
        from uward.crypto import _p256_high  # 2 KB that other checks do without

        parts.append((u1 & _LOW, ODD_MULTIPLES, _WIDTH))
        parts.append((u1 >> _HALF, _p256_high.HIGH_MULTIPLES, _WIDTH_HIGH))
    else:
        parts.append((u1, ODD_MULTIPLES, _WIDTH))
    yield from _p256_group.total(parts)


high = _p256_group.high
