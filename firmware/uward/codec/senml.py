"""SenML packs in CBOR (RFC 8428 6): records <-> bytes.

A record is a dict by name: bn, bt, bu (bases, first record only, as a rule), n, u, v, vs, vb, vd,
s, t, ut.
"""

from uward import limits
from uward.codec import cbor
from uward.errors import CodecError, LimitError

_LABELS = {
    "bver": -1,
    "bn": -2,
    "bt": -3,
    "bu": -4,
    "bv": -5,
    "bs": -6,
    "n": 0,
    "u": 1,
    "v": 2,
    "vs": 3,
    "vb": 4,
    "s": 5,
    "t": 6,
    "ut": 7,
    "vd": 8,
}
_NAMES = {label: name for name, label in _LABELS.items()}
_TYPES = {"bn": str, "bu": str, "n": str, "u": str, "vs": str, "vb": bool, "vd": bytes}
_VALUES = ("v", "vs", "vb", "vd")


def encode(records):
    """[dict] -> bytes."""
    _count(len(records))
    pack = []
    for record in records:
        _check(record)
        pack.append({_LABELS[name]: record[name] for name in record})
    return cbor.encode(pack)


def decode(data):
    """Bytes -> [dict]; CodecError for a label, type or record that RFC 8428 does not know."""
    pack = cbor.decode(data, ordered=False)
    if not isinstance(pack, list):
        raise CodecError("senml: expected an array, got %s" % type(pack).__name__)
    _count(len(pack))
    records = []
    for item in pack:
        if not isinstance(item, dict):
            raise CodecError("senml: expected a map, got %s" % type(item).__name__)
        record = {}
        for label in item:
            if label not in _NAMES:
                raise CodecError("senml: expected known labels, got %r" % (label,))
            record[_NAMES[label]] = item[label]
        _check(record)
        records.append(record)
    return records


def _count(n):
    if not 1 <= n <= limits.SENML_RECORDS:
        raise LimitError("senml: expected 1..%d records, got %d" % (limits.SENML_RECORDS, n))


def _check(record):
    for name in record:
        if name not in _LABELS:
            raise CodecError("senml: expected known labels, got %r" % (name,))
        value = record[name]
        kind = _TYPES.get(name, (int, float))
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            raise CodecError("senml: expected another type of %s, got %r" % (name, value))
    if sum([name in record for name in _VALUES]) > 1:
        raise CodecError("senml: expected one value in a record, got more")
