"""The flash chip as it is felt: every erase and page program counted, timed, and cut if wanted.

`PowerCut` leaves the emulated CPU in the middle of the flash command; the next board boots from
exactly the bytes that were there.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

ERASE_NS = 45_000_000  # 4 KB sector, typical (W25Q16JV data sheet 9.6)
PROGRAM_NS = 400_000  # 256-byte page, typical
BLOCK_ERASE_NS = 150_000_000  # 64 KB, typical

CMD_PROGRAM = 0x02
CMD_STATUS = 0x05
CMD_ERASE_SECTOR = 0x20
CMD_ERASE_BLOCK = 0xD8
PAGE = 256
SECTOR = 4096
BLOCK = 65536
BUSY_NS = {CMD_PROGRAM: PROGRAM_NS, CMD_ERASE_SECTOR: ERASE_NS, CMD_ERASE_BLOCK: BLOCK_ERASE_NS}
MODES = ("before", "half", "torn", "after")


class PowerCut(BaseException):
    """The power is gone. A BaseException, so that no handler of the emulator swallows it."""


@dataclass(frozen=True)
class Cut:
    """Cut at flash operation number `at` (1 is the first): `before` it, `half`-way through it,
    `torn` (each bit that was to change did so or not, by `seed`), or `after` it."""

    at: int
    mode: str = "half"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"cut mode {self.mode!r}, expected one of {', '.join(MODES)}")


class FlashModel:
    """Hooks the emulated flash controller `mcu.ssi`.

    `operations` counts erases and programs, `erases` counts erases per sector (wear), and
    `before_each` is called with the number of the operation that is about to happen.
    """

    def __init__(self, mcu: Any, busy: bool = True) -> None:
        self._ssi = mcu.ssi
        self._bytes = mcu.flash
        self._clock = mcu.clock
        self._apply: Callable[[], None] = self._ssi._apply_command
        self._shift: Callable[[int], int] = self._ssi._shift_byte
        self._busy = busy
        self._busy_until = 0.0
        self.operations = 0
        self.programs = 0
        self.erases: Counter[int] = Counter()
        self.cut: Cut | None = None
        self.before_each: Callable[[int], None] | None = None
        self._ssi._apply_command = self._on_command
        self._ssi._shift_byte = self._on_byte

    def _on_command(self) -> None:
        sent = self._ssi._tx_buffer
        if not sent or not self._ssi._write_enabled or sent[0] not in BUSY_NS or len(sent) < 4:
            self._apply()
            return
        command = sent[0]
        if self.before_each is not None:
            self.before_each(self.operations + 1)
        self.operations += 1
        if self.cut is not None and self.cut.at == self.operations:
            self._cut(self.cut, command)
        self._count(command)
        self._apply()
        if self._busy:
            self._busy_until = self._clock.nanos + BUSY_NS[command]

    def _on_byte(self, byte: int) -> int:
        """Let the busy time pass at the first status poll: the bootrom polls until it is over."""
        sent = self._ssi._tx_buffer
        if sent and sent[0] == CMD_STATUS:
            remaining = self._busy_until - self._clock.nanos
            if remaining > 0:
                self._clock.tick(remaining)
        return self._shift(byte)

    def _count(self, command: int) -> None:
        address = self._ssi._address_from_buffer()
        if command == CMD_PROGRAM:
            self.programs += 1
        elif command == CMD_ERASE_SECTOR:
            self.erases[address // SECTOR] += 1
        else:
            self.erases.update(range(address // SECTOR, (address + BLOCK) // SECTOR))

    def _cut(self, cut: Cut, command: int) -> None:
        if cut.mode == "after":
            self._apply()
        elif cut.mode != "before":
            start, old, new = self._change(command)
            self._bytes[start : start + len(old)] = _part_of(old, new, cut)
        raise PowerCut(f"power cut {cut.mode} flash operation {cut.at}")

    def _change(self, command: int) -> tuple[int, bytes, bytes]:
        """(address, bytes before, bytes after) of the command in the buffer."""
        address = self._ssi._address_from_buffer()
        if command == CMD_PROGRAM:
            data = bytes(self._ssi._tx_buffer[4 : 4 + PAGE])
            old = bytes(self._bytes[address : address + len(data)])
            return address, old, bytes(a & b for a, b in zip(old, data, strict=True))
        size = SECTOR if command == CMD_ERASE_SECTOR else BLOCK
        start = address & ~(size - 1)
        return start, bytes(self._bytes[start : start + size]), b"\xff" * size


def _part_of(old: bytes, new: bytes, cut: Cut) -> bytes:
    if cut.mode == "half":
        middle = len(old) // 2
        return new[:middle] + old[middle:]
    mask = random.Random(cut.seed).randbytes(len(old))
    return bytes((o & ~m) | (n & m) for o, n, m in zip(old, new, mask, strict=True))
