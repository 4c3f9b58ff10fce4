"""Marks and frames (SPEC 10): what the bytes of one segment say. Pure: no file is touched here.

A mark begins a run: it carries a fresh salt, and with it a key of its own. A frame is one record.
Its counter is its nonce and its place in the run at once, so that a record that was edited,
moved, repeated or taken out is seen at its index, and its neighbours stay readable (ADR 0050).
"""

from struct import pack, unpack

from uward import limits
from uward.compat import const
from uward.crypto import aead
from uward.crypto.hash import hkdf
from uward.errors import BadMac

MARK = const(120)  # bytes of a mark: two equal halves, either will do
FRAME = const(20)  # bytes of a frame beyond its plaintext: length, counter, tag
LAST = const(0xFFFF)  # the counter that is not used: a run ends before it
_HALF = const(60)
_SIGN = const(0xFFFF)  # a mark's first word, where a frame has its length
_VERSION = const(1)


class Run:
    """One key and its counter. index: that of its first record; tag: of the record before it."""

    def __init__(self, key, epoch, index, tag):
        self.key = key
        self.epoch = epoch
        self.index = index
        self.tag = tag
        self.count = 0


class Sealer:
    """Marks and frames of one vault. root: its key; name: bound to all; bits: 128 or 256."""

    def __init__(self, root, name, bits):
        self._root = root
        self._aad = b"uward vault " + bytes((_VERSION, bits >> 3, len(name))) + name
        self._size = bits >> 3

    def _run(self, salt, epoch, index, tag):
        """key = HKDF(K, salt, epoch, last tag) (S13)."""
        info = self._aad + pack(">I", epoch) + tag
        return Run(hkdf(self._root, salt, info, self._size), epoch, index, tag)

    def mark(self, number, epoch, index, tag, salt):
        """-> (Run, the mark's bytes for segment `number`)."""
        run = self._run(salt, epoch, index, tag)
        half = pack(">HHII", _SIGN, _VERSION, epoch, index) + tag + salt
        half += aead.seal(run.key, bytes(13), b"", self._aad + pack(">I", number) + half)
        return run, half + half

    def open_mark(self, half, number):
        """-> Run, or None for bytes that are no half of a mark of this segment."""
        if len(half) != _HALF or half[:4] != b"\xff\xff\x00\x01":
            return None
        epoch, index = unpack(">II", half[4:12])
        run = self._run(half[28:44], epoch, index, half[12:28])
        aad = self._aad + pack(">I", number) + half[:44]
        return run if self._open(run, 0, half[44:], aad) is not None else None

    def seal(self, run, plaintext):
        """-> frame. Each attempt takes a counter of its own (S13)."""
        run.count += 1
        head = pack(">HH", len(plaintext), run.count)
        return head + aead.seal(run.key, bytes(11) + head[2:], plaintext, self._aad)

    def open(self, run, count, sealed):
        """-> plaintext, or None when the frame is not the one of this run and counter."""
        return self._open(run, count, sealed, self._aad)

    def _open(self, run, count, sealed, aad):
        try:
            return aead.open(run.key, bytes(11) + pack(">H", count), sealed, aad)
        except BadMac:
            return None


class Reader:
    """Reads segments in order. report(event, index, lost, reason) hears of damage.

    index: of the record that comes next, None while unknown; tag: that of the last good record.
    """

    def __init__(self, sealer, report):
        self._sealer = sealer
        self._report = report
        self._run = None
        self._at = 0
        self.number = 0
        self.index = None
        self.tag = None
        self.epoch = 0
        self.damaged = False

    def frames(self, number, source, first=0):
        """Records of one segment from index `first` on: yields (index, plaintext).

        Those before it are passed over by their headers, unless damage is met on the way. A
        segment that was read up to a record before `first` is read on from there.
        """
        if number != self.number or not first or self.index is None or first < self.index:
            self.number = number
            self._at, self._run = 0, None
            if first:
                self.index = self.tag = None
        while self._at < source.size:
            if first > 0 and self._run:
                self._hop(source, first)
            at = self._at
            entry = self._entry(source, at)
            if entry is None and first > 0:
                first = -first
                self._at, self._run, self.index, self.tag = 0, None, None, None
                continue
            while entry is None and at + FRAME < source.size:
                at += 1
                entry = self._entry(source, at)
            if entry is None:
                self._complain(0, "bytes from %d on say nothing" % self._at)
                return
            end, run, count, plaintext, tag = entry
            odd = at != self._at
            self._at = end
            if run is self._run:
                index = run.index + count - 1
                self._follow(index, odd)
                run.count = count
                self.index = index + 1
                self.tag = tag
                if index >= abs(first):
                    yield index, plaintext
            else:
                self._follow(run.index, odd or count)
                if self.tag is not None and self.tag != tag:
                    self._complain(0, "a run that follows another record")
                self._run, self.index, self.tag = run, run.index, tag
                self.epoch = max(self.epoch, run.epoch)

    def _hop(self, source, first):
        """Pass over the records before `first` whose headers follow each other."""
        run, at = self._run, self._at
        count = run.count
        left = first - run.index - count
        while left > 0:
            head = source.read(at, 4)
            if len(head) < 4 or head[0] == 0xFF or head[2] << 8 | head[3] != count + 1:
                break
            count += 1
            left -= 1
            at += (head[0] << 8 | head[1]) + FRAME
        if count > run.count:
            run.count, self._at, self.tag = count, at, None
            self.index = run.index + count

    def _follow(self, index, odd):
        if self.index is None:
            self.index = index
        lost = index - self.index
        if lost or odd:
            self._complain(lost, "%d records are not what was sealed" % lost)

    def _complain(self, lost, reason):
        self.damaged = True
        self.tag = None
        reason = "segment %d: %s" % (self.number, reason)
        self._report("store.tamper", self.index, max(lost, 0), reason)

    def _entry(self, source, at):
        """What lies at `at` -> (its end, Run, counter, plaintext, tag); None for nothing of ours.

        Of a mark: plaintext None, counter 1 when one half is bad, the tag that it follows.
        """
        head = source.read(at, 4)
        if len(head) < 4:
            return None
        size, count = unpack(">HH", head)
        if size == _SIGN:
            return self._mark(source, at)
        run, end = self._run, at + size + FRAME
        if run is None or size > limits.VAULT_RECORD + 1 or end > source.size:
            return None
        if not 0 < count - run.count <= limits.VAULT_SEEK:
            return None
        sealed = source.read(at + 4, size + 16)
        plaintext = self._sealer.open(run, count, sealed)
        return None if plaintext is None else (end, run, count, plaintext, sealed[-16:])

    def _mark(self, source, at):
        """Found where it is expected it is the first half, else the second one alone."""
        half = source.read(at, _HALF)
        run = self._sealer.open_mark(half, self.number)
        if run is None:
            return None
        whole = source.read(at + _HALF, _HALF) == half
        end = at + (MARK if whole or at == self._at else _HALF)
        return end, run, int(not whole), None, run.tag
