"""CBOR on the device: round trips of whole encodings, and what is refused."""

from binascii import unhexlify as unhex

from uward.codec import cbor
from uward.errors import CodecError


def outcomes(encodings):
    """[hex] -> for each: True if it decodes and encodes to the same bytes, else the class name."""
    out = []
    for text in encodings:
        data = unhex(text)
        try:
            out.append(cbor.encode(cbor.decode(data)) == data)
        except CodecError as e:
            out.append(type(e).__name__)
    return out


def values():
    """Values that JSON cannot carry, checked here: [name of each that differs]."""
    infinity = float("inf")
    tagged = cbor.Tag(4, [1, b"x"])
    cases = {
        "bytes key": ({b"k": 1, "k": 2, -1: 3}, "a3200341" + "6b01616b02"),
        "half": (1.5, "f93e00"),
        "negative zero": (-0.0, "f98000"),
        "infinity": (-infinity, "f9fc00"),
        "single": (100000.0, "fa47c35000"),
        "subnormal half": (2.0**-24, "f90001"),
        "tag": (tagged, "c482014178"),
        "64 bits": (-(1 << 64), "3bffffffffffffffff"),
        "tuple": ((1, None, True), "8301f6f5"),
        "views": ([bytearray(b"a"), memoryview(b"b")], "8241614162"),
    }
    wrong = []
    for name in cases:
        value, text = cases[name]
        if cbor.encode(value) != unhex(text):
            wrong.append(name)
    nan = cbor.decode(cbor.encode(float("nan")))
    if nan == nan or cbor.decode(unhex("c482014178")) != tagged:
        wrong.append("nan or tag")
    return wrong
