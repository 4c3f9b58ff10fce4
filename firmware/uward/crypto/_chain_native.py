"""The Winternitz chains of LMS for RP2040: SHA-256 of one block in Thumb-1 code (FIPS 180-4 6.2).

`hashlib` costs 113 us a step, half of it for making the object; this costs 58. A step's input,
`I 16 | q 4 | i 2 | j 1 | value`, fits one block for both lengths of a value (47 and 55 bytes).

The working variables lie in a ring of pairs, two words further each round, so that none is moved:
d h c g b f a e at its start, the next a and e behind them.
"""
# ruff: noqa: F821 - viper's and the assembler's names are the compiler's

from micropython import const  # CPython stops here: ImportError

_RING = const(544)  # bytes: 4 pairs to start with and one for each of 64 rounds

_K = (  # FIPS 180-4 4.2.2, little endian, and a zero that ends the rounds
    b"\x98\x2f\x8a\x42\x91\x44\x37\x71\xcf\xfb\xc0\xb5\xa5\xdb\xb5\xe9"
    b"\x5b\xc2\x56\x39\xf1\x11\xf1\x59\xa4\x82\x3f\x92\xd5\x5e\x1c\xab"
    b"\x98\xaa\x07\xd8\x01\x5b\x83\x12\xbe\x85\x31\x24\xc3\x7d\x0c\x55"
    b"\x74\x5d\xbe\x72\xfe\xb1\xde\x80\xa7\x06\xdc\x9b\x74\xf1\x9b\xc1"
    b"\xc1\x69\x9b\xe4\x86\x47\xbe\xef\xc6\x9d\xc1\x0f\xcc\xa1\x0c\x24"
    b"\x6f\x2c\xe9\x2d\xaa\x84\x74\x4a\xdc\xa9\xb0\x5c\xda\x88\xf9\x76"
    b"\x52\x51\x3e\x98\x6d\xc6\x31\xa8\xc8\x27\x03\xb0\xc7\x7f\x59\xbf"
    b"\xf3\x0b\xe0\xc6\x47\x91\xa7\xd5\x51\x63\xca\x06\x67\x29\x29\x14"
    b"\x85\x0a\xb7\x27\x38\x21\x1b\x2e\xfc\x6d\x2c\x4d\x13\x0d\x38\x53"
    b"\x54\x73\x0a\x65\xbb\x0a\x6a\x76\x2e\xc9\xc2\x81\x85\x2c\x72\x92"
    b"\xa1\xe8\xbf\xa2\x4b\x66\x1a\xa8\x70\x8b\x4b\xc2\xa3\x51\x6c\xc7"
    b"\x19\xe8\x92\xd1\x24\x06\x99\xd6\x85\x35\x0e\xf4\x70\xa0\x6a\x10"
    b"\x16\xc1\xa4\x19\x08\x6c\x37\x1e\x4c\x77\x48\x27\xb5\xbc\xb0\x34"
    b"\xb3\x0c\x1c\x39\x4a\xaa\xd8\x4e\x4f\xca\x9c\x5b\xf3\x6f\x2e\x68"
    b"\xee\x82\x8f\x74\x6f\x63\xa5\x78\x14\x78\xc8\x84\x08\x02\xc7\x8c"
    b"\xfa\xff\xbe\x90\xeb\x6c\x50\xa4\xf7\xa3\xf9\xbe\xf2\x78\x71\xc6"
    b"\x00\x00\x00\x00"
)
_INITIAL = (  # FIPS 180-4 5.3.3, in the order of the ring
    b"\x3a\xf5\x4f\xa5\x19\xcd\xe0\x5b\x72\xf3\x6e\x3c\xab\xd9\x83\x1f"
    b"\x85\xae\x67\xbb\x8c\x68\x05\x9b\x67\xe6\x09\x6a\x7f\x52\x0e\x51"
)


