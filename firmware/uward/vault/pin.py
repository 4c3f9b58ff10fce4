"""A PIN for the data tier (SPEC 6, S9): typed at the board, stretched, its misses counted.

The count is written before a PIN is judged, so that cutting the power buys no try; the wait that
follows begins again with each boot. Said plainly: whoever has a dump of the flash tries a million
PINs elsewhere, without any of this (ADR 0055 has the figures): it holds off hands only.
"""

from uward import limits, port
from uward.codec import cbor
from uward.crypto.hash import hmac
from uward.crypto.rng import random
from uward.errors import KeyLocked, KeyRefused
from uward.vault import data, keys, sealed

_SLICE = 32  # rounds between two looks of the other tasks: 30 ms on RP2040


async def stretch(pin, salt):
    """PBKDF2-HMAC-SHA256 (RFC 8018 5.2), one block of 32 bytes, in slices (S18)."""
    if not limits.PIN_LEAST <= len(pin) <= limits.PIN_MOST:
        raise KeyRefused(
            "pin: expected %d..%d bytes, got %d" % (limits.PIN_LEAST, limits.PIN_MOST, len(pin))
        )
    block = hmac(pin, salt + b"\x00\x00\x00\x01")
    out = int.from_bytes(block, "big")
    for i in range(1, limits.PIN_ROUNDS):
        block = hmac(pin, block)
        out ^= int.from_bytes(block, "big")
        if i % _SLICE == 0:
            await port.sleep_ms(0)
    return out.to_bytes(32, "big")


async def make(root, pin, base=""):
    """At enrolment: a data tier that this PIN opens. pin: bytes."""
    salt = random(16)
    data.make(root, data.PIN, salt + await stretch(pin, salt), base)


class Lock:
    """The door of one boot. uptime: a function, ms since boot."""

    def __init__(self, uptime, base=""):
        self._uptime = uptime
        self._base = base
        self._from = data.waits(self._read(keys.root(base))[4])
        self._busy = False

    def left(self):
        """ms until a PIN is looked at again."""
        return max(0, self._from - self._uptime())

    async def open(self, pin):
        """Judge a PIN. KeyLocked when it is wrong or too early; KeyRefused for none at all."""
        if self.left() or self._busy:
            raise KeyLocked("pin: expected none for %d s, got one" % (self.left() // 1000 + 1))
        self._busy = True
        try:
            await self._judge(pin)
        finally:
            self._busy = False

    async def _judge(self, pin):
        root = keys.root(self._base)
        value = self._read(root)
        outside = await stretch(pin, value[2])
        value[4] += 1
        self._write(root, value)
        self._from = self._uptime() + data.waits(value[4])
        data.unlock(value, outside)
        value[4] = self._from = 0
        self._write(root, value)

    def _read(self, root):
        value = data.read(root, self._base)
        if value[1] != data.PIN:
            raise KeyRefused("pin: expected a data tier with a PIN, got another")
        return value

    def _write(self, root, value):
        sealed.write(root, keys.DATA, cbor.encode(value), self._base)
