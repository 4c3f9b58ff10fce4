"""P-256 for ports without Thumb code: big integers and a table of the base point."""

from uward.crypto import _p256_group
from uward.crypto._p256_table import ODD_MULTIPLES

_WIDTH = 8  # bits of a signed digit: the table holds 1, 3 .. 127 times G


def combine(u1, u2, x, y):
    """u1 G + u2 (x, y) -> (X, W, Z); Z = 0 is infinity. Scalars 0..n-1."""
    return _p256_group.combine(u1, u2, x, y, ODD_MULTIPLES, _WIDTH)


def slices(u1, u2, x, y):
    """The same as a generator: None now and then, the point at last (S18)."""
    return _p256_group.slices(u1, u2, x, y, ODD_MULTIPLES, _WIDTH)