@micropython.asm_thumb
def compress(r0, r1, r2):
    """r0: ring; r1: 64 words, of which the first 16 are the block; r2: _K."""
    push({r0})
    mov(r0, 48)
    label(SCHEDULE)
    ldr(r3, [r1, 0])
    ldr(r4, [r1, 36])
    add(r3, r3, r4)
    ldr(r4, [r1, 4])  # sigma 0: rotate 7, rotate 18, shift 3
    mov(r5, r4)
    mov(r6, 7)
    ror(r5, r6)
    mov(r7, r5)
    mov(r6, 11)
    ror(r7, r6)
    eor(r5, r7)
    lsr(r4, r4, 3)
    eor(r5, r4)
    add(r3, r3, r5)
    ldr(r4, [r1, 56])  # sigma 1: rotate 17, rotate 19, shift 10
    mov(r5, r4)
    mov(r6, 17)
    ror(r5, r6)
    mov(r7, r5)
    mov(r6, 2)
    ror(r7, r6)
    eor(r5, r7)
    lsr(r4, r4, 10)
    eor(r5, r4)
    add(r3, r3, r5)
    str(r3, [r1, 64])
    add(r1, r1, 4)
    sub(r0, r0, 1)
    bne(SCHEDULE)
    pop({r0})
    sub(r1, 192)
    ldr(r4, [r2, 0])
    label(ROUND)
    ldr(r3, [r1, 0])  # W + K + h
    add(r3, r3, r4)
    ldr(r4, [r0, 4])
    add(r3, r3, r4)
    ldr(r4, [r0, 28])  # Sigma 1 of e: rotate 6, 11, 25
    mov(r5, r4)
    mov(r6, 5)
    ror(r5, r6)
    mov(r7, r5)
    mov(r6, 14)
    ror(r7, r6)
    eor(r5, r7)
    eor(r5, r4)
    mov(r6, 6)
    ror(r5, r6)
    add(r3, r3, r5)
    ldr(r5, [r0, 20])  # Ch of e, f, g
    ldr(r6, [r0, 12])
    eor(r5, r6)
    and_(r5, r4)
    eor(r5, r6)
    add(r3, r3, r5)
    ldr(r4, [r0, 0])  # the next e: d + T1
    add(r4, r4, r3)
    str(r4, [r0, 36])
    ldr(r4, [r0, 24])  # Sigma 0 of a: rotate 2, 13, 22
    mov(r5, r4)
    mov(r6, 11)
    ror(r5, r6)
    mov(r7, r5)
    mov(r6, 9)
    ror(r7, r6)
    eor(r5, r7)
    eor(r5, r4)
    mov(r6, 2)
    ror(r5, r6)
    add(r3, r3, r5)
    ldr(r5, [r0, 16])  # Maj of a, b, c
    ldr(r6, [r0, 8])
    mov(r7, r4)
    and_(r7, r5)
    orr(r4, r5)
    and_(r4, r6)
    orr(r4, r7)
    add(r3, r3, r4)
    str(r3, [r0, 32])  # the next a: T1 + T2
    add(r0, 8)
    add(r1, r1, 4)
    add(r2, r2, 4)
    ldr(r4, [r2, 0])
    cmp(r4, 0)
    bne(ROUND)


def chains(leaf, digits, values, n, end):
    """Advance chain i from digit i to `end`, in place in values (n bytes a chain)."""
    ring = bytearray(_RING)
    ring[:32] = _INITIAL
    words = bytearray(256)
    for o in range(0, 20, 4):
        words[o : o + 4] = bytes(reversed(leaf[o : o + 4]))
    words[60:62] = (8 * (23 + n)).to_bytes(2, "little")
    _chains(compress, ring, words, _K, digits, len(digits), values, n >> 2, end)


@micropython.viper
def _chains(run, ring, words, k, digits, p: int, values, n: int, end: int):
    r = ptr32(ring)
    w = ptr32(words)
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
            run(ring, words, k)
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
