"""What the board read: taken from its console, boot by boot.

A line may be lost or torn where the power goes or the chip is reset: what is missing shows by the
running number, but for the last ones of a boot.
"""

import re
from collections import deque
from dataclasses import dataclass, field

LINE = re.compile(r"T (\S+) (\d+) (\d+) (-?\d+(?:\.\d+)?)")
HEAP = re.compile(r"H (\d+) (\d+)")
BOOT = "T boot"
UNPLANNED = "by itself"
OTHER_LINES = 50  # of what else the console said: the last ones are kept


@dataclass(frozen=True)
class Told:
    """One reading as the program returned it. at: seconds of its clock, which starts with the
    power or at a reset. value: None where the line was not heard."""

    number: int
    at: float
    value: float | None


@dataclass
class Boot:
    """Its readings by sensor; end: what ended it, UNPLANNED if we did not; "" while it lasts."""

    readings: dict[str, list[Told]] = field(default_factory=dict)
    end: str = ""

    @property
    def last(self):
        """Seconds of its clock at the last reading that was heard."""
        return max((told[-1].at for told in self.readings.values() if told), default=0.0)


class Truth:
    """Fed with the lines of the console. heap: bytes free at least; pending: packs that wait."""

    def __init__(self):
        self.boots = []
        self.heap = None
        self.pending = None
        self.other = deque(maxlen=OTHER_LINES)

    @property
    def count(self):
        """Readings that were heard."""
        return sum(len(told) for boot in self.boots for told in boot.readings.values())

    def end(self, how):
        """The present boot ends, by `how`."""
        if self.boots:
            self.boots[-1].end = how

    def on_line(self, line):
        """One line of the console, without its end."""
        if line == BOOT:
            self._boot()
        elif match := LINE.fullmatch(line):
            name, number, ms, value = match.groups()
            self._reading(name, Told(int(number), int(ms) / 1000, float(value)))
        elif match := HEAP.fullmatch(line):
            free, self.pending = map(int, match.groups())
            self.heap = free if self.heap is None else min(free, self.heap)
        elif line:
            self.other.append(line)

    def _boot(self):
        if self.boots and not self.boots[-1].end:
            self.boots[-1].end = UNPLANNED
        self.boots.append(Boot())

    def _reading(self, name, told):
        if not self.boots or told.at < self.boots[-1].last:  # its "boot" was not heard
            self._boot()
        self.boots[-1].readings.setdefault(name, []).append(told)
