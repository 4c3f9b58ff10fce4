"""An I2C bus for the Unix port with a modelled MAX30102 on it that replays a recording.

The recording is the file that UWARD_PPG names: 3 bytes big-endian a sample, 18 bits, 100 Hz; it
is replayed in real time, from its start again after its end. Only what the data sheet's FIFO does:
32 samples, the overflow counter, pointers, part id.
"""

import os
import time

_ADDRESS = 0x57
_PERIOD_MS = 10
_DEPTH = 32


def _ms():
    return time.time_ns() // 1_000_000


class Replay:
    """The methods of machine.I2C that drivers use. OSError 19 (ENODEV) for another address."""

    def __init__(self, file):
        self._file = file
        self._registers = bytearray(256)
        self._registers[0xFF] = 0x15
        self._fifo = []
        self._started = None
        self._taken = 0

    def readfrom_mem(self, address, register, size):
        """-> size bytes from a register on."""
        out = bytearray(size)
        self.readfrom_mem_into(address, register, out)
        return bytes(out)

    def readfrom_mem_into(self, address, register, out):
        """Fill `out` from a register on; the FIFO's data register stays where it is."""
        self._check(address)
        self._advance()
        if register == 7:
            sample = self._fifo.pop(0) if self._fifo else b"\x00\x00\x00"
            self._registers[5] = 0
            out[:] = sample[: len(out)]
            self._registers[6] = self._registers[6] + 1 & 31
            return
        out[:] = self._registers[register : register + len(out)]

    def writeto_mem(self, address, register, data):
        """Write bytes from a register on."""
        self._check(address)
        self._registers[register : register + len(data)] = data
        if register == 4:
            self._fifo.clear()
        if register == 9:
            running = data[0] & 7 == 2 and not data[0] & 0xC0
            self._started = _ms() if running else None
            self._registers[9] = data[0] & 0xBF  # the reset bit clears itself
            self._taken = 0

    def _check(self, address):
        if address != _ADDRESS:
            raise OSError(19)

    def _advance(self):
        if self._started is None:
            return
        due = (_ms() - self._started) // _PERIOD_MS
        while self._taken < due:
            self._taken += 1
            sample = self._file.read(3)
            if len(sample) < 3:
                self._file.seek(0)
                sample = self._file.read(3)
            if len(self._fifo) < _DEPTH:
                self._fifo.append(sample)
                self._registers[4] = self._registers[4] + 1 & 31
            else:
                self._registers[5] = min(31, self._registers[5] + 1)


def open_bus():
    """-> Replay of UWARD_PPG; OSError 19 (ENODEV) when there is no recording."""
    path = os.getenv("UWARD_PPG")
    if not path:
        raise OSError(19)
    return Replay(_host_open(path))


def _host_open(path):
    """Open a file of the host: a board's root is its own flash, mounted over the host's files."""
    try:
        from vfs import VfsPosix
    except ImportError:  # CPython
        return open(path, "rb")
    return VfsPosix("/").open(path, "rb")
