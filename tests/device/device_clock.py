"""Decisions about time, peers and access points, on both Pythons; bytes are hex."""

import asyncio

from uward import port
from uward.codec import cbor, cose
from uward.codec.cosekey import ESP256, Key
from uward.crypto import p256
from uward.errors import TlsRefused, UwardError
from uward.link import clock, peer, wifi

NOW = 1_800_000_000
EXPIRES = NOW + 1000
DEVICE = "abcdefgh12345678"
SECRET = bytes(range(1, 33))
OTHER = bytes(range(2, 34))


class Leaf:
    serial = b"\x05"

    def __init__(self, not_before=NOW - 100, not_after=NOW + 100_000):
        self.not_before = not_before
        self.not_after = not_after


def told(error):
    return [type(error).__name__, getattr(error, "reason", None) or error.event, str(error)]


def key_of(secret):
    return Key(2, p256.public_key(secret), ESP256)


def answer(nonce, unix, device=DEVICE, secret=SECRET, domain=b"uward.time.v1"):
    payload = cbor.encode([nonce, device, unix])
    return cose.sign1(lambda digest: p256.sign(secret, digest), payload, external_aad=domain)


def start(clock_now, floor, expires=EXPIRES):
    """A clock that woke up at `clock_now`. -> [time, floor, quality]"""
    port.set_time(clock_now)
    woken = clock.Clock(floor, expires)
    return [port.now(), woken.floor, woken.quality]


def proved(change):
    """One time answer, changed as named. -> [error] or [time, floor, quality, asked again]"""
    port.set_time(NOW - 50)
    woken = clock.Clock(NOW - 60, EXPIRES)
    nonce = woken.ask()
    unix = NOW
    leaf = Leaf()
    keys = [key_of(OTHER), key_of(SECRET)]
    revoked = ()
    data = answer(nonce, unix)
    if change == "no nonce":
        data = answer(bytes(16), unix)
    elif change == "other device":
        data = answer(nonce, unix, "x" * 16)
    elif change == "other key":
        keys = [key_of(OTHER)]
    elif change == "no key":
        keys = []
    elif change == "other domain":
        data = answer(nonce, unix, domain=b"uward.trust.v1")
    elif change == "below floor":
        data = answer(nonce, NOW - 61)
    elif change == "at floor":
        data = answer(nonce, NOW - 60)
        unix = NOW - 60
    elif change == "beyond ceiling":
        data = answer(nonce, EXPIRES + 2 * 365 * 86400 + 1)
    elif change == "text":
        data = answer(nonce, "soon")
    elif change == "long":
        data = data + bytes(600)
    elif change == "garbage":
        data = data[:-1]
    elif change == "late":
        woken._asked -= 30_001
    elif change == "certificate expired by then":
        leaf = Leaf(not_after=NOW - 1)
    elif change == "certificate starts after it":
        leaf = Leaf(not_before=NOW + 1)
    elif change == "revoked meanwhile":
        revoked = [b"\x05"]
    elif change == "unasked":
        woken._nonce = None
    try:
        got = woken.prove(data, DEVICE, keys, leaf, revoked)
    except UwardError as e:
        refusal = told(e)
        refusal.extend((port.now() - NOW, woken.quality))
        return refusal
    try:
        woken.prove(data, DEVICE, keys, leaf)
    except UwardError as e:
        return [got - unix, port.now() - unix, woken.floor - unix, woken.quality, str(e)]


def tried(outcomes, not_before=NOW + 500, quality=clock.FLOOR):
    """connect() with attempts that end as named. -> [result or error, seen, before, after]"""
    port.set_time(NOW)
    woken = clock.Clock(NOW - 10, EXPIRES)
    woken.quality = quality
    seen = []

    async def attempt():
        seen.append([port.now() - NOW, woken.quality])
        outcome = outcomes[len(seen) - 1]
        if outcome == "good":
            return "stream"
        error = TlsRefused(outcome, "certificate")
        error.not_before = not_before
        raise error

    try:
        result = asyncio.run(clock.connect(attempt, woken))
    except UwardError as e:
        result = told(e)[:2]
    before = [port.now() - NOW, woken.quality]
    woken.restore()
    return [result, seen, before, [port.now() - NOW, woken.quality]]


