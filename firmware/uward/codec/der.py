"""DER (X.690): a small writer, and a bounded reader of what certificates and CRLs hold.

The reader goes one level at a time; whoever reads names the tags that it expects, so that the
input chooses neither depth nor shape.
"""

from uward import limits
from uward.compat import const
from uward.errors import CodecError, LimitError

BOOLEAN = const(0x01)
INTEGER = const(0x02)
BITS = const(0x03)
OCTETS = const(0x04)
OID = const(0x06)
UTF8 = const(0x0C)
SEQUENCE = const(0x30)
SET = const(0x31)
UTC_TIME = const(0x17)
GENERALIZED_TIME = const(0x18)


def tlv(tag, *parts):
    """One value: tag, the shortest length, the parts joined."""
    content = b"".join(parts)
    n = len(content)
    if n < 128:
        return bytes((tag, n)) + content
    size = 1 if n < 256 else 2
    return bytes((tag, 128 | size)) + n.to_bytes(size, "big") + content


def integer(magnitude):
    """A non-negative INTEGER from big-endian bytes."""
    start = 0
    while start < len(magnitude) - 1 and not magnitude[start]:
        start += 1
    magnitude = magnitude[start:]
    return tlv(INTEGER, b"\0" if magnitude[0] & 128 else b"", magnitude)


def read(data, o, end):
    """The value at o -> (tag, start of its content, its end). CodecError beyond `end`."""
    if o + 2 > end:
        raise CodecError("der: expected a value, got the end at byte %d" % o)
    tag = data[o]
    n = data[o + 1]
    o += 2
    if tag & 31 == 31:
        raise CodecError("der: expected a one-byte tag, got a longer one")
    if n > 127:
        size = n & 127
        if not 1 <= size <= 2 or o + size > end:
            raise CodecError("der: expected a length of 1 or 2 bytes, got %d" % size)
        n = int.from_bytes(data[o : o + size], "big")
        o += size
        if n < 128 or n >> (8 * (size - 1)) == 0:
            raise CodecError("der: expected the shortest length, got a longer one")
    if o + n > end:
        raise CodecError("der: expected %d bytes, got %d" % (n, end - o))
    return tag, o, o + n


class Reader:
    """The values of one constructed value, in order, over one buffer."""

    def __init__(self, data, o=0, end=None):
        self.data = data
        self.o = o
        self.end = len(data) if end is None else end

    def more(self):
        return self.o < self.end

    def peek(self):
        """The next tag, or None at the end."""
        return self.data[self.o] if self.o < self.end else None

    def next(self, tag):
        """-> content bytes of the next value, whose tag must be `tag`."""
        start, stop = self._next(tag)
        return bytes(self.data[start:stop])

    def enter(self, tag):
        """-> Reader over the content of the next value."""
        start, stop = self._next(tag)
        return Reader(self.data, start, stop)

    def whole(self, tag):
        """-> the next value with its head."""
        o = self.o
        _, stop = self._next(tag)
        return bytes(self.data[o:stop])

    def _next(self, tag):
        got, start, stop = read(self.data, self.o, self.end)
        if got != tag:
            raise CodecError("der: expected tag %02x, got %02x" % (tag, got))
        self.o = stop
        return start, stop

    def done(self):
        if self.o != self.end:
            raise CodecError("der: expected the end, got %d bytes more" % (self.end - self.o))


def open(data):
    """Bytes of one object of at most `limits.DER_BYTES` -> Reader."""
    if len(data) > limits.DER_BYTES:
        raise LimitError("der: expected <= %d bytes, got %d" % (limits.DER_BYTES, len(data)))
    return Reader(bytes(data))
