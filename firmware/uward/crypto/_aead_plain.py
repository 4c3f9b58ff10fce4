"""The inner loops of `_aead_native` in bytecode: for ports without a build of it."""


def counters(blocks, head, n, count):
    o = 0
    for number in range(count, count + n):
        blocks[o : o + 12] = head
        blocks[o + 12 : o + 16] = number.to_bytes(4, "big")
        o += 16


def xor(data, stream, n):
    mixed = int.from_bytes(data[:n], "big") ^ int.from_bytes(stream[:n], "big")
    data[:n] = mixed.to_bytes(n, "big")
