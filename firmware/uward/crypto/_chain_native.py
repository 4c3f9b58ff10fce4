"""The Winternitz chains of LMS for RP2040, over SHA-256 in `asm_thumb`.

`hashlib` costs 113 us a step, half of it for making the object; this costs 58. A step's input,
`I 16 | q 4 | i 2 | j 1 | value`, fits one block for both lengths of a value (47 and 55 bytes).
"""
# ruff: noqa: F821 - viper's names are the compiler's

from uward.crypto._sha256_native import INITIAL, WORDS, WORK, K, blocks


def chains(leaf, digits, values, n, end):
    """Advance chain i from digit i to `end`, in place in values (n bytes a chain)."""
    ring = bytearray(WORK)
    ring[:32] = INITIAL
    for o in range(0, 20, 4):
        ring[WORDS + o : WORDS + o + 4] = bytes(reversed(leaf[o : o + 4]))
    ring[WORDS + 60 : WORDS + 62] = (8 * (23 + n)).to_bytes(2, "little")
    _chains(blocks, ring, K, digits, len(digits), values, n >> 2, end)


@micropython.viper
def _chains(run, ring, k, digits, p: int, values, n: int, end: int):
    r = ptr32(ring)
    w = ptr32(uint(ptr8(ring)) + uint(544))  # WORDS
    d = ptr8(digits)
    v = ptr8(values)
    for i in range(p):
        j = int(d[i])
        m = 5  # the value lies a byte before a word of the block: its words are shifted
        head = (i << 16) | int(v[0])
        for c in range(n):
            w[m + 1] = (int(v[1]) << 24) | (int(v[2]) << 16) | (int(v[3]) << 8)
            m += 1
            if c + 1 < n:
                w[m] = w[m] | int(v[4])
            v = ptr8(uint(v) + uint(4))
        w[m] = w[m] | 0x80
        while j < end:
            w[5] = head | (j << 8)
            run(ring, None, 1, k)
            a = uint(r[6] + r[134])
            head = (i << 16) | int(a >> 24)
            b = uint(r[4] + r[132])
            w[6] = int((a << 8) | (b >> 24))
            a = uint(r[2] + r[130])
            w[7] = int((b << 8) | (a >> 24))
            b = uint(r[0] + r[128])
            w[8] = int((a << 8) | (b >> 24))
            a = uint(r[7] + r[135])
            w[9] = int((b << 8) | (a >> 24))
            b = uint(r[5] + r[133])
            w[10] = int((a << 8) | (b >> 24))
            if n == 6:
                w[11] = int((b << 8) | uint(0x80))
            else:
                a = uint(r[3] + r[131])
                w[11] = int((b << 8) | (a >> 24))
                b = uint(r[1] + r[129])
                w[12] = int((a << 8) | (b >> 24))
                w[13] = int((b << 8) | uint(0x80))
            j += 1
        v = ptr8(uint(v) - uint(n << 2))
        m = 5
        v[0] = head
        for c in range(n):
            m += 1
            v[1] = w[m] >> 24
            v[2] = w[m] >> 16
            v[3] = w[m] >> 8
            if c + 1 < n:
                v[4] = w[m]
            v = ptr8(uint(v) + uint(4))
