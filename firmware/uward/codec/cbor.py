"""CBOR (RFC 8949), its deterministic subset: bytes <-> values, bounded; decoding does not recurse.

    None bool int str bytes float list dict Tag  <->  the same bytes, always

Integers span 64 bits; map keys are int, str or bytes; a bignum stays Tag(2 or 3, bytes).
Refused (S19): indefinite lengths, non-shortest heads and floats, duplicate or disordered keys,
simple values other than false, true and null, trailing bytes, and all beyond `limits`.
"""

from struct import pack, unpack

from uward import limits
from uward.errors import CodecError, LimitError

_SIMPLE = {20: False, 21: True, 22: None}
_NAN = b"\xf9\x7e\x00"


class Tag:
    """A tagged value (RFC 8949 3.4): number 0..2**64-1, any value."""

    def __init__(self, number, value):
        self.number = number
        self.value = value

    def __eq__(self, other):
        return isinstance(other, Tag) and (self.number, self.value) == (other.number, other.value)

    def __repr__(self):
        return "Tag(%d, %r)" % (self.number, self.value)


def encode(value):
    """The one deterministic encoding (RFC 8949 4.2.1). CodecError for a type we do not encode."""
    out = bytearray()
    _encode(out, value, limits.CBOR_DEPTH)
    return bytes(out)


def _head(out, kind, number):
    kind <<= 5
    if number < 24:
        out.append(kind | number)
        return
    for i in range(4):
        if number < 1 << (8 << i):
            out.append(kind | 24 + i)
            out.extend(number.to_bytes(1 << i, "big"))
            return
    raise LimitError("cbor: expected an integer of 64 bits, got more")


def _encode(out, value, depth):
    if depth < 0:
        raise LimitError("cbor: expected depth <= %d, got more" % limits.CBOR_DEPTH)
    kind = type(value)
    if kind is int:
        _head(out, 1, -1 - value) if value < 0 else _head(out, 0, value)
    elif kind is bytes or kind is bytearray or kind is memoryview:
        _head(out, 2, len(value))
        out.extend(value)
    elif kind is str:
        value = _utf8(value)
        _head(out, 3, len(value))
        out.extend(value)
    elif kind is list or kind is tuple:
        _head(out, 4, len(value))
        for item in value:
            _encode(out, item, depth - 1)
    elif kind is dict:
        _encode_map(out, value, depth - 1)
    elif value is None:
        out.append(0xF6)
    elif kind is bool:
        out.append(0xF5 if value else 0xF4)
    elif kind is Tag:
        _head(out, 6, value.number)
        _encode(out, value.value, depth - 1)
    elif kind is float:
        out.extend(_encode_float(value))
    else:
        raise CodecError("cbor: expected a CBOR type, got %s" % kind.__name__)


def _utf8(text):
    try:
        return text.encode()
    except UnicodeError:
        raise CodecError("cbor: expected text without surrogates, got one") from None


def _encode_map(out, value, depth):
    pairs = []
    for key in value:
        _check_key(key)
        pairs.append((encode(key), key))
    pairs.sort()  # by the encoded keys, which differ
    _head(out, 5, len(pairs))
    for raw, key in pairs:
        out.extend(raw)
        _encode(out, value[key], depth)


def _check_key(key):
    if type(key) not in (int, str, bytes):
        raise CodecError("cbor: expected a key int, str or bytes, got %s" % type(key).__name__)


# Floats. Work on the IEEE 754 bits: boards compute in 32-bit floats and would round.


def _narrow(bits, e, m, e2, m2):
    """Bits with e exponent and m fraction bits -> the same number with e2 and m2, else None."""
    sign = bits >> e + m
    x = bits >> m & (1 << e) - 1
    f = bits & (1 << m) - 1
    cut = m - m2
    if x == (1 << e) - 1:
        x = (1 << e2) - 1  # infinity; a NaN never comes here
    elif x or f:
        x += (1 << e2 - 1) - (1 << e - 1)
        if x >= (1 << e2) - 1:
            return None
        if x <= 0:  # becomes subnormal
            f |= 1 << m
            cut += 1 - x
            x = 0
    if f & (1 << cut) - 1:
        return None
    return ((sign << e2) | x) << m2 | f >> cut


def _encode_float(value):
    if value != value:
        return _NAN
    raw = pack(">d", value)
    single = _narrow(int.from_bytes(raw, "big"), 11, 52, 8, 23)
    if single is None:
        return b"\xfb" + raw
    half = _narrow(single, 8, 23, 5, 10)
    if half is None:
        return b"\xfa" + single.to_bytes(4, "big")
    return b"\xf9" + half.to_bytes(2, "big")


def _half(bits):
    x = bits >> 10 & 31
    f = bits & 1023
    if x == 31:
        if f:
            return float("nan")
        value = float("inf")
    else:
        value = (f | 1024) * 2.0 ** (x - 25) if x else f * 2.0**-24
    return -value if bits >> 15 else value


