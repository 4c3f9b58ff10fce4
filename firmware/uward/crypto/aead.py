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
    size = n + 15 & -16
    view = memoryview(bytearray(size + 16))
    tag = _cbc_mac(key, nonce, plaintext, view, aad, tag_len)
    _keystream(key, nonce, view, size)
    xor(view, plaintext, n)
    xor(tag, view[size:], 16)
    view[n : n + 16] = tag
    return bytes(view[: n + tag_len])


def open(key, nonce, ciphertext, aad=b"", tag_len=16):
    """-> plaintext; BadMac when key, nonce, ciphertext, tag or aad are not those sealed."""
    n = len(ciphertext) - tag_len
    _check(key, nonce, n, aad, tag_len)
    size = n + 15 & -16
    view = memoryview(bytearray(size + 16))
    _keystream(key, nonce, view, size)
    xor(view, ciphertext, n)
    plaintext = bytes(view[:n])
    tag = _cbc_mac(key, nonce, plaintext, view, aad, tag_len)
    xor(tag, view[size:], 16)
    if not equal(tag[:tag_len], ciphertext[n:]):
        raise BadMac("aead: expected a matching tag of %d bytes, got another" % tag_len)
    return plaintext


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
        if block:
            number = int.from_bytes(iv, "big") + block
            iv = (number & (1 << 128) - 1).to_bytes(16, "big")
        self._counter = bytearray(iv)
        self._aes = aes(key, ECB)
        self._keystream = memoryview(bytearray(batch))

    def crypt(self, data):
        """XOR the keystream into a bytearray or writable memoryview."""
        view = memoryview(data)
        left = len(view)
        while left:
            if self._counter is None:
                raise KeyRefused("aes-ctr: expected no data after a partial block, got more")
            stream = self._keystream
            size = min(left, len(stream))
            n = size + 15 >> 4
            if n << 4 < len(stream):
                stream = stream[: n << 4]
            counters(stream, self._counter, n)
            self._aes.encrypt(stream, stream)
            xor(view, stream, size)
            if size & 15:
                self._counter = None
            left -= size
            if left:
                view = view[size:]


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


def _cbc_mac(key, nonce, data, scratch, aad, tag_len):
    """T before its mask (RFC 3610 2.2), 16 bytes; scratch: a writable view, as long as data.

    The MAC is the last block of native CBC over B_0, the associated data and the data.
    """
    n = len(data)
    q = 15 - len(nonce)
    head = bytes(((64 if aad else 0) | (tag_len - 2) << 2 | q - 1,)) + nonce + n.to_bytes(q, "big")
    if aad:
        head += len(aad).to_bytes(2, "big") + aad
        head += bytes(-len(head) & 15)
    cbc = aes(key, CBC, bytes(16))
    last = bytearray(head)
    cbc.encrypt(last, last)
    whole = n & -16
    if whole == n:
        if n:
            last = scratch[:n]
            cbc.encrypt(data, last)
        return bytearray(last[-16:])
    if whole:
        cbc.encrypt(memoryview(data)[:whole], scratch[:whole])
    last = bytearray(16)
    last[: n - whole] = data[whole:]
    cbc.encrypt(last, last)
    return last


def _keystream(key, nonce, view, size):
    """Fill view with S_1, S_2 .. (size bytes, whole blocks), then S_0 (RFC 3610 2.3)."""
    q = 15 - len(nonce)
    counter = bytearray(bytes((q - 1,)) + nonce + bytes(q))
    counters(view[size:], counter, 1)
    counters(view, counter, size >> 4)
    aes(key, ECB).encrypt(view, view)
