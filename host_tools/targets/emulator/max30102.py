"""A modelled MAX30102 pulse oximeter that replays a recorded PPG in emulated time.

Registers, FIFO and pointers are those of the data sheet (Maxim 19-7740). The light that comes back
is proportional to the LED current; what the program does not fetch in time is lost and counted.
"""

from collections.abc import Callable, Sequence

ADDRESS = 0x57
FIFO_SAMPLES = 32
PART_ID = 0x15
REVISION_ID = 0x03
FULL_SCALE = (1 << 18) - 1  # FIFO data is left-justified to 18 bits
BYTES_PER_CHANNEL = 3
RATES_HZ = (50, 100, 200, 400, 800, 1000, 1600, 3200)  # SPO2_SR
AVERAGES = (1, 2, 4, 8, 16, 32, 32, 32)  # SMP_AVE

INT_STATUS_1, INT_STATUS_2 = 0x00, 0x01
INT_ENABLE_1 = 0x02
FIFO_WRITE, FIFO_OVERFLOW, FIFO_READ, FIFO_DATA = 0x04, 0x05, 0x06, 0x07
FIFO_CONFIG, MODE_CONFIG, SPO2_CONFIG = 0x08, 0x09, 0x0A
LED1_CURRENT, LED2_CURRENT = 0x0C, 0x0D
SLOTS_12, SLOTS_34 = 0x11, 0x12
TEMP_INTEGER, TEMP_FRACTION, TEMP_ENABLE = 0x1F, 0x20, 0x21
REVISION, PART = 0xFE, 0xFF

A_FULL, PPG_READY, POWER_READY = 1 << 7, 1 << 6, 1 << 0
TEMP_READY = 1 << 1
ROLLOVER = 1 << 4
SHUTDOWN, RESET = 1 << 7, 1 << 6
MODE_HEART_RATE, MODE_SPO2, MODE_MULTI = 2, 3, 7
OVERFLOW_MAX = 0x1F

DC_PER_CURRENT = 3000.0  # counts a LED1_PA step (0.2 mA) brings back from a finger
AC_FRACTION = 0.02  # of it, the pulse's swing; infrared, red has half
TEMPERATURE_C = 33


