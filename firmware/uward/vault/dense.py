"""Readings of one sensor as a dense outbox body (SPEC 8): most take one half byte or two.

A pack holds the differences between whole numbers, and no time of a reading that came when it was
due. What does not fit (text, a third, a leap) is left to `packs.Series`.
"""

from uward import limits
from uward.codec import cbor
from uward.compat import const

_DENSE = const(0xFE)  # first byte of such a body
_START = const(3)  # bytes before its head
_FAR = const(1 << 28)  # steps and ms late stay below: a small int on every port, also doubled
_INT = const(1 << 30)  # likewise
_FLOAT = const(1 << 24)  # the whole numbers below are exact in a float of 32 bits
_SCALES = (1, 10, 100, 1000)
_ON_TIME = const(64)  # part of the period by which a reading may differ from its time unmarked
_MORE = const(8)  # bit 3 of a half byte: three more bits follow


class Dense:
    """Readings of one sensor on their way into one dense pack (SPEC 8).

    name, unit: str; period: ms between two readings. half: half bytes of the body in use; last,
    expected: ms after `began`, of the last reading and of the next; m: the last value in units of
    10**-decimals.
    """

    def __init__(self, name, unit, period):
        self._name = name
        self._unit = unit
        self._period = period
        self._body = bytearray(limits.DENSE_BYTES)
        self._half = self._count = self._decimals = self._m = self._last = self._expected = 0
        self.began = 0  # ms of uptime, a whole second

    def add(self, when, value):
        """One reading, taken at `when` ms of uptime. -> whether it was taken; nothing has
        changed when it was not. 0.0 comes out for -0.0."""
        if not self._count:
            return self._begin(when, value)
        m = _whole(value, self._decimals)
        if m is None or self._count >= limits.DENSE_READINGS:
            return False
        at = when - self.began
        step = m - self._m
        late = at - self._expected
        if at < self._last or not (-_FAR < step < _FAR and -_FAR < late < _FAR):
            return False
        near = self._period // _ON_TIME
        marked = not -near <= late <= near
        step, late = _zigzag(step), _zigzag(late)
        half = _groups(step) + (2 + _groups(late) if marked else 0)
        if self._half + half > 2 * limits.DENSE_BYTES:
            return False
        if marked:
            self._put(_MORE)  # a zero in two groups: no number is written like this
            self._put(0)
            self._number(late)
            self._expected = at
        self._number(step)
        self._expected += self._period
        self._last, self._m = at, m
        self._count += 1
        return True

    def _begin(self, when, value):
        for decimals in range(len(_SCALES)):
            m = _whole(value, decimals)
            if m is not None:
                break
        else:
            return False
        offset = when % 1000
        head = cbor.encode([self._name, self._unit, decimals, self._period, offset, m])[1:]
        end = _START + len(head)
        if end > limits.DENSE_BYTES or not 0 <= self._period < _FAR:
            return False
        self._body[:_START] = bytes((_DENSE, len(head) >> 8, len(head) & 0xFF))
        self._body[_START:end] = head
        self.began = when - offset
        self._half, self._count, self._decimals, self._m = 2 * end, 1, decimals, m
        self._last, self._expected = offset, offset + self._period
        return True

    def _number(self, number):
        while number >= _MORE:
            self._put(number & 7 | _MORE)
            number >>= 3
        self._put(number)

    def _put(self, nibble):
        i = self._half >> 1
        if self._half & 1:
            self._body[i] = self._body[i] & 0xF0 | nibble
        else:
            self._body[i] = nibble << 4 | _MORE  # a low half that stays unused is an 8
        self._half += 1

    def body(self):
        """-> the outbox body of the readings so far."""
        return bytes(memoryview(self._body)[: (self._half + 1) >> 1])


def _whole(value, decimals):
    """-> value * 10**decimals as an int when that says all of it, else None. 0 decimals: ints."""
    if not decimals:
        return value if type(value) is int and -_INT < value < _INT else None
    scale = _SCALES[decimals]
    if type(value) is not float or not -_FLOAT < value * scale < _FLOAT:  # nor a NaN
        return None
    m = round(value * scale)
    return m if m / scale == value else None


def _zigzag(number):
    return number << 1 if number >= 0 else ~(number << 1)


def _groups(number):
    """-> the groups of 3 bits that `number` takes."""
    groups = 1
    while number >= _MORE:
        number >>= 3
        groups += 1
    return groups
