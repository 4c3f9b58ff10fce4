"""Readings and events as outbox bodies: encoded when they happen, dated when they are sent.

The clock may be proved only after a reading was taken (S10). So a body keeps times relative to
the uptime at which it began, and `finish` adds the unix time once that is known.
"""

from uward import limits
from uward.codec import cbor
from uward.compat import const
from uward.errors import CodecError

_BLIND = const(0xFF)  # first byte of a body of `blind`; others begin with a count or a text
_DENSE = const(0xFE)  # first byte of a body of `dense`
# SenML labels (RFC 8428 6)
_BASE_NAME, _BASE_TIME, _BASE_UNIT = -2, -3, -4
_VALUE, _TEXT, _BOOL, _TIME, _DATA = 2, 3, 4, 6, 8


class Entry:
    """One pack of an outbox: purpose, when (ms of uptime), body (bytes), critical; then sequence,
    sealed. epoch, quality: of the uptime, None for that of this boot."""

    def __init__(self, purpose, when, body, critical):
        self.purpose = purpose
        self.when = when
        self.body = body
        self.critical = critical
        self.size = limits.OUTBOX_OVERHEAD + len(body)  # bytes charged, sealing included
        self.sequence = 0
        self.sealed = None
        self.epoch = self.quality = None


class Series:
    """Readings of one sensor on their way into a pack: count, split, first record, the rest."""

    def __init__(self, name, unit):
        self._name = name
        self._unit = unit
        self._body = None
        self.began = 0  # ms of uptime, a whole second

    def add(self, when, value):
        """One reading, taken at `when` ms of uptime. -> True when the pack is to be closed.

        value: int, finite float, bool, str or bytes. CodecError for another, and for a long one.
        """
        if self._body is None:
            self._begin(when, value)
        else:
            self._body.extend(cbor.encode(_record(value, when - self.began)))
            self._body[0] += 1
        body = self._body
        return body[0] >= limits.SENML_RECORDS or len(body) >= limits.PACK_BYTES

    def _begin(self, when, value):
        self.began = when - when % 1000
        record = _record(value, when - self.began)
        record[_BASE_NAME] = self._name
        first = bytearray(cbor.encode(record))
        first[0] += 2 if self._unit else 1  # a base time comes in, and the unit after it
        body = bytearray((1, len(first)))
        body.extend(first)
        if self._unit:
            body.extend(cbor.encode({_BASE_UNIT: self._unit})[1:])
        self._body = body

    def due(self, now, age=limits.PACK_MS):
        """Whether a pack is open that began `age` ms or longer ago."""
        return self._body is not None and now - self.began >= age

    def gather(self):
        """Put an open pack to the lowest hole of the heap (S20)."""
        if self._body is not None:
            self._body = bytearray(self._body)

    def close(self):
        """-> (when in ms of uptime, body) of the pack; the next reading begins another."""
        body = bytes(self._body)
        self._body = None
        return self.began, body


def _record(value, offset):
    if isinstance(value, bool):
        label = _BOOL
    elif isinstance(value, (int, float)):
        label = _VALUE
        if value - value != 0:
            raise CodecError("reading: expected a finite number, got %r" % value)
    elif isinstance(value, (str, bytes)):
        label = _TEXT if isinstance(value, str) else _DATA
        if len(value) > limits.READING_BYTES:
            raise CodecError("reading: expected <= %d bytes, got more" % limits.READING_BYTES)
    else:
        raise CodecError("reading: expected a value, got %s" % type(value).__name__)
    record = {label: value}
    if offset:
        record[_TIME] = offset // 1000 if offset % 1000 == 0 else offset / 1000
    return record


def event(name, reason, proof=None):
    """-> body of one event: `[name tstr, reason tstr]`, with its proof if any (SPEC 8)."""
    return cbor.encode([name, reason] if proof is None else [name, reason, proof])


def finish(purpose, when, body, epoch, quality):
    """-> the final body (SPEC 8). epoch: unix seconds at uptime 0; quality of that clock."""
    if purpose in ("cmd", "log"):
        return body  # signed already, or without a time
    time = cbor.encode(epoch + when // 1000)
    if body[0] == _BLIND:  # sealed to the collector, who puts the time in (S9)
        return b"\x83" + cbor.encode(body) + time + cbor.encode(quality)
    if purpose == "event":
        return bytes((body[0] + 2,)) + body[1:] + time + cbor.encode(quality)
    if body[0] == _DENSE:
        split = 3 + int.from_bytes(body[1:3], "big")
        return b"\x88" + body[3:split] + cbor.encode(body[split:]) + time
    count, split = body[0], body[1] + 2
    head = bytes((0x80 | count,)) if count < 24 else bytes((0x98, count))
    base_time = cbor.encode(_BASE_TIME) + time
    return head + body[2:split] + base_time + body[split:]
