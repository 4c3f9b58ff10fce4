"""The inner loops of `_aead_native` in bytecode: for ports without a build of it."""


def counters(blocks, counter, n):
    number = int.from_bytes(counter, "big")
    for o in range(0, n << 4, 16):
        blocks[o : o + 16] = number.to_bytes(16, "big")
        number = number + 1 & (1 << 128) - 1
    counter[:] = number.to_bytes(16, "big")


def xor(data, stream, n):
    mixed = int.from_bytes(data[:n], "big") ^ int.from_bytes(stream[:n], "big")
    data[:n] = mixed.to_bytes(n, "big")
