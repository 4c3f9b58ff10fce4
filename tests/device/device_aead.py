"""Streams of AES-CTR on the device: whatever the chunks, one stream."""

from binascii import hexlify, unhexlify

from uward.crypto import aead


def stream(key, iv, size, chunks, batch):
    """`size` bytes of keystream made in the given chunks, hex; odd offsets into one buffer."""
    buffer = bytearray(size + 1)
    view = memoryview(buffer)[1:]  # not word aligned: RP2040 must not fault
    ctr = aead.Ctr(unhexlify(key), unhexlify(iv), 0, batch)
    o = 0
    for n in chunks:
        ctr.crypt(view[o : o + n])
        o += n
    ctr.crypt(view[o:])
    return hexlify(buffer[1:]).decode()


def from_block(key, iv, block, size):
    data = bytearray(size)
    aead.Ctr(unhexlify(key), unhexlify(iv), block).crypt(data)
    return hexlify(data).decode()


def after_partial(key, iv):
    from uward.errors import KeyRefused

    ctr = aead.Ctr(unhexlify(key), unhexlify(iv))
    ctr.crypt(bytearray(17))
    try:
        ctr.crypt(bytearray(1))
    except KeyRefused as e:
        return str(e)
