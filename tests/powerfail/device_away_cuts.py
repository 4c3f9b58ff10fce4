"""What waits in flash while nobody commits it, cut at every flash operation over VfsLfs2."""

import os

import faults
from uward import limits
from uward.codec import cbor
from uward.vault import keys
from uward.vault.away import Away
from uward.vault.outbox import Outbox

limits.VAULT_SEGMENT = 2000
limits.VAULT_TAILS = 4
limits.DENSE_BYTES = 48  # eight readings
AT = "/board"
PERIOD = 10_000


class Probe:
    name = "pulse"
    unit = ""
    period = PERIOD
    number = 0


def told(*what):
    raise ValueError("a cut was reported as %r" % (what,))


def need(condition, what):
    if not condition:
        raise ValueError("after a cut: " + what)


def blank():
    """Flash of a board with a root secret."""

    def enrol(root):
        os.mkdir(root + "/id")
        with open(root + keys.ROOT, "wb") as f:
            f.write(bytes(range(32)))

    data = faults.blank(64)
    faults.powered(data, AT, enrol)
    return data


def opened(root):
    away = Away(told, 0, root)
    away.date((1_800_000_000, 2), 0)
    return away


def values(body):
    """The values of a dense body, by its own numbers; whole ones and on time only."""
    split = 3 + int.from_bytes(body[1:3], "big")
    value = cbor.decode(b"\x86" + body[3:split])[5]
    found = [value]
    number = shift = 0
    for byte in body[split:]:
        for half in (byte >> 4, byte & 15):
            number |= (half & 7) << shift
            shift += 3
            if not half & 8:
                value += number >> 1 ^ -(number & 1)
                found.append(value)
                number = shift = 0
    return found


class Life:
    """A board that goes away, reads, comes back. kept: readings that are in flash for sure, in
    order; maybe: the one under way."""

    def __init__(self, readings):
        self._readings = readings

    def run(self, root):
        self.kept, self.maybe, self.sealed, self.ended = [], [], {}, False
        box = Outbox(b"s" * 16)
        for n in range(3):
            box.append("cmd", n, b"%d" % n, True)
        box.seal(box.peek(0), b"sealed")
        self.boxed = False
        away = opened(root)
        away.take(box)
        self.boxed = True
        for n in range(self._readings):
            self.maybe = [n * n % 50]
            away.add(Probe, (n + 1) * PERIOD, self.maybe[0])
            away.work((n + 1) * PERIOD)
            self.kept += self.maybe
            self.maybe = []
        away.close_all()
        away.work(0)
        self._send(away.queue)
        away.end()
        self.ended = True

    def _send(self, queue):
        while True:
            entries = queue.batch(4)
            if not entries:
                return
            for entry in entries:
                if entry.sealed is None:
                    body = entry.body
                    queue.seal(entry, body)  # as it is, so that it can be looked into
                    entry.sealed = body
                known = self.sealed.get(entry.sequence, entry.sealed)
                need(known == entry.sealed, "number %d has other bytes" % entry.sequence)
                self.sealed[entry.sequence] = entry.sealed
            queue.acknowledge(entries[-1].sequence)

    def check(self, root, done):
        there = "vault" in os.listdir(root) and "away" in os.listdir(root + "/vault")
        if self.ended or not there:
            need(done or not self.boxed or self.sealed, "the marker is gone")
            return
        again = opened(root)
        self._send(again.queue)
        if not self.boxed:
            return  # RAM had it still
        sent = [self.sealed[number] for number in sorted(self.sealed)]
        need(sorted(self.sealed) == list(range(1, len(sent) + 1)), "a gap")
        need(sent[:3] == [b"sealed", b"1", b"2"], "what was in RAM")
        read = []
        for body in sent[3:]:
            read += values(body)
        need(read in (self.kept, self.kept + self.maybe), "%r of %r" % (read, self.kept))


def away(readings):
    """-> cuts"""
    life = Life(readings)
    return faults.sweep(blank(), AT, life.run, life.check)
