"""Join a Wi-Fi network: WPA2 or better only, with a deadline, and say what was joined.

The radio is a hint about safety, never a ground: whoever runs the access point sees TLS only.
"""

from uward import limits, port
from uward.crypto import rng
from uward.errors import LinkError, LinkTimeout

_WEAK = ("open", "wep", "wpa")  # no integrity worth the name: anyone may be the access point


class Backoff:
    """Waits between attempts: doubling, capped, each with full jitter so that fleets spread."""

    def __init__(self, first=limits.BACKOFF_FIRST_MS, most=limits.BACKOFF_MAX_MS):
        self._first = self._next = first
        self._most = most

    def next(self):
        """-> ms to wait now: from half of the step to all of it."""
        step = self._next
        self._next = min(2 * step, self._most)
        return step // 2 + int.from_bytes(rng.random(2), "big") * (step - step // 2) // 65535

    def reset(self):
        self._next = self._first


def judge(results, ssid):
    """Scan results -> (posture, bssid, channel, twins) of the strongest access point to join.

    results: tuples (ssid, bssid, channel, rssi, security, hidden). twins: how many of that name
    are weaker than WPA2 and were passed over: that is how an evil twin looks (T07). LinkError if
    none is left; its event is wifi.posture if only weak ones were there.
    """
    best = None
    twins = 0
    for found in results[: limits.WIFI_SCAN]:
        if found[0] == ssid:
            if port.wifi_posture(found[4]) in _WEAK:
                twins += 1
            elif best is None or found[3] > best[3]:
                best = found
    if best:
        return port.wifi_posture(best[4]), best[1], best[2], twins
    error = LinkError("expected %r with WPA2 or better, got %d weaker ones" % (ssid, twins))
    if twins:
        error.event = "wifi.posture"
    raise error


async def join(ssid, psk):
    """Join `ssid` (text or bytes). -> (posture, bssid, channel, twins) as `judge` gives it.

    ("host", b"", 0, 0) where the host has the network, (None, b"", 0, 0) when joined already.
    Raises LinkError or LinkTimeout; the caller waits by a Backoff and tries again.
    """
    wlan = port.wifi()
    if wlan is None:
        return "host", b"", 0, 0
    wlan.active(True)
    if wlan.isconnected():
        return None, b"", 0, 0
    name = ssid.encode() if isinstance(ssid, str) else ssid
    seen = judge(wlan.scan(), name)
    port.wifi_join(wlan, ssid, psk, seen[1])
    start = port.ticks_ms()
    while not wlan.isconnected():
        if port.ticks_diff(port.ticks_ms(), start) > limits.WIFI_JOIN_MS:
            wlan.disconnect()
            raise LinkTimeout("expected to join %r in %d ms" % (ssid, limits.WIFI_JOIN_MS))
        await port.sleep_ms(limits.WIFI_LOOK_MS)
    return seen
