"""What every MicroPython board does alike: clock, heap, time-outs. Ports import from here."""

import gc
import time

import machine

from uward.limits import TLS_HEAP_BLOCK, TLS_HEAP_FREE
from uward.port.heap import block_ok, collect_each  # noqa: F401

ticks_ms = time.ticks_ms
ticks_diff = time.ticks_diff
ticks_add = time.ticks_add
heap_free = gc.mem_free

_EPOCH = 946684800 if time.gmtime(0)[0] == 2000 else 0  # unix seconds of the port's time 0


def sleep_ms(ms):
    """-> an awaitable of `ms` milliseconds (asyncio only when a loop runs: stage 0 has none)."""
    import asyncio

    return asyncio.sleep_ms(ms)


def reset():
    """Restart the board; does not return."""
    machine.reset()


def unique_id():
    """-> bytes: what the board calls itself; readable by anyone, no secret."""
    return machine.unique_id()


def now():
    """-> unix seconds by the board's clock, which may never have been set."""
    return time.time() + _EPOCH


def set_time(unix):
    """Set the board's clock to `unix` seconds."""
    t = time.gmtime(unix - _EPOCH)
    machine.RTC().datetime((t[0], t[1], t[2], t[6], t[3], t[4], t[5], 0))


def strap(pin):
    """-> function that says whether GPIO `pin` is tied to ground; else its pull-up holds it."""
    line = machine.Pin(pin, machine.Pin.IN, machine.Pin.PULL_UP)
    return lambda: not line.value()


def tls_heap_ok():
    """-> True if a TLS handshake fits where TLS allocates: here the garbage-collected heap."""
    gc.collect()
    return gc.mem_free() >= TLS_HEAP_FREE and block_ok(TLS_HEAP_BLOCK)
