"""The two inner loops of counter mode in viper: counter blocks and XOR (S22).

Words are used only where both buffers are word aligned: RP2040 faults otherwise. The counter is
written byte by byte into a word, so that the 64-bit Unix port gives the same result.
"""
# ruff: noqa: F401, F821 - viper's names are the compiler's

from micropython import const  # CPython stops here: ImportError


@micropython.viper
def counters(blocks, head, n: int, count: uint):
    """Write n blocks `head[0:12] | count, count+1, ..` (big endian); all word aligned."""
    b = ptr32(blocks)
    h = ptr32(head)
    x = h[0]
    y = h[1]
    z = h[2]
    i = 0
    end = n << 2
    while i < end:
        b[i] = x
        b[i + 1] = y
        b[i + 2] = z
        b[i + 3] = int(
            ((count & 0xFF) << 24)
            | ((count & 0xFF00) << 8)
            | ((count >> 8) & 0xFF00)
            | ((count >> 24) & 0xFF)
        )
        count += uint(1)
        i += 4


@micropython.viper
def xor(data, stream, n: int):
    """data[0:n] ^= stream[0:n]."""
    a = ptr32(data)
    b = ptr32(stream)
    words = n & -32
    if (uint(a) | uint(b)) & 3:
        words = 0
    i = 0
    end = words >> 2
    while i < end:
        a[i] = a[i] ^ b[i]
        a[i + 1] = a[i + 1] ^ b[i + 1]
        a[i + 2] = a[i + 2] ^ b[i + 2]
        a[i + 3] = a[i + 3] ^ b[i + 3]
        a[i + 4] = a[i + 4] ^ b[i + 4]
        a[i + 5] = a[i + 5] ^ b[i + 5]
        a[i + 6] = a[i + 6] ^ b[i + 6]
        a[i + 7] = a[i + 7] ^ b[i + 7]
        i += 8
    x = ptr8(data)
    y = ptr8(stream)
    i = words
    while i < n:
        x[i] = x[i] ^ y[i]
        i += 1