class Max30102:
    """`waveform` (any unit; scaled to its own range) at `hz`, repeated without end.

    `produced`, `fetched` and `lost` count samples since the last mode change.
    """

    def __init__(self, waveform: Sequence[float] = (0.0,), hz: float = 100.0) -> None:
        self.replay(waveform, hz)
        self._seconds: Callable[[], float] = lambda: 0.0
        self._reset()

    def replay(self, waveform: Sequence[float], hz: float) -> None:
        """Play `waveform` from now on."""
        low, high = min(waveform), max(waveform)
        span = (high - low) or 1.0
        self._wave = [(value - low) / span - 0.5 for value in waveform]
        self._wave_hz = hz

    def power_on(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._reset()

    def _reset(self) -> None:
        self._registers = bytearray(256)
        self._registers[PART], self._registers[REVISION] = PART_ID, REVISION_ID
        self._registers[INT_STATUS_1] = POWER_READY
        self._pointer = 0
        self._addressing = False
        self._restart()

    def _restart(self) -> None:
        """An empty FIFO, and sampling from this moment."""
        self._fifo: list[bytes] = [bytes(BYTES_PER_CHANNEL)] * FIFO_SAMPLES
        self._head = self._tail = self._count = self._offset = self._overflow = 0
        self._began = self._seconds()
        self.produced = self.fetched = self.lost = 0

    @property
    def rate_hz(self) -> float:
        """Samples per second that reach the FIFO."""
        rate = RATES_HZ[self._registers[SPO2_CONFIG] >> 2 & 7]
        return rate / AVERAGES[self._registers[FIFO_CONFIG] >> 5]

    # the bus

    def start(self, reading: bool) -> None:
        self._addressing = not reading
        self._catch_up()

    def write(self, value: int) -> bool:
        if self._addressing:
            self._pointer, self._addressing = value, False
        else:
            self._write(self._pointer, value)
            self._advance()
        return True

    def read(self) -> int:
        self._catch_up()
        value = self._read(self._pointer)
        self._advance()
        return value

    def stop(self) -> None:
        self._addressing = False

    def _advance(self) -> None:
        if self._pointer != FIFO_DATA:  # so that a burst reads the FIFO empty
            self._pointer = (self._pointer + 1) & 0xFF

    # registers

    def _read(self, register: int) -> int:
        if register == FIFO_DATA:
            return self._fifo_byte()
        if register == FIFO_WRITE:
            return self._head
        if register == FIFO_READ:
            return self._tail
        if register == FIFO_OVERFLOW:
            return self._overflow
        value = self._registers[register]
        if register in (INT_STATUS_1, INT_STATUS_2):
            self._registers[register] = 0
        return value

    def _write(self, register: int, value: int) -> None:
        if register == MODE_CONFIG and value & RESET:
            self._reset()
        elif register in (FIFO_WRITE, FIFO_READ, FIFO_OVERFLOW):
            self._set_pointer(register, value & OVERFLOW_MAX)
        elif register == TEMP_ENABLE:
            self._registers[TEMP_INTEGER] = TEMPERATURE_C
            self._registers[INT_STATUS_2] |= TEMP_READY
        elif register not in (INT_STATUS_1, INT_STATUS_2, FIFO_DATA, REVISION, PART):
            self._registers[register] = value
            if register in (MODE_CONFIG, SPO2_CONFIG, FIFO_CONFIG):
                self._restart()

    def _set_pointer(self, register: int, value: int) -> None:
        if register == FIFO_OVERFLOW:
            self._overflow = value
            return
        if register == FIFO_WRITE:
            self._head = value
        else:
            self._tail, self._offset = value, 0
        self._count = (self._head - self._tail) % FIFO_SAMPLES

    # sampling

    def _channels(self) -> int:
        mode = self._registers[MODE_CONFIG]
        if mode & SHUTDOWN:
            return 0
        if mode & 7 == MODE_MULTI:
            slots = self._registers[SLOTS_12], self._registers[SLOTS_34]
            return sum(bool(slot >> shift & 7) for slot in slots for shift in (0, 4))
        return {MODE_HEART_RATE: 1, MODE_SPO2: 2}.get(mode & 7, 0)

    def _catch_up(self) -> None:
        """Make the samples that are due by now."""
        channels = self._channels()
        if not channels:
            return
        due = int((self._seconds() - self._began) * self.rate_hz)
        while self.produced < due:
            self.produced += 1
            self._push(channels)

    def _push(self, channels: int) -> None:
        self._registers[INT_STATUS_1] |= PPG_READY
        if self._count == FIFO_SAMPLES:
            self.lost += 1
            self._overflow = min(self._overflow + 1, OVERFLOW_MAX)
            if not self._registers[FIFO_CONFIG] & ROLLOVER:
                return
            self._tail = (self._tail + 1) % FIFO_SAMPLES
            self._count -= 1
            self._offset = 0
        self._fifo[self._head] = self._sample(channels)
        self._head = (self._head + 1) % FIFO_SAMPLES
        self._count += 1
        if FIFO_SAMPLES - self._count <= self._registers[FIFO_CONFIG] & 0x0F:
            self._registers[INT_STATUS_1] |= A_FULL

    def _sample(self, channels: int) -> bytes:
        wave = self._wave_at(self.produced / self.rate_hz)
        currents = self._registers[LED1_CURRENT], self._registers[LED2_CURRENT]
        lost_bits = 3 - (self._registers[SPO2_CONFIG] & 3)  # LED_PW: 15 to 18 bits
        sample = b""
        for channel in range(channels):
            swing = AC_FRACTION * (0.5 if channel == 0 and channels > 1 else 1.0)
            light = currents[min(channel, 1)] * DC_PER_CURRENT * (1 + swing * wave)
            count = min(int(light), FULL_SCALE) >> lost_bits << lost_bits
            sample += count.to_bytes(BYTES_PER_CHANNEL, "big")
        return sample

    def _wave_at(self, seconds: float) -> float:
        """The recording at a time after its start, interpolated."""
        position = seconds * self._wave_hz % len(self._wave)
        index = int(position)
        first, second = self._wave[index], self._wave[(index + 1) % len(self._wave)]
        return first + (second - first) * (position - index)

    def _fifo_byte(self) -> int:
        if not self._count:
            return 0
        sample = self._fifo[self._tail]
        value = sample[self._offset]
        self._offset += 1
        if self._offset == len(sample):
            self._offset = 0
            self._tail = (self._tail + 1) % FIFO_SAMPLES
            self._count -= 1
            self._overflow = 0
            self.fetched += 1
        return value
