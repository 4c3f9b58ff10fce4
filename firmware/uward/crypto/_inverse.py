"""The inverse modulo a prime: Lehmer's algorithm where its inner loop runs natively, else
Euclid's."""

try:
    from uward.crypto._inverse_native import inverse
except (ImportError, ValueError):  # S22: no build for this architecture

    def inverse(a, m):
        """Of a in 1..m-1."""
        u, v, x, y = m, a, 0, 1
        while v > 1:
            q = u // v
            u, v = v, u - q * v
            x, y = y, x - q * y
        return y % m


__all__ = ("inverse",)
