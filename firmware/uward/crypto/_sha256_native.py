"""SHA-256 for RP2040 in Thumb-1 code (FIPS 180-4 6.2): 48 us a block, where `hashlib` takes 73.

`Digest` is what an image is hashed with at boot, `blocks` what the chains of LMS are made of.

The working variables lie in a ring of pairs, two words further each round, so that none is moved:
d h c g b f a e at its start, the next a and e behind them. Behind the ring lies the schedule.
"""
# ruff: noqa: F821 - the assembler's names are the compiler's

from micropython import const  # CPython stops here: ImportError
from uctypes import addressof

WORDS = const(544)  # bytes of the ring: 4 pairs to start with and one for each of 64 rounds
WORK = const(800)  # bytes of ring and schedule

K = (  # FIPS 180-4 4.2.2, little endian, and a zero that ends the rounds
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
INITIAL = (  # FIPS 180-4 5.3.3, in the order of the ring
    b"\x3a\xf5\x4f\xa5\x19\xcd\xe0\x5b\x72\xf3\x6e\x3c\xab\xd9\x83\x1f"
    b"\x85\xae\x67\xbb\x8c\x68\x05\x9b\x67\xe6\x09\x6a\x7f\x52\x0e\x51"
)


@micropython.asm_thumb
def blocks(r0, r1, r2, r3):
    """r0: ring and schedule; r1: data, word aligned; r2: blocks of it; r3: K. The ring's start is
    the state before and after. With None as data: one block that the schedule begins with, and
    what comes of it is left at the ring's end."""
    label(BLOCK)
    cmp(r2, 0)
    bne(GO)
    b(END)
    label(GO)
    push({r2, r3})
    mov(r4, 136)  # WORDS / 4
    lsl(r4, r4, 2)
    add(r4, r4, r0)
    cmp(r1, 0)
    beq(READY)
    mov(r5, 4)
    label(LOAD)  # four words, big endian
    ldr(r6, [r1, 0])
    ldr(r7, [r1, 4])
    data(2, 0xBA36, 0xBA3F)  # rev(r6, r6), rev(r7, r7)
    str(r6, [r4, 0])
    str(r7, [r4, 4])
    ldr(r6, [r1, 8])
    ldr(r7, [r1, 12])
    data(2, 0xBA36, 0xBA3F)
    str(r6, [r4, 8])
    str(r7, [r4, 12])
    add(r1, 16)
    add(r4, 16)
    sub(r5, 1)
    bne(LOAD)
    sub(r4, 64)
    label(READY)
    push({r1})
    mov(r1, r4)
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
    pop({r4})
    pop({r2, r3})
    push({r2, r3})
    push({r4})
    mov(r2, r3)
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
    pop({r1})
    pop({r2, r3})
    cmp(r1, 0)
    beq(END)
    mov(r6, 128)  # the ring's end is 512 bytes behind its start
    lsl(r6, r6, 2)
    sub(r5, r0, r6)
    mov(r4, 8)
    label(SUM)  # the state before the block and after it
    ldr(r6, [r0, 0])
    ldr(r7, [r5, 0])
    add(r6, r6, r7)
    str(r6, [r5, 0])
    add(r0, 4)
    add(r5, 4)
    sub(r4, 1)
    bne(SUM)
    sub(r5, 32)
    mov(r0, r5)
    sub(r2, 1)
    b(BLOCK)
    label(END)


class Digest:
    """`hashlib.sha256` as far as `update` and `digest`; best in pieces of whole blocks."""

    def __init__(self):
        self._work = bytearray(WORK)
        self._work[:32] = INITIAL
        self._size = 0
        self._rest = b""

    def update(self, data):
        self._size += len(data)
        if self._rest or addressof(data) & 3:  # RP2040 faults on words that are not aligned
            data = self._rest + bytes(data)
        whole = len(data) & -64
        blocks(self._work, data, whole >> 6, K)
        self._rest = bytes(data[whole:])

    def digest(self):
        """-> 32 bytes; the last call."""
        size = self._size
        self.update(b"\x80" + bytes(55 - size & 63) + (8 * size).to_bytes(8, "big"))
        ring = self._work
        words = [ring[o : o + 4] for o in (24, 16, 8, 0, 28, 20, 12, 4)]
        return b"".join([bytes(reversed(word)) for word in words])
