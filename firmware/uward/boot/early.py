"""What stage 0 needs of a board. Apart from `port`, whose import would bring up radio drivers."""

import sys

import machine

from uward import limits
from uward.compat import const

_MARK = b"uW"  # before the number of crashes
_SCRATCH = const(0x4005800C)  # watchdog SCRATCH0, cleared by power-on alone (RP2040 4.7.6)


def watchdog():
    """Arm it where there is one; whoever runs next feeds it. -> the object, or None."""
    wdt = getattr(machine, "WDT", None)
    return wdt(timeout=limits.WATCHDOG_MS) if wdt else None


def flash():
    """-> the block device under the file system, or None where it cannot be had."""
    if sys.platform == "rp2":
        import rp2

        return rp2.Flash()
    if sys.platform == "esp32":
        import flashbdev

        return flashbdev.bdev
    return getattr(machine, "flash", None)


if sys.platform == "rp2":

    def _load():
        return machine.mem32[_SCRATCH].to_bytes(4, "big")

    def _save(data):
        machine.mem32[_SCRATCH] = int.from_bytes(data, "big")

else:

    def _load():
        return bytes(machine.RTC().memory())

    def _save(data):
        machine.RTC().memory(data)


def crashes():
    """-> resets in a row without `healthy` and without a power cycle, as the image counts them."""
    data = _load()
    return data[3] if len(data) == 4 and data[:2] == _MARK else 0


def set_crashes(count):
    _save(_MARK + bytes((0, min(count, 255))))
