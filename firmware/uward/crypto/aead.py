"""AES-CCM (RFC 3610) and AES-CTR from the ECB and CBC that stock firmware has in C.

Keys of 128 or 256 bits. A message fails as a whole: no plaintext leaves before its tag matched.
"""

from uward import limits
from uward.crypto._primitives import CBC, ECB, aes
from uward.crypto.hash import equal
from uward.errors import BadMac, KeyRefused, LimitError

try:
    from uward.crypto._aead_native import counters, xor
except (ImportError, ValueError):  # S22: no build for this architecture
    from uward.crypto._aead_plain import counters, xor


def seal(key, nonce, plaintext, aad=b"", tag_len=16):
    """-> ciphertext + tag. nonce: 7..13 bytes, never twice under one key; tag_len: 4, 6 .. 16."""
    n = len(plaintext)
    _check(key, nonce, n, aad, tag_len)
    tag = _cbc_mac(key, nonce, plaintext, aad, tag_len)
    out = bytearray(n + tag_len)
    out[:n] = plaintext
    _mask(key, nonce, memoryview(out)[:n], tag)
    out[n:] = memoryview(tag)[:tag_len]
    return bytes(out)


def open(key, nonce, ciphertext, aad=b"", tag_len=16):
    """-> plaintext; BadMac when key, nonce, ciphertext, tag or aad are not those sealed."""
    n = len(ciphertext) - tag_len
    _check(key, nonce, n, aad, tag_len)
    tag = bytearray(16)
    out = bytearray(memoryview(ciphertext)[:n])
    _mask(key, nonce, out, tag)
    xor(tag, _cbc_mac(key, nonce, out, aad, tag_len), 16)
    if not equal(memoryview(tag)[:tag_len], memoryview(ciphertext)[n:]):
        raise BadMac("aead: expected a matching tag of %d bytes, got another" % tag_len)
    return bytes(out)


def ctr(key, iv, data):
    """AES-CTR (RFC 9459 4): iv is the first counter block, 16 bytes. -> bytes as long as data."""
    out = bytearray(data)
    Ctr(key, iv).crypt(out)
    return bytes(out)


class Ctr:
    """AES-CTR over a stream, in place: chunks of a multiple of 16 bytes; only the last may differ.

    `block` starts in the middle of the stream (unit: blocks of 16 bytes). `batch`: bytes of
    keystream made at once.
    """

    def __init__(self, key, iv, block=0, batch=limits.CTR_BATCH):
        _check_key(key)
        if len(iv) != 16:
            raise KeyRefused("aes-ctr: expected an IV of 16 bytes, got %d" % len(iv))
        self._aes = aes(key, ECB)
        self._stream = memoryview(bytearray(batch))
        self._seek(int.from_bytes(iv, "big") + block)

    def _seek(self, counter):
        # 16-byte big-endian counter: 12 bytes that rarely change, 32 bits that the loop counts
        raw = (counter & (1 << 128) - 1).to_bytes(16, "big")
        self._head = raw[:12]
        self._low = int.from_bytes(raw[12:], "big")

    def crypt(self, data):
        """XOR the keystream into a bytearray or writable memoryview."""
        view = memoryview(data)
        left = len(view)
        o = 0
        while left > 0:
            size = min(left, len(self._stream))
            o += self._step(view[o : o + size] if o or size < left else view, size)
            left = len(view) - o

    def _step(self, view, size):
        low = self._low
        if low < 0:
            raise KeyRefused("aes-ctr: expected no data after a partial block, got more")
        n = size + 15 >> 4
        stop = low + n
        if stop >> 32:  # the carry leaves the low word: stop the batch there
            n = (1 << 32) - low
            size = min(size, n << 4)
            stop = low + n
        stream = self._stream
        if n << 4 < len(stream):
            stream = stream[: n << 4]
        counters(stream, self._head, n, low)
        self._aes.encrypt(stream, stream)
        xor(view, stream, size)
        self._low = -1 if size & 15 else stop
        if stop >> 32:
            self._seek((int.from_bytes(self._head, "big") + 1) << 32)
        return size


def _check_key(key):
    if len(key) not in (16, 32):
        raise KeyRefused("aes: expected a key of 16 or 32 bytes, got %d" % len(key))


def _check(key, nonce, n, aad, tag_len):
    _check_key(key)
    if not 7 <= len(nonce) <= 13:
        raise KeyRefused("aes-ccm: expected a nonce of 7..13 bytes, got %d" % len(nonce))
    if tag_len not in (4, 6, 8, 10, 12, 14, 16):
        raise KeyRefused("aes-ccm: expected a tag of 4, 6 .. 16 bytes, got %d" % tag_len)
    if n < 0:
        raise BadMac("aead: expected at least a tag of %d bytes, got %d" % (tag_len, n + tag_len))
    if n > limits.AEAD_BYTES:
        raise LimitError("aead: expected <= %d bytes, got %d" % (limits.AEAD_BYTES, n))
    if len(aad) > limits.AEAD_AAD_BYTES:
        raise LimitError("aead: expected aad <= %d, got %d" % (limits.AEAD_AAD_BYTES, len(aad)))


def _first_blocks(nonce, n, aad, tag_len):
    """B_0, and the associated data with its length, padded (RFC 3610 2.2)."""
    q = 15 - len(nonce)
    flags = (64 if aad else 0) | (tag_len - 2) << 2 | q - 1
    size = 18 + len(aad) + 15 & -16 if aad else 16
    out = bytearray(size)
    out[0] = flags
    out[1 : 16 - q] = nonce
    out[16 - q : 16] = n.to_bytes(q, "big")
    if aad:
        out[16:18] = len(aad).to_bytes(2, "big")
        out[18 : 18 + len(aad)] = aad
    return out


def _cbc_mac(key, nonce, data, aad, tag_len):
    """T before its mask, 16 bytes: the last block of native CBC over it all."""
    n = len(data)
    cbc = aes(key, CBC, bytes(16))
    last = _first_blocks(nonce, n, aad, tag_len)
    cbc.encrypt(last, last)
    view = memoryview(data)
    whole = n & -16
    if whole:
        scratch = memoryview(bytearray(min(whole, limits.CTR_BATCH)))
        o = 0
        while o < whole:
            size = min(whole - o, len(scratch))
            last = scratch[:size]
            cbc.encrypt(view[o : o + size], last)
            o += size
    if whole < n:
        last = bytearray(16)
        last[: n - whole] = view[whole:]
        cbc.encrypt(last, last)
    return bytearray(last[-16:])


def _mask(key, nonce, data, tag):
    """XOR the keystream into tag (S_0) and data (S_1 ..): RFC 3610 2.3."""
    q = 15 - len(nonce)
    batch = min(len(data) + 15 & -16, limits.CTR_BATCH)
    stream = Ctr(key, bytes((q - 1,)) + nonce + bytes(q), 0, max(batch, 16))
    stream.crypt(tag)
    stream.crypt(data)
