"""The native primitives that all else rests on: AES in ECB and CBC, SHA-256.

`aes(key, mode[, iv])` has encrypt(src, dst) and decrypt(src, dst): dst may be src, lengths are
multiples of 16, and CBC goes on where the last call ended. Stock firmware has it in C; on CPython
the stand-in uses `cryptography`.
"""

from hashlib import sha256

try:
    from cryptolib import aes
except ImportError:
    from uward.crypto._cpython import aes

ECB = 1
CBC = 2

__all__ = ("CBC", "ECB", "aes", "sha256")
