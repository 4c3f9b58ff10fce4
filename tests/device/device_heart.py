"""Heart rate and sensor driver, run on CPython and MicroPython."""

import time

from app.heart import Heart
from app.max30102 import ADDRESS, MAX30102


def rates(path):
    """The rates after each second of a recording: 3 bytes big-endian a sample, 100 Hz."""
    heart = Heart(100)
    out = []
    with open(path, "rb") as f:
        while True:
            second = f.read(300)
            if len(second) < 300:
                return out
            for i in range(0, 300, 3):
                heart.push(second[i] << 16 | second[i + 1] << 8 | second[i + 2])
            out.append(heart.rate())


def pulses(interval, count, height=2000, base=50000):
    """The rate after `count` triangular pulses, one every `interval` samples."""
    heart = Heart(100)
    for _ in range(count):
        for i in range(interval):
            heart.push(base + max(0, height - 200 * i))
    return heart.rate()


def flat(samples, value):
    heart = Heart(100)
    for _ in range(samples):
        heart.push(value)
    return heart.rate()


def stopped(interval, silence):
    """Pulses, then a flat line of `silence` samples: the rate before and after."""
    heart = Heart(100)
    for _ in range(12):
        for i in range(interval):
            heart.push(50000 + max(0, 2000 - 200 * i))
    before = heart.rate()
    for _ in range(silence):
        heart.push(50000)
    return [before, heart.rate()]


def irregular(intervals):
    heart = Heart(100)
    for interval in intervals:
        for i in range(interval):
            heart.push(50000 + max(0, 2000 - 200 * i))
    return heart.rate()


class Chip:
    """The FIFO of a MAX30102 by its data sheet, filled by hand."""

    def __init__(self, part=0x15):
        self.registers = bytearray(256)
        self.registers[0xFF] = part
        self.fifo = []
        self.broken = False
        self.writes = []

    def fill(self, samples):
        for sample in samples:
            if len(self.fifo) == 32:
                self.registers[5] = min(31, self.registers[5] + 1)
            else:
                self.fifo.append(sample)
                self.registers[4] = (self.registers[4] + 1) & 31

    def readfrom_mem(self, address, register, size):
        out = bytearray(size)
        self.readfrom_mem_into(address, register, out)
        return bytes(out)

    def readfrom_mem_into(self, address, register, out):
        if self.broken or address != ADDRESS:
            raise OSError(5)
        if register == 7:
            self.registers[5] = 0
            self.registers[6] = (self.registers[6] + 1) & 31
            out[:] = self.fifo.pop(0).to_bytes(3, "big")
        else:
            out[:] = self.registers[register : register + len(out)]

    def writeto_mem(self, address, register, data):
        self.writes.append([register, list(data)])


def _started(chip):
    sensor = MAX30102(chip)
    periods = []
    sensor.start(lambda period, callback: periods.append(period))
    return sensor, periods


def driver(batches):
    """Fill and drain in turns -> [samples read, lost, errors, timer period, register writes]."""
    chip = Chip()
    sensor, periods = _started(chip)
    for batch in batches:
        chip.fill(batch)
        sensor.drain()
    out = []
    sensor.read(out.append)
    return [out, sensor.lost, sensor.errors, periods, chip.writes]


def broken_bus():
    chip = Chip()
    sensor, _ = _started(chip)
    chip.fill([1, 2, 3])
    chip.broken = True
    sensor.drain()
    chip.broken = False
    sensor.drain()
    out = []
    sensor.read(out.append)
    return [out, sensor.errors]


class Timer:
    """One that its callback's exception has ended, or not yet."""

    def __init__(self, callback):
        self.callback = callback
        self.on = True

    def deinit(self):
        self.on = False


def dead_timer():
    """-> [timers after start, two reads with 0.6 s between, a third; those on; samples; errors]"""
    chip = Chip()
    timers = []

    def arm(period, callback):
        timers.append(Timer(callback))
        return timers[-1]

    sensor = MAX30102(chip)
    sensor.read(print)  # not started: nothing is armed
    sensor.start(arm)
    counts = [len(timers)]
    for silence in (0, 0.6, 0):
        time.sleep(silence)
        sensor.read(print)
        counts.append(len(timers))
    chip.fill([7, 8])
    timers[-1].callback()
    out = []
    sensor.read(out.append)
    return [counts, [timer.on for timer in timers], out, sensor.errors]


def ring_overflow(count):
    chip = Chip()
    sensor, _ = _started(chip)
    for i in range(count):
        chip.fill([i])
        sensor.drain()
    out = []
    sensor.read(out.append)
    return [out[0], out[-1], len(out), sensor.lost]


def wrong_part():
    try:
        MAX30102(Chip(part=0x11))
    except OSError as e:
        return str(e)
    return None