def _float(raw):
    """2, 4 or 8 bytes -> float; CodecError when a shorter form holds the same number."""
    bits = int.from_bytes(raw, "big")
    if len(raw) == 2:
        if bits & 0x7C00 == 0x7C00 and bits & 0x3FF and bits != 0x7E00:
            raise CodecError("cbor: expected NaN as f97e00, got another")
        return _half(bits)
    e, m, e2, m2 = (8, 23, 5, 10) if len(raw) == 4 else (11, 52, 8, 23)
    nan = bits >> m & (1 << e) - 1 == (1 << e) - 1 and bits & (1 << m) - 1
    if nan or _narrow(bits, e, m, e2, m2) is not None:
        raise CodecError("cbor: expected the shortest float, got %d bytes" % len(raw))
    return unpack(">f" if len(raw) == 4 else ">d", raw)[0]


def decode(data, ordered=True):
    """Bytes -> value. Raises CodecError, or LimitError beyond `limits`.

    ordered=False accepts map keys in any order (RFC 8949 4.2.1 asks for none of a sender in
    general): only for objects of others, never for ours. Duplicates are refused in any case.
    """
    if type(data) is not bytes:
        data = bytes(data)
    size = len(data)
    if size > limits.CBOR_BYTES:
        raise LimitError("cbor: expected <= %d bytes, got %d" % (limits.CBOR_BYTES, size))
    o = 0
    items = limits.CBOR_ITEMS - 1
    outer = []  # the containers around the innermost: (box, left, key, last)
    box = key = last = None  # innermost container; the key that waits; the bytes of that key
    left = 0  # values that box still wants; a pair of a map counts as two
    while True:
        start = o
        if o >= size:
            raise CodecError("cbor: expected more bytes, got the end at byte %d" % o)
        number = data[o]
        kind = number >> 5
        number &= 31
        o += 1
        if number > 23:
            number, o = _argument(data, o, size, kind, number)
        if kind == 0:
            value = number
        elif kind == 1:
            value = -1 - number
        elif kind < 4:
            end = o + number
            if end > size:
                raise CodecError("cbor: expected %d bytes, got %d" % (number, size - o))
            value = data[o:end]
            o = end
            if kind == 3:
                value = _text(value)
        elif kind == 7:
            value = _simple(number, data[start + 1 : o])
        else:
            value = _open(kind, number, size - o)
            number = 1 if kind == 6 else number * 2 if kind == 5 else number
            if number:
                items -= number
                outer.append((box, left, key, last))
                _check_open(items, len(outer))
                box, left, last = value, number, b""
                continue
        while box is not None:  # hand the value to its container, which may be complete then
            left -= 1
            kind = type(box)
            if kind is list:
                box.append(value)
            elif kind is not dict:
                box.value = value
            elif left & 1:
                raw = data[start:o]
                _check_key(value)
                if raw <= last if ordered else value in box:
                    raise CodecError("cbor: expected unique keys in order, got %r" % (value,))
                key, last = value, raw
            else:
                box[key] = value
            if left:
                break
            value = box
            box, left, key, last = outer.pop()
        else:
            if o != size:
                raise CodecError("cbor: expected the end at byte %d, got %d more" % (o, size - o))
            return value


def _argument(data, o, size, kind, number):
    """The argument in 1, 2, 4 or 8 bytes at o -> (argument, next offset) (RFC 8949 3)."""
    if number > 27:
        raise CodecError("cbor: expected a definite length, got %d at byte %d" % (number, o - 1))
    end = o + (1 << number - 24)
    if end > size:
        raise CodecError("cbor: expected more bytes, got the end at byte %d" % size)
    if kind == 7:
        return number, end
    value = int.from_bytes(data[o:end], "big")
    if value < 24 if number == 24 else not value >> (4 << number - 24):
        raise CodecError("cbor: expected the shortest form, got a longer one at byte %d" % (o - 1))
    return value, end


def _open(kind, number, room):
    if kind == 6:
        return Tag(number, None)
    if number * (kind - 3) > room:  # each value is a byte at least, each pair two
        raise CodecError("cbor: expected %d values, got %d bytes" % (number * (kind - 3), room))
    return [] if kind == 4 else {}


def _check_open(items, depth):
    if items < 0:
        raise LimitError("cbor: expected <= %d items, got more" % limits.CBOR_ITEMS)
    if depth > limits.CBOR_DEPTH:
        raise LimitError("cbor: expected depth <= %d, got more" % limits.CBOR_DEPTH)


def _simple(number, raw):
    if len(raw) > 1:
        return _float(raw)
    if number not in _SIMPLE:
        raise CodecError("cbor: expected false, true, null or a float, got simple %d" % number)
    return _SIMPLE[number]


def _text(raw):
    try:
        return str(raw, "utf-8")
    except UnicodeError:
        raise CodecError("cbor: expected UTF-8 text, got other bytes") from None