def verified(chain, anchors, revoked, at, tls_checks_start=True):
    """The verify callback over (der, depth) pairs. -> [verdicts, reason, text, not_before]"""
    port.set_time(at)
    port.TLS_CHECKS_START = tls_checks_start
    verifier = peer.Verifier(
        [bytes.fromhex(anchor) for anchor in anchors],
        [bytes.fromhex(serial) for serial in revoked],
    )
    verdicts = [verifier(memoryview(bytes.fromhex(der)), depth) for der, depth in chain]
    port.TLS_CHECKS_START = True
    refusal = verifier.refusal
    reason = getattr(refusal, "reason", type(refusal).__name__)
    leaf = verifier.leaf
    return [verdicts, reason, str(refusal), leaf.not_before if leaf else 0]


def stumbled(what):
    """The verify callback when something else than a certificate is wrong. -> [verdict, class]"""

    class Stumbles(peer.Verifier):
        def _check(self, der, depth):
            raise MemoryError if what == "no memory" else KeyboardInterrupt

    verifier = (peer.Verifier if what == "no bytes" else Stumbles)([], [])
    verdict = verifier(None if what == "no bytes" else b"", 0)
    return [verdict, type(verifier.refusal).__name__]


def meant(kind, value, seen=False, low=False):
    """refusal() of an OSError number or a ValueError text. -> [class, reason, text]"""
    verifier = peer.Verifier([], [])
    verifier.heap_low = low
    verifier.leaf = Leaf() if seen else None
    error = OSError(value) if kind == "number" else ValueError(value)
    got = peer.refusal(error, verifier)
    return [type(got).__name__, getattr(got, "reason", None), str(got)]


class Radio:
    """A station interface that joins after so many looks, or never."""

    def __init__(self, results, looks):
        self._results = results
        self._looks = looks
        self.calls = []

    def active(self, on):
        self.calls.append("active")

    def scan(self):
        return self._results

    def isconnected(self):
        self._looks -= 1
        return self._looks < 0

    def disconnect(self):
        self.calls.append("disconnect")


POSTURES = ("open", "wep", "wpa", "wpa2", "wpa3")


def joined(access_points, looks):
    """join() with a radio that sees [name, rssi, posture] ...; -> [result or error, calls]"""
    results = []
    for i, (name, rssi, posture) in enumerate(access_points):
        results.append((name.encode(), bytes([i]), 6, rssi, POSTURES.index(posture), 0))
    radio = Radio(results, looks)
    kept = port.wifi, port.wifi_posture, port.wifi_join, port.sleep_ms, port.ticks_ms
    ticks = [0]

    async def sleep(ms):
        ticks[0] += ms

    port.wifi = lambda: radio
    port.wifi_posture = lambda security: POSTURES[security]
    port.wifi_join = lambda wlan, ssid, psk, bssid: radio.calls.append("join %d" % bssid[0])
    port.sleep_ms = sleep
    port.ticks_ms = lambda: ticks[0]
    try:
        posture, bssid, channel, twins = asyncio.run(wifi.join("ward", "secret password"))
        result = [posture, bssid.hex(), channel, twins]
    except UwardError as e:
        result = told(e)
    finally:
        port.wifi, port.wifi_posture, port.wifi_join, port.sleep_ms, port.ticks_ms = kept
    return [result, radio.calls]


def waits(count):
    backoff = wifi.Backoff(1000, 8000)
    steps = [backoff.next() for _ in range(count)]
    backoff.reset()
    steps.append(backoff.next())
    return steps
