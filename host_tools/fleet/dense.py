"""Dense packs (SPEC 8): readings that a device took offline, a half byte or two each. Pure.

`[name, unit, decimals, period, offset, first, steps, time]`: steps are half bytes, in them one
number for each further reading, and one more for a reading that was not on time.
"""

from collections.abc import Iterator
from typing import Any

from host_tools.fleet import codec, limits, messages
from host_tools.fleet.store import Reading

DECIMALS = 3
INT = 2**30  # a whole number is smaller than this
FLOAT = 2**24  # and one of decimals than this
FAR = 2**28  # a step, and the ms by which a reading is late
ON_TIME = 64  # part of the period by which a reading may be off without a mark
MORE = 8  # bit of a half byte: three more bits follow
MARK = [8, 0]


def is_dense(body: object) -> bool:
    """Whether a body is such a pack."""
    return isinstance(body, list) and bool(body) and isinstance(body[0], str)  # type: ignore[reportUnknownArgumentType]


def parse_tele(body: object, now: float) -> list[Reading]:
    """Readings of a body of `up/tele`, dense or SenML; `now` dates relative times of SenML.
    Raises Malformed."""
    return readings(body) if is_dense(body) else messages.parse_senml(body, now)


def readings(body: object) -> list[Reading]:
    """A dense pack's readings; times in unix seconds. Raises Malformed."""
    name, unit, decimals, period, offset, first, steps, start = codec.array(body, 8, "dense pack")
    if not messages.SENML_NAME.fullmatch(codec.text(name, "name")):
        raise codec.Malformed(f"dense pack: expected a name, got {codec.brief(name)}")
    codec.text(unit, "unit")
    codec.uint(decimals, DECIMALS, "decimals")
    codec.uint(period, FAR - 1, "period")
    at = codec.uint(offset, 999, "offset")
    start = codec.uint(start, limits.TIME_MAX, "time")
    if start < messages.SENML_RELATIVE:
        raise codec.Malformed(f"time: expected {messages.SENML_RELATIVE} or more, got {start}")
    steps = codec.blob(steps, "steps")
    if len(steps) > limits.DENSE_BYTES:
        raise codec.Malformed(
            f"steps: expected at most {limits.DENSE_BYTES} bytes, got {len(steps)}"
        )
    found: list[Reading] = []
    value = _whole(first, decimals)
    rows = _rows(steps, period)
    while True:
        scaled = value / 10**decimals if decimals else value
        found.append(Reading(name, unit, _time(start, at), scaled))
        row = next(rows, None)
        if row is None:
            return found
        if len(found) == limits.DENSE_READINGS:
            raise codec.Malformed(f"steps: expected at most {len(found)} readings, got more")
        at += row[0]
        value = _whole(value + row[1], decimals)


def _whole(value: Any, decimals: int) -> int:
    bound = FLOAT if decimals else INT
    if not isinstance(value, int) or isinstance(value, bool) or not -bound < value < bound:
        raise codec.Malformed(
            f"value: expected an integer between -{bound} and {bound}, got {codec.brief(value)}"
        )
    return value


def _time(start: int, at: int) -> float:
    when = (start * 1000 + at) / 1000
    if when > limits.TIME_MAX:
        raise codec.Malformed(f"time: expected at most {limits.TIME_MAX}, got {when:.0f}")
    return when


def _rows(steps: bytes, period: int) -> Iterator[tuple[int, int]]:
    """Of each further reading: ms since the one before, difference of the values."""
    nibbles = [half for byte in steps for half in (byte >> 4, byte & 15)]
    if nibbles and nibbles[-1] == MORE:
        nibbles.pop()  # fills the last byte: no number ends so
    at, near = 0, period // ON_TIME
    while at < len(nibbles):
        late = 0
        if nibbles[at : at + 2] == MARK:
            late, at = _number(nibbles, at + 2)
            if abs(late) <= near:
                raise codec.Malformed(f"steps: expected no mark at {late} ms of {period}, got one")
            if late + period < -near:
                raise codec.Malformed(f"steps: expected times in order, got {late} ms of {period}")
        step, at = _number(nibbles, at)
        yield period + late, step


def _number(nibbles: list[int], at: int) -> tuple[int, int]:
    """-> (number, where the next begins): groups of 3 bits, lowest first, zigzag."""
    total, begin = 0, at
    while True:
        if at == len(nibbles):
            raise codec.Malformed("steps: expected a whole number, got the end")
        nibble = nibbles[at]
        total |= (nibble & 7) << 3 * (at - begin)
        at += 1
        if total > 2 * (FAR - 1):
            raise codec.Malformed(f"steps: expected a number below {FAR}, got more")
        if not nibble & MORE:
            break
    if nibble == 0 and at - begin > 1:
        raise codec.Malformed("steps: expected the shortest form, got a longer one")
    return (total >> 1) ^ -(total & 1), at
