"""ESP32, ESP32-S3 and ESP32-C3: what differs from other ports."""

import os
import time

import esp32
import machine
import network

from uward.limits import I2C_HZ, TLS_HEAP_BLOCK, TLS_HEAP_FREE
from uward.port.common import *  # noqa: F403

INTERPRETER = "port.esp32_interpreter"
TLS_CHECKS_START = False  # not known for every stock image: the certificate check does it too
# wifi_auth_mode_t of ESP-IDF: open, WEP, WPA, WPA2, WPA/WPA2, enterprise, WPA3, WPA2/WPA3
_POSTURE = ("open", "wep", "wpa", "wpa2", "wpa2-mixed", "wpa2", "wpa3", "wpa3")


def watchdog(ms):
    """-> object with feed(); the board resets `ms` after the last feed."""
    return machine.WDT(timeout=ms)


def console(on):
    """Nothing to do: the UART is there always, and boot.py's kbd_intr(-1) holds."""


def tls_heap_ok():
    """-> True if a handshake fits in the IDF heap, where TLS allocates on this port (S20)."""
    free = largest = 0
    for region in esp32.idf_heap_info(esp32.HEAP_DATA):  # (total, free, largest, low water mark)
        free += region[1]
        largest = max(largest, region[2])
    return free >= TLS_HEAP_FREE and largest >= TLS_HEAP_BLOCK


def entropy(n):
    """-> n bytes of the hardware RNG mixed with cycle-counter jitter: input for the pool."""
    out = bytearray(os.urandom(n))
    for i in range(n):
        out[i] ^= time.ticks_cpu() & 0xFF
    return bytes(out)


def wifi():
    """-> the station interface."""
    return network.WLAN(network.STA_IF)


def wifi_join(wlan, ssid, psk, bssid):
    """Start joining one access point; ESP-IDF refuses open ones when a password is given."""
    wlan.connect(ssid, psk, bssid=bssid)


def wifi_posture(security):
    """Scan result's authentication mode -> name; modes newer than this list are WPA3's."""
    return _POSTURE[security] if security < len(_POSTURE) else "wpa3"


def hard_timer(period_ms, callback):
    """Call `callback(timer)` each period, softly: this port refuses hard=True (S18).

    -> object with deinit(). Samples lost while Python is blocked must be counted at the sensor.
    """
    timer = machine.Timer(0)
    timer.init(mode=machine.Timer.PERIODIC, period=period_ms, callback=callback)
    return timer


def i2c(bus=0, sda=None, scl=None, freq=I2C_HZ):
    """-> I2C controller on the chip's default pins, or on those given."""
    if sda is None or scl is None:
        return machine.I2C(bus, freq=freq)
    return machine.I2C(bus, sda=machine.Pin(sda), scl=machine.Pin(scl), freq=freq)
