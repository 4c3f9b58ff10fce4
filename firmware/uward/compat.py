"""What CPython lacks of MicroPython's language: `const`.

The MicroPython compiler folds `const(...)` itself; elsewhere it is the identity.
"""

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


__all__ = ("const",)
