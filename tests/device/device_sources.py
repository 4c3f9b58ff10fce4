"""Key sources on the device, with a modelled secure element and HMAC engine in `machine`."""

import sys

from uward.crypto.hash import hmac, sha256
from uward.errors import KeyRefused
from uward.vault import keys, source_efuse, source_element, sources

KEY = bytes(range(32))
SERIAL = b"\x01\x23\x00\x01\x02\x03\x04\x05\xee"


class Element:
    """A secure element behind `machine.I2C`. faults: what goes wrong, by exchange from 0."""

    def __init__(self, faults=()):
        self.faults = faults
        self.exchanges = -1
        self.reply = b""
        self.busy = 0

    def writeto(self, address, data):
        if address == 0:
            self.exchanges += 1
            self.reply = self._framed(b"\x11")
            raise OSError(5)
        if data[:1] != b"\x03":
            return
        packet = data[1:]
        if packet[0] != len(packet) or source_element.crc(packet[:-2]) != packet[-2:]:
            self.reply = self._framed(b"\xff")
            return
        self.busy = 2
        self.reply = self._framed(self._execute(packet[1], packet[2:-2]))

    def readfrom(self, address, size):
        fault = self._fault()
        if fault == "absent" or self.busy:
            self.busy -= 1
            raise OSError(5)
        reply = self.reply
        if fault == "torn" and size > 4:
            reply = reply[:5] + bytes((reply[5] ^ 1,)) + reply[6:]
        elif fault == "status" and size > 4:
            reply = self._framed(b"\x0f")
        elif fault == "other" and size > 4:
            reply = self._framed(bytes(32))
        elif fault == "awake" and size == 4:
            reply = b"\x04\x00\x00\x00"
        return reply + b"\xff" * (size - len(reply))

    def _fault(self):
        return self.faults[self.exchanges] if self.exchanges < len(self.faults) else None

    def _framed(self, data):
        body = bytes((len(data) + 3,)) + data
        return body + source_element.crc(body)

    def _execute(self, opcode, rest):
        if opcode == 2:
            return b"\x8f\x0f\x8f\x0f" if rest[1] != 0x15 else bytes(4)
        message = KEY + rest[3:] + bytes((8, 0x40)) + rest[1:3] + bytes(11)
        return sha256(message + SERIAL[8:] + SERIAL[4:8] + SERIAL[:2] + SERIAL[2:4])


class Engine:
    """The registers of the HMAC peripheral (ESP32-S3): `machine.mem32`."""

    def __init__(self, purpose=8, stuck=False):
        self.purpose, self.stuck = purpose, stuck
        self.clocks = 0
        self.reset = 0xFFFFFFFF
        self.block = bytearray(64)
        self.set = {}
        self.result = bytes(32)

    def __getitem__(self, address):
        if address == 0x600C001C:
            return self.clocks
        if address == 0x600C0024:
            return self.reset
        register = address - 0x6003E000
        if register == 0x6C:
            return 1 if self.stuck else 0
        if register == 0x68:
            return int(self.set.get(0x44) != self.purpose)
        at = register - 0xC0
        value = int.from_bytes(self.result[at : at + 4], "little")
        return value - (1 << 32) if value >> 31 else value  # mem32 may give it with a sign

    def __setitem__(self, address, value):
        if address == 0x600C001C:
            self.clocks = value
            return
        if address == 0x600C0024:
            self.reset = value
            return
        register = address - 0x6003E000
        if self.clocks & 0x34 != 0x34 or self.reset & 0x34:
            raise ValueError("the engine has no clock, or is held in reset")
        if 0x80 <= register < 0xC0:
            self.block[register - 0x80 : register - 0x7C] = value.to_bytes(4, "little")
            return
        self.set[register] = value
        if register == 0xF4:
            self._hash()
        elif register == 0x5C:
            self.result = bytes(32)

    def _hash(self):
        """One block that carries its own padding: 32 bytes, 0x80, zeros, the length in bits."""
        padding = b"\x80" + bytes(29) + b"\x03\x00"
        if self.set.get(0x50) != 1 or bytes(self.block[32:]) != padding:
            raise ValueError("the block is not padded, or was not announced")
        self.result = hmac(KEY, bytes(self.block[:32]))


class Machine:
    def __init__(self, element=None, engine=None):
        self.element = element
        self.mem32 = engine
        self.asked = []

    def Pin(self, number):
        return number

    def I2C(self, bus, sda, scl, freq):
        self.asked.append([bus, sda, scl, freq])
        return self.element


def _with(machine, function, *arguments):
    """-> what the function returns (hex), or its refusal."""
    before = sys.modules.get("machine")
    sys.modules["machine"] = machine
    try:
        return function(*arguments).hex()
    except KeyRefused as e:
        return str(e)
    finally:
        if before is not None:
            sys.modules["machine"] = before


def element_answer(challenge, faults=()):
    """-> [answer or refusal, wake pulses, how the bus was opened]."""
    machine = Machine(Element(faults))
    place = bytes((9, 0x60, 1, 2, 3))
    told = _with(machine, source_element.answer, place, bytes.fromhex(challenge))
    return [told, machine.element.exchanges + 1, machine.asked[0]]


def crc_of(data):
    return source_element.crc(bytes.fromhex(data)).hex()


def efuse_answer(challenge, purpose=8, stuck=False):
    """-> [answer or refusal, key block that was named, result left in the engine]."""
    engine = Engine(purpose, stuck)
    place = bytes((3, 0x1C, 0, 0, 0))
    told = _with(Machine(engine=engine), source_efuse.answer, place, bytes.fromhex(challenge))
    return [told, engine.set.get(0x48), engine.result.hex()]


def made(place, salt, faults=()):
    """-> [/id/root or refusal, its root or refusal]."""
    machine = Machine(Element(faults), Engine())
    data = _with(machine, sources.make, bytes.fromhex(place), bytes.fromhex(salt))
    try:
        content = bytes.fromhex(data)
    except ValueError:
        return [data, None]
    return [data, _with(machine, keys.open_root, content)]


def opened(data):
    """The root that /id/root holds, twice: a chip is asked once. -> [root or refusal, pulses]"""
    machine = Machine(Element(), Engine())
    content = bytes.fromhex(data)
    keys._asked = None
    told = _with(machine, keys.open_root, content)
    again = _with(machine, keys.open_root, content)
    return [told, again == told, machine.element.exchanges + 1]
