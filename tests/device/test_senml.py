"""codec/senml: packs of RFC 8428, both ways and refused."""

import cbor2
import pytest
from uward import limits
from uward.codec import senml
from uward.errors import CodecError, LimitError

PACK = [
    {"bn": "urn:dev:ow:10e2073a01080063:", "bt": 1320067464.0, "bu": "%RH", "v": 20},
    {"u": "lon", "v": 24.5},
    {"n": "alarm", "vb": True, "t": -5},
    {"n": "state", "vs": "ok", "s": 3, "ut": 60},
    {"n": "raw", "vd": b"\x00\x01"},
]


def test_labels_are_those_of_rfc_8428():
    labels = {"bver": -1, "bn": -2, "bt": -3, "bu": -4, "bv": -5, "bs": -6, "n": 0, "u": 1}
    labels.update({"v": 2, "vs": 3, "vb": 4, "s": 5, "t": 6, "ut": 7, "vd": 8})
    assert cbor2.loads(senml.encode(PACK)) == [
        {labels[name]: value for name, value in record.items()} for record in PACK
    ]


def test_round_trip():
    assert senml.decode(senml.encode(PACK)) == PACK


def test_same_bytes_on_the_port(device):
    pack = PACK[:4]
    (outcome,) = device("device_call", "run", [["uward.codec.senml", "encode", [pack]]])
    assert outcome == ["ok", "hex:" + senml.encode(pack).hex()]


@pytest.mark.parametrize(
    "pack, part",
    (
        ({}, "array, got dict"),
        ([1], "map, got int"),
        ([{9: 1}], "known labels, got 9"),
        ([{"n": "x"}], "known labels, got 'n'"),
        ([{0: 1}], "another type of n"),
        ([{2: True}], "another type of v"),
        ([{4: 1}], "another type of vb"),
        ([{2: 1, 3: "x"}], "one value"),
    ),
)
def test_refused(pack, part):
    data = cbor2.dumps(pack, canonical=True)
    with pytest.raises(CodecError, match=part):
        senml.decode(data)


def test_encoder_refuses():
    with pytest.raises(CodecError, match="known labels, got 'x'"):
        senml.encode([{"x": 1}])
    for count in (0, limits.SENML_RECORDS + 1):
        with pytest.raises(LimitError, match="got %d" % count):
            senml.encode([{"v": 1}] * count)
