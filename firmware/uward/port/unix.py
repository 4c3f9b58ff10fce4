"""Unix port of MicroPython, and CPython for tests: a board made of a process.

The clock is the host's plus an offset of our own; TLS reads the host's.
A reset is the end of the process with RESET_EXIT; who started it starts it again.
"""

import asyncio
import gc
import os
import sys
import time

from uward.limits import TLS_HEAP_BLOCK, TLS_HEAP_FREE
from uward.port.heap import block_ok, collect_each  # noqa: F401

RESET_EXIT = 75  # exit status that asks for a restart (EX_TEMPFAIL of sysexits.h)
INTERPRETER = None
TLS_CHECKS_START = True

_MICROPYTHON = sys.implementation.name == "micropython"
# Seconds between our clock and the host's: what the battery of this board's clock made of it
_offset = int(os.getenv("UWARD_CLOCK_OFFSET") or 0)

if _MICROPYTHON:
    ticks_ms = time.ticks_ms
    ticks_diff = time.ticks_diff
    ticks_add = time.ticks_add
    sleep_ms = asyncio.sleep_ms
else:

    def ticks_ms():
        return time.monotonic_ns() // 1_000_000

    def ticks_diff(end, start):
        return end - start

    def ticks_add(ticks, delta):
        return ticks + delta

    def sleep_ms(ms):
        return asyncio.sleep(ms / 1000)


def reset():
    """End the process; its supervisor restarts it. SystemExit passes every `except Exception`."""
    raise SystemExit(RESET_EXIT)


class _NoWatchdog:
    def feed(self):
        pass


def watchdog(ms):
    """-> object with feed(); a process has no watchdog, its supervisor kills it."""
    return _NoWatchdog()


def unique_id():
    """-> bytes from UWARD_UNIQUE_ID (hex), else zeros: every process would else look the same."""
    return bytes.fromhex(os.getenv("UWARD_UNIQUE_ID") or "0000000000000000")


def strap(pin):
    """-> function that says whether the host has a file of the name in UWARD_STRAP."""
    path = os.getenv("UWARD_STRAP")
    return lambda: bool(path) and _on_host(path)


def _on_host(path):
    """A board's root is its own flash, mounted over the host's files."""
    try:
        from vfs import VfsPosix

        VfsPosix("/").stat(path)
    except ImportError:  # CPython
        return os.path.exists(path)
    except OSError:
        return False
    return True


def console(on):
    """Nothing to do: the terminal is there always."""


def entropy(n):
    """-> n bytes of the host's random source."""
    return os.urandom(n)


def now():
    """-> unix seconds by our clock."""
    return int(time.time()) + _offset


def set_time(unix):
    """Move our clock to `unix` seconds; the host's own stays."""
    global _offset
    _offset = unix - int(time.time())


def heap_free():
    """-> free bytes; CPython has no such bound and says what TLS needs, twice."""
    return gc.mem_free() if _MICROPYTHON else 2 * TLS_HEAP_FREE


def tls_heap_ok():
    """-> True if a TLS handshake fits in the garbage-collected heap."""
    gc.collect()
    return heap_free() >= TLS_HEAP_FREE and block_ok(TLS_HEAP_BLOCK)


def wifi():
    """-> None: the host is on its network already."""
    return None


def wifi_join(wlan, ssid, psk, bssid):
    """Nothing to join."""


def wifi_posture(security):
    """-> "host": whatever network the host uses."""
    return "host"


class _TaskTimer:
    """A timer of this port: an asyncio task, on a grid that does not drift."""

    def __init__(self, period_ms, callback):
        self._task = asyncio.create_task(self._run(period_ms, callback))

    async def _run(self, period_ms, callback):
        due = ticks_ms()
        while True:
            callback(self)
            due = ticks_add(due, period_ms)
            await sleep_ms(max(0, ticks_diff(due, ticks_ms())))

    def deinit(self):
        self._task.cancel()


def hard_timer(period_ms, callback):
    """Call `callback(timer)` each period from a task of the loop. -> object with deinit()."""
    return _TaskTimer(period_ms, callback)


def i2c(bus=0, sda=None, scl=None, freq=None):
    """-> the modelled bus of unix_i2c; OSError 19 (ENODEV), as a board with none would say."""
    from uward.port.unix_i2c import open_bus

    return open_bus()
