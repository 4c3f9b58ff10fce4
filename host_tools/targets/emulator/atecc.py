"""A modelled ATECC608 secure element: what its data sheet says of wake, packets, CRC and MAC.

It sleeps until SDA was low for 60 us (a transfer to address 0 at 100 kHz does that), answers the
next read with its wake bytes, does not acknowledge while it works, and falls asleep by its own
watchdog. Commands: Info, Read (configuration zone), MAC (ATECC508A data sheet 2, 8, 9).
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from host_tools.targets.emulator.i2c import level

ADDRESS = 0x60
SLOT = 9  # as boards/*.toml name it
WAKE_LOW_S = 60e-6  # tWLO
WAKE_HIGH_S = 1.5e-3  # tWHI: before it no acknowledge
WATCHDOG_S = 1.3
MAC_S = 0.014
READ_S = 0.001
COMMAND, IDLE, SLEEP = 0x03, 0x02, 0x01  # word addresses
INFO, READ, MAC = 0x30, 0x02, 0x08
WITH_SERIAL = 0x40
AFTER_WAKE, CRC_ERROR, PARSE_ERROR, EXECUTION_ERROR, SUCCESS = 0x11, 0xFF, 0x03, 0x0F, 0x00
CONFIG_SIZE = 128
SLOT_CONFIG = 20
LOCK_VALUE, LOCK_CONFIG = 86, 87
LOCKED, OPEN = 0x00, 0x55
SECRET_SLOT = b"\x8f\x0f"  # IsSecret, never written
SERIAL = bytes.fromhex("0123a5c3871e9b4dee")


def crc(data: bytes) -> bytes:
    """CRC-16, polynomial 0x8005, bits from the lowest, sent low byte first (8.2.1)."""
    value = 0
    for byte in data:
        for bit in range(8):
            carry = (value >> 15) ^ (byte >> bit & 1)
            value = (value << 1 & 0xFFFF) ^ (0x8005 if carry else 0)
    return value.to_bytes(2, "little")


class Atecc:
    """slots: secrets by number, 32 bytes each. locked: whether both zones are.

    Attach it (it feels SDA for the wake pulse) and put it on the bus: `devices=[element,
    I2CBus({ADDRESS: element})]`. `answered` counts MAC commands.
    """

    def __init__(
        self,
        slots: Mapping[int, bytes],
        serial: bytes = SERIAL,
        locked: bool = True,
        slot_config: bytes = SECRET_SLOT,
        sda: int = 4,
    ) -> None:
        self._slots = dict(slots)
        self._serial = serial
        self._config = bytearray(CONFIG_SIZE)
        self._config[0:4], self._config[8:13] = serial[:4], serial[4:]
        for slot in slots:
            self._config[SLOT_CONFIG + 2 * slot : SLOT_CONFIG + 2 * slot + 2] = slot_config
        self._config[LOCK_VALUE] = self._config[LOCK_CONFIG] = LOCKED if locked else OPEN
        self._seconds: Callable[[], float] = lambda: 0.0
        self._awake_from = self._awake_until = self._busy_until = 0.0
        self._received = bytearray()
        self._reply = b""
        self._sda = sda
        self._low_since: float | None = None
        self.answered = 0

    def attach(self, mcu: Any) -> None:
        """Feel the level of SDA (rp2040py's ExternalDevice)."""
        pin = mcu.gpio[self._sda]

        def on_edge(new: Any, old: Any) -> None:
            self._on_sda(level(pin))

        pin.add_listener(on_edge)

    def power_on(self, seconds: Callable[[], float]) -> None:
        """The bus gives the time."""
        self._seconds = seconds
        self._awake_until = 0.0

    def _on_sda(self, high: bool) -> None:
        now = self._seconds()
        asleep = now >= self._awake_until
        if not high:
            self._low_since = now
        elif self._low_since is not None and asleep and now - self._low_since >= WAKE_LOW_S:
            self._awake_from = now + WAKE_HIGH_S
            self._awake_until = now + WATCHDOG_S
            self._answer(bytes((AFTER_WAKE,)), 0.0)

    def start(self, reading: bool) -> bool:
        """It acknowledges its address unless it sleeps, wakes up, or works."""
        now = self._seconds()
        self._received.clear()
        return self._awake_from <= now < self._awake_until and now >= self._busy_until

    def write(self, value: int) -> bool:
        self._received.append(value)
        return True

    def read(self) -> int:
        if not self._reply:
            return 0xFF
        first, self._reply = self._reply[0], self._reply[1:]
        return first

    def stop(self) -> None:
        packet, self._received = bytes(self._received), bytearray()
        if packet[:1] in (bytes((SLEEP,)), bytes((IDLE,))):
            self._awake_until = 0.0
        elif packet[:1] == bytes((COMMAND,)):
            self._execute(packet[1:])

    def _execute(self, packet: bytes) -> None:
        count = packet[0] if packet else 0
        if count < 7 or len(packet) != count or crc(packet[:-2]) != packet[-2:]:
            self._answer(bytes((CRC_ERROR,)), READ_S)
            return
        opcode, mode = packet[1], packet[2]
        param, data = int.from_bytes(packet[3:5], "little"), packet[5:-2]
        if opcode == INFO:
            self._answer(bytes.fromhex("00006002"), READ_S)
        elif opcode == READ and mode == 0 and param * 4 + 4 <= CONFIG_SIZE:
            self._answer(bytes(self._config[param * 4 : param * 4 + 4]), READ_S)
        elif opcode == MAC and mode == WITH_SERIAL and len(data) == 32:
            self._mac(param, data)
        else:
            self._answer(bytes((PARSE_ERROR,)), READ_S)

    def _mac(self, slot: int, challenge: bytes) -> None:
        """9.11: key, challenge, command, zeros for OTP, then the serial number as 8, 4-7, 0-3."""
        if slot not in self._slots:
            self._answer(bytes((EXECUTION_ERROR,)), READ_S)
            return
        serial = self._serial
        message = self._slots[slot] + challenge + bytes((MAC, WITH_SERIAL))
        message += slot.to_bytes(2, "little") + bytes(11)
        message += serial[8:] + serial[4:8] + serial[:2] + serial[2:4]
        self.answered += 1
        self._answer(hashlib.sha256(message).digest(), MAC_S)

    def _answer(self, data: bytes, seconds: float) -> None:
        body = bytes((len(data) + 3,)) + data
        self._reply = body + crc(body)
        self._busy_until = self._seconds() + seconds
