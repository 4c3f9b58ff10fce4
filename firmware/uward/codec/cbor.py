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
    if value is None:
        out.append(0xF6)
    elif value is True or value is False:
        out.append(0xF5 if value else 0xF4)
    elif isinstance(value, int):
        _head(out, 1, -1 - value) if value < 0 else _head(out, 0, value)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        _head(out, 2, len(value))
        out.extend(value)
    elif isinstance(value, str):
        value = _utf8(value)
        _head(out, 3, len(value))
        out.extend(value)
    elif isinstance(value, (list, tuple)):
        _head(out, 4, len(value))
        for item in value:
            _encode(out, item, depth - 1)
    elif isinstance(value, dict):
        _encode_map(out, value, depth - 1)
    elif isinstance(value, Tag):
        _head(out, 6, value.number)
        _encode(out, value.value, depth - 1)
    elif isinstance(value, float):
        out.extend(_encode_float(value))
    else:
        raise CodecError("cbor: expected a CBOR type, got %s" % type(value).__name__)


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
    pairs.sort(key=lambda pair: pair[0])
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
    if not isinstance(data, bytes):
        data = bytes(data)
    size = len(data)
    if size > limits.CBOR_BYTES:
        raise LimitError("cbor: expected <= %d bytes, got %d" % (limits.CBOR_BYTES, size))
    stack = []  # open containers: [values to come, list | dict | Tag, key, key's bytes]
    o = 0
    items = limits.CBOR_ITEMS
    while True:
        start = o
        items -= 1
        if items < 0:
            raise LimitError("cbor: expected <= %d items, got more" % limits.CBOR_ITEMS)
        kind, number, raw, o = _read_head(data, o, size)
        if kind == 0:
            value = number
        elif kind == 1:
            value = -1 - number
        elif kind < 4:
            start_of, o = o, o + number
            if o > size:
                raise CodecError("cbor: expected %d bytes, got %d" % (number, size - start_of))
            value = data[start_of:o]
            if kind == 3:
                value = _text(value)
        elif kind == 7:
            value = _simple(number, raw)
        else:
            frame = _open(kind, number, size - o)
            if frame[0]:
                stack.append(frame)
                if len(stack) > limits.CBOR_DEPTH:
                    raise LimitError("cbor: expected depth <= %d, got more" % limits.CBOR_DEPTH)
                continue
            value = frame[1]
        while stack:  # hand the value to its container, which may be complete then
            frame = stack[-1]
            frame[0] -= 1
            box = frame[1]
            if isinstance(box, list):
                box.append(value)
            elif isinstance(box, dict):
                if frame[0] & 1:
                    _key(frame, value, data[start:o], ordered)
                else:
                    box[frame[2]] = value
            else:
                box.value = value
            if frame[0]:
                break
            value = stack.pop()[1]
        else:
            if o != size:
                raise CodecError("cbor: expected the end at byte %d, got %d more" % (o, size - o))
            return value


def _read_head(data, o, size):
    """-> (major type, argument, raw argument bytes or None, next offset)."""
    if o >= size:
        raise CodecError("cbor: expected more bytes, got the end at byte %d" % o)
    kind = data[o]
    o += 1
    number = kind & 31
    kind >>= 5
    if number < 24:
        return kind, number, None, o
    if number > 27:
        raise CodecError("cbor: expected a definite length, got %d at byte %d" % (number, o - 1))
    end = o + (1 << number - 24)
    raw = data[o:end]
    if end > size:
        raise CodecError("cbor: expected more bytes, got the end at byte %d" % size)
    if kind == 7:
        return kind, number, raw, end
    value = int.from_bytes(raw, "big")
    if value < 24 if number == 24 else not value >> (4 << number - 24):
        raise CodecError("cbor: expected the shortest form, got a longer one at byte %d" % (o - 1))
    return kind, value, raw, end


def _open(kind, number, left):
    if kind == 6:
        return [1, Tag(number, None)]
    if kind == 5:
        number *= 2
    if number > left:
        raise CodecError("cbor: expected %d values, got %d bytes" % (number, left))
    return [number, [] if kind == 4 else {}, None, b""]


def _key(frame, key, raw, ordered):
    _check_key(key)
    if key in frame[1] or (ordered and raw <= frame[3]):
        raise CodecError("cbor: expected unique keys in order, got %r" % (key,))
    frame[2] = key
    frame[3] = raw


def _simple(number, raw):
    if raw and len(raw) > 1:
        return _float(raw)
    if number not in _SIMPLE:
        raise CodecError("cbor: expected false, true, null or a float, got simple %d" % number)
    return _SIMPLE[number]


def _text(raw):
    try:
        return str(raw, "utf-8")
    except UnicodeError:
        raise CodecError("cbor: expected UTF-8 text, got other bytes") from None
