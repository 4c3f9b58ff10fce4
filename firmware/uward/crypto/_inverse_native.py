"""Lehmer's gcd (Knuth 4.5.2, algorithm L): quotients from the leading 30 bits, in viper (S22).

12 ms become 8 on RP2040: the big integers are touched once for some nine quotients.
"""
# ruff: noqa: F821 - viper's names are the compiler's

from array import array

from micropython import const  # CPython stops here: ImportError

_BITS = const(30)  # of a leading part: sums with a cofactor stay below 2**31


def inverse(a, m):
    """Of a in 1..m-1, m below 2**256."""
    u, v, x, y = m, a, 0, 1
    cofactors = array("i", (0, 0, 0, 0))
    shift = 256 - _BITS
    while v > 1:
        lead = u >> shift
        while shift and not lead >> _BITS - 1:
            shift = max(shift - _missing(lead), 0)
            lead = u >> shift
        if _quotients(lead, v >> shift, cofactors):
            a, b, c, d = cofactors
            u, v = a * u + b * v, c * u + d * v
            x, y = a * x + b * y, c * x + d * y
        else:
            q = u // v
            u, v = v, u - q * v
            x, y = y, x - q * y
    return y % m


@micropython.viper
def _missing(lead: int) -> int:
    """How many bits lead is short of `_BITS`."""
    n = 0
    while n < 30 and (lead >> (29 - n)) == 0:
        n += 1
    return n


@micropython.viper
def _quotients(u: int, v: int, cofactors) -> int:
    """Run Euclid on the leading parts while the quotients are certain; 0: none was."""
    a = 1
    b = 0
    c = 0
    d = 1
    go = 1
    while go:
        go = 0
        if v + c != 0 and v + d != 0:
            q = (u + a) // (v + c)
            if q == (u + b) // (v + d):
                t = a - q * c
                a = c
                c = t
                t = b - q * d
                b = d
                d = t
                t = u - q * v
                u = v
                v = t
                go = 1
    out = ptr32(cofactors)
    out[0] = a
    out[1] = b
    out[2] = c
    out[3] = d
    return b
