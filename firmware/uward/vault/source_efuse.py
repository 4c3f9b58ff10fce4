"""Key source `efuse-hmac`: HMAC-SHA256 with a read-protected eFuse key (ESP32-S3, ESP32-C3).

The registers are those of the technical reference manuals (ESP32-S3 chapter 21, ESP32-C3 chapter
19), in the order that ESP-IDF uses: one padded block, upstream purpose. Not verified on silicon.
"""

from uward.compat import const
from uward.errors import KeyRefused

_SYSTEM = const(0x600C0000)  # PERIP_CLK_EN1 lies at +0x1C (S3) or +0x14 (C3), RST_EN1 8 above
_RESET = const(8)
_ENGINES = const(0x34)  # bits of SHA, digital signature, HMAC: an HMAC needs all three
_HMAC = const(0x6003E000)
_START = const(0x40)
_PURPOSE = const(0x44)
_KEY = const(0x48)
_SET = const(0x4C)
_MESSAGE = const(0x50)
_FINISH = const(0x5C)
_ERROR = const(0x68)
_BUSY = const(0x6C)
_BLOCK = const(0x80)
_RESULT = const(0xC0)
_ONE_BLOCK = const(0xF4)
_UPSTREAM = const(8)  # key purpose HMAC_UP: the result may be read
_DONE = const(2)
_LOOKS = const(1000)  # reads of the busy bit: a block takes some microseconds
_BITS = const(768)  # of key block and challenge: 64 + 32 bytes


def answer(place, challenge):
    """-> 32 bytes. place: `key block 0..5, offset of PERIP_CLK_EN1, 0, 0, 0`; challenge: 32
    bytes. KeyRefused when the eFuse holds no key of purpose HMAC_UP there, or the engine hangs."""
    from machine import mem32

    clocks = _SYSTEM + place[1]
    mem32[clocks] |= _ENGINES
    mem32[clocks + _RESET] |= _ENGINES
    mem32[clocks + _RESET] &= ~_ENGINES & 0xFFFFFFFF
    _idle(mem32)
    _set(mem32, _START, 1)
    _idle(mem32)
    _set(mem32, _PURPOSE, _UPSTREAM)
    _set(mem32, _KEY, place[0])
    _set(mem32, _SET, 1)
    _idle(mem32)
    if mem32[_HMAC + _ERROR]:
        _set(mem32, _FINISH, _DONE)
        raise KeyRefused("efuse: expected key block %d of purpose HMAC_UP" % place[0])
    block = challenge + b"\x80" + bytes(29) + _BITS.to_bytes(2, "big")  # FIPS 180-4 5.1.1
    for i in range(0, 64, 4):
        _set(mem32, _BLOCK + i, int.from_bytes(block[i : i + 4], "little"))
    _set(mem32, _MESSAGE, 1)
    _idle(mem32)
    _set(mem32, _ONE_BLOCK, 1)
    _idle(mem32)
    out = b""
    for i in range(0, 32, 4):
        out += (mem32[_HMAC + _RESULT + i] & 0xFFFFFFFF).to_bytes(4, "little")
    _set(mem32, _FINISH, _DONE)
    return out


def _set(mem32, register, value):
    mem32[_HMAC + register] = value


def _idle(mem32):
    for _ in range(_LOOKS):
        if not mem32[_HMAC + _BUSY] & 1:
            return
    raise KeyRefused("efuse: expected an idle HMAC engine, got a busy one")
