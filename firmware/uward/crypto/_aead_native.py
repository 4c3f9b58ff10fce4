"""The two inner loops of counter mode in viper: counter blocks and XOR (S22).

Words are used only where both buffers are word aligned: RP2040 faults otherwise. Arguments come
first into registers, which is why they are the loop variables.

No comparison: viper compiles one on Thumb with the halfwords e000 2001, which the collector takes
for the address 0x2001e000, and this code stays in the heap: whatever lies there would too, with
all that it leads to (measured: 8 KB of modules that were dropped).
"""
# ruff: noqa: F401, F821 - viper's names are the compiler's

from micropython import const  # CPython stops here: ImportError


@micropython.viper
def counters(blocks: ptr32, counter: ptr32, n: int):
    """Write counter, counter + 1, .. as n blocks of 16 bytes; counter moves on by n.

    Both are word aligned; the counter is 128 bits, big endian: its last byte is the top of a word.
    """
    while n:
        blocks[0] = counter[0]
        blocks[1] = counter[1]
        blocks[2] = counter[2]
        blocks[3] = counter[3]
        blocks = ptr32(uint(blocks) + uint(16))
        n -= 1
        counter[3] = counter[3] + (1 << 24)
        if (counter[3] >> 24) & 0xFF:
            continue
        p = ptr8(counter)
        i = 15
        while i:
            i -= 1
            p[i] = p[i] + 1
            if p[i]:
                break


@micropython.viper
def xor(data: ptr32, stream: ptr32, n: int):
    """data[0:n] ^= stream[0:n]."""
    words = n >> 5
    if int(uint(data) | uint(stream)) & 3:
        words = 0
    n -= words << 5
    while words:
        data[0] = data[0] ^ stream[0]
        data[1] = data[1] ^ stream[1]
        data[2] = data[2] ^ stream[2]
        data[3] = data[3] ^ stream[3]
        data[4] = data[4] ^ stream[4]
        data[5] = data[5] ^ stream[5]
        data[6] = data[6] ^ stream[6]
        data[7] = data[7] ^ stream[7]
        data = ptr32(uint(data) + uint(32))
        stream = ptr32(uint(stream) + uint(32))
        words -= 1
    x = ptr8(data)
    y = ptr8(stream)
    while n:
        n -= 1
        x[n] = x[n] ^ y[n]
