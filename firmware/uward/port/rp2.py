"""Pico W (RP2040 with CYW43): what differs from other ports."""

import time

import machine
import network

from uward.compat import const
from uward.limits import I2C_HZ
from uward.port.common import *  # noqa: F403

INTERPRETER = None
TLS_CHECKS_START = True  # its mbedTLS enforces notBefore (measured)
_WDT_MS = const(8388)  # ms: 24-bit counter at 2 ticks/us (RP2040 data sheet 4.7)
_ROSC_BIT = const(0x4006001C)  # ring oscillator, RANDOMBIT (RP2040 data sheet 2.17.8)
_WPA2_AES = const(0x00400004)  # CYW43_AUTH_WPA2_AES_PSK
_POSTURE = ("open", "wep", "wpa", "wpa", "wpa2", "wpa2", "wpa2-mixed", "wpa2-mixed")


def watchdog(ms):
    """-> object with feed(); the board resets `ms` (at most 8388) after the last feed."""
    return machine.WDT(timeout=min(ms, _WDT_MS))


def console(on):
    """Show the board as a serial port on USB, or not; boot.py never returned, so no REPL is
    behind it and Ctrl-C is a byte (S17)."""
    usb = machine.USBDevice()
    usb.active(False)
    usb.builtin_driver = usb.BUILTIN_CDC
    usb.active(on)


def entropy(n):
    """-> n bytes of ring-oscillator bits mixed with timer jitter: input for the pool."""
    out = bytearray(n)
    for i in range(n):
        byte = 0
        for _ in range(8):
            byte = byte << 1 | (machine.mem32[_ROSC_BIT] ^ time.ticks_us()) & 1
        out[i] = byte
    return bytes(out)


def wifi():
    """-> the station interface."""
    return network.WLAN(network.STA_IF)


def wifi_join(wlan, ssid, psk, bssid):
    """Start joining with WPA2-AES only: the radio itself passes weaker access points over."""
    wlan.connect(ssid, psk, security=_WPA2_AES)


def wifi_posture(security):
    """Scan result's security bits (1 privacy, 2 WPA, 4 WPA2) -> name."""
    return _POSTURE[security & 7]


def hard_timer(period_ms, callback):
    """Call `callback(timer)` each period from the interrupt (S18): it must not allocate.

    -> object with deinit().
    """
    timer = machine.Timer()
    timer.init(mode=machine.Timer.PERIODIC, period=period_ms, callback=callback, hard=True)
    return timer


def i2c(bus=0, sda=4, scl=5, freq=I2C_HZ):
    """-> I2C controller on the board's default pins."""
    return machine.I2C(bus, sda=machine.Pin(sda), scl=machine.Pin(scl), freq=freq)
