"""Heart rate from a pulse wave (PPG): streaming, integers only, 0.6 KB of state.

A beat is the highest sample of a stretch that rises above half of the envelope over the moving
average of 0.75 s (the method of van Gent et al., HeartPy, 2019, made causal). A rate is given only
when eight beats in a row look like one heart: evenly spaced and of like height. Motion, a lifted
finger or a flat line give None instead of a number.
"""

from array import array

BEATS = 8  # intervals that a rate is the mean of
SHORTEST = 3  # tenths of a second between beats: 200 beat/min
LONGEST_S = 2  # seconds without a beat after which there is no rate: 30 beat/min
TOLERANCE = 25  # per cent by which an interval may differ from the median one
ENOUGH = 75  # per cent of the intervals that must lie within the tolerance
HEIGHTS = 3  # highest over lowest beat: more is motion


class Heart:
    """Feed `push(sample)` at `rate_hz`; `rate()` is in beats a minute, or None."""

    def __init__(self, rate_hz=100):
        self._hz = rate_hz
        self._window = array("i", [0] * (rate_hz * 3 // 4))
        self._at = 0
        self._sum = 0
        self._now = 0  # samples so far
        self._envelope = 0
        self._height = 0  # of the highest sample in this stretch; 0 = outside of one
        self._top = 0  # its time
        self._last = 0  # time of the last beat
        self._intervals = array("i", [0] * BEATS)
        self._heights = array("i", [0] * BEATS)
        self._beats = 0

    def push(self, sample):
        """Take one raw sample, an int of at most 24 bits (a pulse makes it rise)."""
        window = self._window
        at = self._at
        size = len(window)
        self._sum += sample - window[at]
        window[at] = sample
        self._at = at + 1 if at + 1 < size else 0
        self._now += 1
        if self._now < size:
            return
        # the sample half a window back, against the mean around it; (at - half) may be negative
        above = window[at - size // 2] - self._sum // size
        envelope = self._envelope
        if above > envelope:
            envelope += (above - envelope) >> 2
        elif envelope:
            envelope -= (envelope >> 8) or 1
        self._envelope = envelope
        if above > 0 and above * 2 > envelope:
            if above > self._height:
                self._height = above
                self._top = self._now
        elif self._height:
            self._beat(self._top, self._height)
            self._height = 0

    def _beat(self, when, height):
        interval = when - self._last
        if interval * 10 < self._hz * SHORTEST:
            return
        slot = self._beats % BEATS
        self._intervals[slot] = interval
        self._heights[slot] = height
        self._beats += 1
        self._last = when

    def rate(self):
        """Mean rate over the last eight beats in beats a minute (float), or None."""
        if self._beats <= BEATS or self._now - self._last > LONGEST_S * self._hz:
            return None
        if max(self._heights) > HEIGHTS * min(self._heights):
            return None
        middle = sorted(self._intervals)[BEATS // 2]
        count = total = 0
        for interval in self._intervals:
            if abs(interval - middle) * 100 <= middle * TOLERANCE:
                count += 1
                total += interval
        if count * 100 < BEATS * ENOUGH or total > count * LONGEST_S * self._hz:
            return None
        return 60 * self._hz * count / total
