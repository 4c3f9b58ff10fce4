"""What waits while nobody commits it, in flash: run on CPython and MicroPython.

Packs are drained as the link would do it; `finish` dates them as SPEC 8 says.
"""

import os

from uward import limits, port
from uward.codec import cbor
from uward.vault import keys, packs, sealed
from uward.vault.away import Away
from uward.vault.outbox import Outbox

ROOT = bytes(range(32))
BUILT = 1_700_000_000
BOOT = 1_800_000_000
QUALITY = 2


class Probe:
    """A sensor as the agent knows it."""

    def __init__(self, number, name="heart-rate", period=10_000):
        self.number = number
        self.name = name
        self.unit = "beat/min"
        self.period = period


def board(base):
    os.mkdir(base)
    os.mkdir(base + "/id")
    with open(base + keys.ROOT, "wb") as f:
        f.write(ROOT)


def opened(base, told, dated=(BOOT, QUALITY), uptime=0):
    away = Away(lambda *what: told.append(list(what)), BUILT, base)
    away.date(dated, uptime)
    return away


def drained(queue):
    """Send all there is -> [[sequence, purpose, sealed or final body, hex], ...]"""
    sent = []
    while True:
        entries = queue.batch(8)
        if not entries:
            return sent
        for entry in entries:
            if entry.sealed is None:
                body = entry.body
                if entry.purpose != "cmd":
                    body = packs.finish(
                        entry.purpose, entry.when, body, entry.epoch, entry.quality
                    )
                queue.seal(entry, body)
            sent.append([entry.sequence, entry.purpose, entry.sealed.hex()])
        queue.acknowledge(entries[-1].sequence)


def takes_over(base, reboot):
    """An outbox in RAM of which some is committed, some sent, some new. -> what is sent then."""
    board(base)
    box = Outbox(b"s" * 16)
    for n in range(5):
        box.append("cmd", n, b"%d" % n, True)
    for n in range(4):
        box.seal(box.peek(n), b"sealed %d" % n)
    box.acknowledge(2)
    told = []
    away = opened(base, told)
    away.take(box)
    left = [len(box.entries), away.pending()]
    if reboot:
        away = opened(base, told)
    away.keep("cmd", 9, b"9", True)
    away.work(0)
    same = away.queue.stream == box.stream
    return [left, same, drained(away.queue), told]


def comes_back(base):
    """All is committed. -> the outbox in RAM, files that are left, and a second time away."""
    board(base)
    told = []
    away = opened(base, told)
    away.keep("cmd", 1, b"1", True)
    away.add(Probe(0), 1000, 61)
    away.work(9000)
    away.close_all()
    away.work(9000)
    drained(away.queue)
    pending = away.pending()
    box = away.end()
    left = [os.listdir(base + "/vault/open"), "away" in os.listdir(base + "/vault")]
    state = [box.sent, box.acknowledged, box.oldest, box.stream == away.queue.stream]
    box.append("cmd", 2, b"2", True)
    box.seal(box.peek(2), b"sealed 2")
    again = opened(base, told)
    again.take(box)
    return [pending, left, state, drained(again.queue), told]


def readings(base, cut_after):
    """Readings of two sensors, a reset after `cut_after` of them, then as many again. The last
    one before it had its copy written, and a pack that was closed too. -> final bodies, reports"""
    real, port.now = port.now, lambda: BUILT  # a clock that power was taken from
    try:
        return _readings(base, cut_after)
    finally:
        port.now = real


def _readings(base, cut_after):
    board(base)
    told = []
    away = opened(base, told)
    now = 0
    probes = Probe(0), Probe(1, "spo2")
    for n in range(2 * cut_after):
        now += 10_000
        if n == cut_after:
            before = os.listdir(base + "/vault/open")
            away = opened(base, told, None, 2000)  # at an uptime of 2 s: the time is not known
            now = 10_000
        for probe in probes:
            away.add(probe, now, 60 + n % 7 + 100 * probe.number)
        away.work(now)
    away.close_all()
    away.work(now)
    return [drained(away.queue), told, sorted(before), os.listdir(base + "/vault/open")]


