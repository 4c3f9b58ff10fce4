"""codec/cbor: RFC 8949, deterministic and bounded, on CPython and on the Unix port."""

import json
import math
import struct

import pytest
from uward import limits
from uward.codec import cbor
from uward.errors import CodecError, LimitError

MODULE = "uward.codec.cbor"

# RFC 8949 appendix A, our subset: what must come back byte for byte
APPENDIX_A = (
    "00 01 0a 17 1818 1819 1864 1903e8 1a000f4240 1b000000e8d4a51000 1bffffffffffffffff "
    "c249010000000000000000 3bffffffffffffffff c349010000000000000000 20 29 3863 3903e7 f90000 "
    "f98000 f93c00 fb3ff199999999999a f93e00 f97bff fa47c35000 fa7f7fffff fb7e37e43c8800759c "
    "f90001 f90400 f9c400 fbc010666666666666 f97c00 f97e00 f9fc00 f4 f5 f6 "
    "c074323031332d30332d32315432303a30343a30305a c11a514b67b0 c1fb41d452d9ec200000 d74401020304 "
    "d818456449455446 d82076687474703a2f2f7777772e6578616d706c652e636f6d 40 4401020304 60 6161 "
    "6449455446 62225c 62c3bc 63e6b0b4 64f0908591 80 83010203 8301820203820405 "
    "98190102030405060708090a0b0c0d0e0f101112131415161718181819 a0 a201020304 a26161016162820203 "
    "826161a161626163 a56161614161626142616361436164614461656145"
)

REFUSED = {  # encoding: part of the message
    "": "end at byte 0",
    "18": "end at byte 1",
    "1817": "shortest form",
    "190017": "shortest form",
    "1900ff": "shortest form",
    "1a0000ffff": "shortest form",
    "1b00000000ffffffff": "shortest form",
    "5803616263": "shortest form",
    "1c": "definite length",
    "5f4101ff": "definite length",
    "9fff": "definite length",
    "bfff": "definite length",
    "ff": "definite length",
    "43aabb": "expected 3 bytes, got 2",
    "62c328": "UTF-8",
    "61": "expected 1 bytes",
    "8201": "2 values, got 1 bytes",
    "9b7fffffffffffffff": "values, got 0 bytes",
    "bb7fffffffffffffff": "values, got 0 bytes",
    "5bffffffffffffffff": "bytes, got 0",
    "0000": "the end at byte 1",
    "a201020103": "unique keys",
    "a202000100": "in order",
    "a2616100016100": "in order",
    "a1800100": "key int, str or bytes, got list",
    "a1f501": "key int, str or bytes, got bool",
    "a1f901": "end at byte",
    "f7": "simple 23",
    "f818": "simple",
    "f0": "simple 16",
    "fa3fc00000": "shortest float",
    "fb3ff8000000000000": "shortest float",
    "fa7fc00000": "shortest float",
    "fb7ff8000000000001": "shortest float",
    "f97e01": "NaN",
    "f9fe00": "NaN",
}


def test_appendix_a_comes_back(device):
    assert device("device_cbor", "outcomes", APPENDIX_A.split()) == [True] * 61


def test_appendix_a_of_the_reference(device, vectors):
    cases = json.loads((vectors / "cbor/appendix_a.json").read_text())
    assert len(cases) == 82
    outcomes = device("device_cbor", "outcomes", [case["hex"] for case in cases])
    strange = ("f7", "f0", "f818", "f8ff")  # simple values that we have no use for
    ours = [case["roundtrip"] and case["hex"] not in strange for case in cases]
    assert outcomes == [True if good else "CodecError" for good in ours]
    assert (outcomes.count(True), outcomes.count("CodecError")) == (61, 21)


def test_decoded_values_of_the_reference(vectors):
    seen = 0
    for case in json.loads((vectors / "cbor/appendix_a.json").read_text()):
        bignum = case["hex"][:2] in ("c2", "c3")  # stays a Tag
        if case["roundtrip"] and "decoded" in case and not bignum:
            assert cbor.decode(bytes.fromhex(case["hex"])) == case["decoded"]
            seen += 1
    assert seen > 40


def test_each_malformed_encoding_is_refused(device):
    calls = [[MODULE, "decode", ["hex:" + text]] for text in REFUSED]
    outcomes = device("device_call", "run", calls)
    for (text, part), outcome in zip(REFUSED.items(), outcomes, strict=True):
        assert outcome[0] == "CodecError" and part in outcome[1], (text, outcome)


def test_values_that_json_lacks(device):
    assert device("device_cbor", "values") == []


def test_order_is_waived_by_name_only(device):
    calls = [[MODULE, "decode", ["hex:a202000100", False]], [MODULE, "decode", ["hex:a201000100"]]]
    first, second = device("device_call", "run", calls)
    assert first[0] == "ok" and second[0] == "CodecError"
    with pytest.raises(CodecError, match="unique keys"):
        cbor.decode(bytes.fromhex("a201000100"), ordered=False)


def test_limits_hold(device):
    deep = "81" * limits.CBOR_DEPTH
    wide = "99%04x" % limits.CBOR_ITEMS + "00" * limits.CBOR_ITEMS
    long = "59%04x" % limits.CBOR_BYTES + "00" * limits.CBOR_BYTES
    calls = [
        [MODULE, "decode", ["hex:" + text]] for text in (deep + "00", deep + "8100", wide, long)
    ]
    outcomes = device("device_call", "run", calls)
    assert [outcome[0] for outcome in outcomes] == ["ok"] + ["LimitError"] * 3
    assert "depth <= %d" % limits.CBOR_DEPTH in outcomes[1][1]
    assert "%d items" % limits.CBOR_ITEMS in outcomes[2][1]
    assert "%d bytes" % limits.CBOR_BYTES in outcomes[3][1]


def test_encoder_refuses():
    nested = []
    for _ in range(limits.CBOR_DEPTH + 1):
        nested = [nested]
    for value, error, part in (
        (1 << 64, LimitError, "64 bits"),
        (-1 - (1 << 64), LimitError, "64 bits"),
        (nested, LimitError, "depth"),
        (object(), CodecError, "got object"),
        ({1.5: 2}, CodecError, "got float"),
        ({True: 2}, CodecError, "got bool"),
        ("\ud800", CodecError, "surrogates"),
    ):
        with pytest.raises(error, match=part):
            cbor.encode(value)


def test_every_half_float_is_exact():
    for bits in range(0x10000):
        data = b"\xf9" + bits.to_bytes(2, "big")
        (number,) = struct.unpack(">e", data[1:])
        if math.isnan(number):
            if bits != 0x7E00:
                with pytest.raises(CodecError):
                    cbor.decode(data)
            continue
        assert cbor.decode(data) == number
        assert cbor.encode(number) == data
