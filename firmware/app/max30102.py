"""MAX30102 pulse sensor by its data sheet (Maxim 19-7740): red LED, 100 Hz, 18 bit.

The FIFO holds 32 samples = 320 ms. A TLS handshake blocks Python for more than a second, so a
hard timer empties it into a ring that is allocated here, once (S18). `drain` allocates nothing.

A timer whose callback raises never fires again, and one that finds the C stack full raises before
its first line: `read` starts it anew.
"""

from array import array

from uward import port

ADDRESS = 0x57
PART_ID = 0x15
RATE_HZ = 100

_FIFO_WRITE = 0x04  # followed by the overflow counter (0x05) and the read pointer (0x06)
_FIFO_DATA = 0x07
_FIFO_CONFIG = 0x08
_MODE = 0x09
_SPO2_CONFIG = 0x0A
_LED_RED = 0x0C
_PART = 0xFF

_RESET = 0x40
_HEART_RATE = 0x02  # red LED only: 3 bytes a sample
_NO_ROLLOVER = 0x00  # no averaging; a full FIFO keeps the old samples and counts the lost ones
_RANGE_100HZ_18BIT = 0x27  # 4096 nA, 100 samples/s, 411 us pulses
_LED_7_MA = 0x24

_DRAIN_MS = 100  # 10 of the FIFO's 32 samples
_SILENT_MS = 500  # without a drain: 5 periods; the FIFO has overflown by then and counts
_RING = 512  # samples, a power of two: 5 s, four handshakes long


class MAX30102:
    """`read(take)` hands the waiting samples over; `lost` counts what the FIFO or ring lost."""

    def __init__(self, bus):
        self._bus = bus
        self._ring = array("i", [0] * _RING)
        self._head = 0  # moved by drain only
        self._tail = 0  # moved by read only
        self._timer = None
        self._pointers = bytearray(3)
        self._sample = bytearray(3)
        self.lost = 0
        self.errors = 0
        part = bus.readfrom_mem(ADDRESS, _PART, 1)[0]
        if part != PART_ID:
            raise OSError("max30102: expected part 0x%02x, got 0x%02x" % (PART_ID, part))
        self._set(_MODE, _RESET)
        self._set(_FIFO_CONFIG, _NO_ROLLOVER)
        self._set(_SPO2_CONFIG, _RANGE_100HZ_18BIT)
        self._set(_LED_RED, _LED_7_MA)

    def _set(self, register, value):
        self._bus.writeto_mem(ADDRESS, register, bytes((value,)))

    def start(self, timer):
        """Start sampling; timer(period in ms, callback) calls `drain` from an interrupt."""
        self._bus.writeto_mem(ADDRESS, _FIFO_WRITE, b"\x00\x00\x00")
        self._set(_MODE, _HEART_RATE)
        self._new_timer = timer
        self._arm()

    def _arm(self):
        if self._timer is not None:
            self._timer.deinit()
        self._drained = port.ticks_ms()
        self._timer = self._new_timer(_DRAIN_MS, self.drain)

    def drain(self, _timer=None):
        """FIFO -> ring, in an interrupt: no allocation, a failed transfer is counted."""
        self._drained = port.ticks_ms()
        try:
            self._bus.readfrom_mem_into(ADDRESS, _FIFO_WRITE, self._pointers)
            count = (self._pointers[0] - self._pointers[2]) & 31
            overflow = self._pointers[1]
            if overflow:
                self.lost += overflow
                if count == 0:
                    count = 32
            sample = self._sample
            while count:
                self._bus.readfrom_mem_into(ADDRESS, _FIFO_DATA, sample)
                value = (sample[0] & 3) << 16 | sample[1] << 8 | sample[2]
                self._ring[self._head & _RING - 1] = value
                self._head += 1
                count -= 1
        except OSError:
            self.errors += 1

    def read(self, take):
        """Call take(sample) for each waiting sample, oldest first. -> how many."""
        if self._timer and port.ticks_diff(port.ticks_ms(), self._drained) > _SILENT_MS:
            self.errors += 1
            self._arm()
        head = self._head
        if head - self._tail > _RING:
            self.lost += head - self._tail - _RING
            self._tail = head - _RING
        count = head - self._tail
        while self._tail != head:
            take(self._ring[self._tail & _RING - 1])
            self._tail += 1
        return count