def cut_between(base):
    """A pack is closed, appended, and its copy is still there at the next boot: once only.
    Another one of that `when` was of a boot before. -> [packs at the end, reports]"""
    board(base)
    told = []
    for _ in range(2):
        away = opened(base, told)
        for now in (10_000, 20_000):
            away.add(Probe(1), now, 60)
            away.work(now)
        with open(base + "/vault/open/1", "rb") as f:
            copy = f.read()
        away.close_all()
        away.work(20_000)
        with open(base + "/vault/open/1", "wb") as f:
            f.write(copy)
    away = opened(base, told)
    return [len(drained(away.queue)), told]


def closed_beside(base):
    """Two packs of one second, one is closed and written, of the other there is a copy only.
    -> final bodies, reports"""
    board(base)
    told = []
    away = opened(base, told)
    for probe in (Probe(0), Probe(1, "spo2")):
        away.add(probe, 10_000, 60)
    away.work(10_000)
    away.close(0)
    away.work(10_000)
    away = opened(base, told)
    return [drained(away.queue), told]


def damaged(base, what):
    """-> [readings that are sent, reports]; what: "copy", "deleted", "foreign", "twice" """
    board(base)
    told = []
    away = opened(base, told)
    for number in (0, 1):
        away.add(Probe(number), 10_000, 60)
    away.work(10_000)
    away.keep("cmd", 1, b"1", True)
    away.work(10_000)
    for _ in range(2 if what == "twice" else 1):
        if what == "copy":
            _flip(base + "/vault/open/0")
        elif what == "deleted":
            for name in os.listdir(base + "/vault/outbox"):
                if name != "t":
                    os.remove(base + "/vault/outbox/" + name)
            for name in os.listdir(base + "/vault/outbox/t"):
                os.remove(base + "/vault/outbox/t/" + name)
        else:
            _flip(base + "/vault/outbox/1", 8)
            _flip(base + "/vault/outbox/1", 68)
        away = opened(base, told)
    return [drained(away.queue), told, sorted(os.listdir(base + "/vault"))]


def _flip(path, at=40):
    with open(path, "rb") as f:
        data = bytearray(f.read())
    data[at] ^= 1
    with open(path, "wb") as f:
        f.write(data)


def held(base, public):
    """With a lock on the data tier. -> final bodies; whether a reading's name lies in flash."""
    board(base)
    sealed.write(ROOT, "/id/data", b"", base)
    sealed.write(ROOT, "/id/peer", cbor.encode({8: bytes.fromhex(public)}), base)
    told = []
    away = opened(base, told)
    away.add(Probe(0), 10_000, 60)
    away.keep("event", 1, packs.event("store.full", "why"), True)
    away.keep("cmd", 2, b"2", True)
    away.work(10_000)
    copy = sealed.read(ROOT, "/vault/open/0", base)
    away = opened(base, told)
    sent = drained(away.queue)
    return [b"heart" in copy, sent, told]


def bounded(base):
    """-> notes taken, dropped; then what a sensor gives that no dense pack takes."""
    board(base)
    told = []
    away = opened(base, told)
    for n in range(limits.AWAY_NOTES + 3):
        away.keep("cmd", n, b"%d" % n, True)
    dropped = away.queue.dropped
    away.work(0)
    texts = [away.add(Probe(0), 1000, value) for value in ("text", 1 / 3, True, b"x")]
    return [len(drained(away.queue)), dropped, texts]


def copies(base):
    """-> uptimes at which the copy of a pack changed, with a reading each 0.5 s."""
    board(base)
    away = opened(base, [])
    probe = Probe(0, period=500)
    changed, last = [], None
    for now in range(500, 20_500, 500):
        away.add(probe, now, 60)
        away.work(now)
        try:
            with open(base + "/vault/open/0", "rb") as f:
                copy = f.read()
        except OSError:
            continue
        if copy != last:
            changed.append(now)
        last = copy
    return changed
