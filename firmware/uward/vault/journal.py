"""The sealed journal (SPEC 10; S13, S21): an append-only log of records in one folder.

A record goes first to a tail file, which littlefs keeps inline in its directory; when those are
full, all of them go to the segment in one append. A full segment is followed by another, which
begins with a snapshot of what the client knows, so that a mount reads the last one only.

A client (store, queue, audit) has `snapshot() -> bytes`, `restore(bytes)` and
`replay(index, kind, payload)`. Whatever is not as it was sealed goes to
`report(event, index, lost, reason)` and is passed over.
"""

import os
from struct import pack

from uward import limits
from uward.compat import const
from uward.crypto.rng import random
from uward.errors import LimitError, VaultFull, VaultTampered
from uward.vault.frames import FRAME, LAST, MARK, Reader, Sealer
from uward.vault.segment import Segment

_SNAPSHOT = const(0)  # u32 oldest segment kept, u32 its first index | what the client said
_DROP = const(1)  # u32 oldest segment kept, u32 its first index
_ENOENT = const(2)
_ENOSPC = const(28)


def ignore(event, index, lost, reason):
    """A report that nobody wants."""


class Journal:
    """folder: its own; key: 32 bytes; name: what it is, bound to each record; bits: 128 or 256."""

    def __init__(self, folder, key, name, client, report=ignore, bits=128):
        name = name.encode()
        most = limits.VAULT_NAME
        if len(name) > most:
            raise LimitError("vault: expected a name <= %d bytes, got %d" % (most, len(name)))
        self._folder = folder
        self._sealer = Sealer(key, name, bits)
        self._client = client
        self._report = report

    def mount(self, create=False):
        """Find the newest state. VaultTampered when nothing there is ours; an empty folder is
        refused unless `create`."""
        from uward.vault.mount import mount

        mount(self, create)

    def attend(self, client, report):
        """Whom to ask and tell from now on."""
        self._client = client
        self._report = report

    def append(self, kind, payload, urgent=False):
        """Seal one record, kind 2..255; durable on return -> its index. VaultFull when there is
        no room; urgent ones make room, and may use the reserve."""
        most = limits.VAULT_RECORD
        if len(payload) > most:
            raise LimitError("vault: expected <= %d bytes, got %d" % (most, len(payload)))
        self.settle()
        if self._odd or not self.room(len(payload)):
            self.rotate(urgent)
        self._stale = True
        self._place(self._seal(bytes((kind,)) + payload))
        self._stale = False
        return self.index - 1

    def settle(self):
        """After a write that failed: see what is there now."""
        if self._stale:
            self.mount()

    def room(self, size):
        """Whether a record of `size` bytes fits in the current segment."""
        if self.index - self.starts[-1] >= limits.VAULT_FRAMES:
            return False
        return self._end() + MARK + FRAME + 1 + size <= limits.VAULT_SEGMENT

    @property
    def segments(self):
        return self.last - self.first + 1

    def read(self, index):
        """-> (kind, payload). VaultTampered when it is not what was sealed, or gone."""
        number = self._locate(index)
        found, plaintext = self._look(self._hop, number, index)
        if found != index:  # something on the way is damaged: read what there is
            found, plaintext = self._look(Reader(self._sealer, ignore), number, index, 0)
        if found != index:
            raise VaultTampered(index, "vault: expected record %d, got no such" % index)
        return plaintext[0], plaintext[1:]

    def records(self, index=0):
        """Yields (index, kind, payload) of the records from `index` on. Nothing may be appended
        meanwhile, unless to a segment that is not being read."""
        if index >= self.index:
            return
        reader = Reader(self._sealer, self._report)
        index = max(index, self._first_index)
        number = self._locate(index)
        if index == self._first_index:
            reader.index = index
        while number <= self.last:
            first = 0 if reader.index is not None else index
            for found, plaintext in self._frames(reader, number, first):
                if plaintext[0] > _DROP and found >= index:
                    yield found, plaintext[0], plaintext[1:]
            number += 1

    def oldest(self):
        """Yields (index, kind, payload) of the oldest segment; others may be appended to."""
        for index, plaintext in self._frames(Reader(self._sealer, self._report), self.first):
            if plaintext[0] > _DROP:
                yield index, plaintext[0], plaintext[1:]

    def start(self, i):
        """The index with which kept segment i begins; `starts` has ~index while it is a claim."""
        if self.starts[i] < 0:
            from uward.vault.mount import start_of

            self.starts[i] = start_of(self, i)
        return self.starts[i]

    def verify(self):
        """Read everything -> whether all of it is as it was sealed; else it was reported."""
        from uward.vault.mount import verify

        return verify(self)

    def drop(self):
        """Give up the oldest segment and what it holds; not the current one."""
        number = self.first
        first = self.start(1)
        del self.starts[0]
        self.first += 1
        self._first_index = first
        self.append(_DROP, pack(">II", self.first, self._first_index), True)
        self._remove(self._path(number))

    def rotate(self, urgent=False):
        """Begin a segment with a snapshot."""
        if self.last:
            if not urgent:
                self._check_reserve()
            self._stale = True
            if self._pending:
                self._fold(b"")
            for slot in range(limits.VAULT_TAILS):
                self._remove(self._tail(slot))
        snapshot = pack(">BII", _SNAPSHOT, self.first, self._first_index)
        self._stale = True
        self.last += 1
        self.size = 0
        self._run = None
        self.starts.append(self.index)
        blob = self._seal(snapshot + self._client.snapshot())
        self._save(self._path(self.last), "wb", blob)
        self.size = len(blob)
        self._stale = self._odd = False

    # Writing

    def _end(self):
        return self.size + len(self._pending)

    def _seal(self, plaintext):
        """-> the bytes of the next record, with a mark before it where a run begins."""
        out = b""
        if self._run is None or self._run.count + 1 >= LAST:
            self._epoch += 1
            place = self.last, self._epoch, self.index
            self._run, out = self._sealer.mark(*place, self._tag, random(16))
        out += self._sealer.seal(self._run, plaintext)
        self._tag = out[-16:]
        self.index += 1
        return out

    def _place(self, blob):
        """To a tail file, or with all tail files to the segment."""
        used = len(self._pending) - self._slot_at
        if used and used + len(blob) > limits.VAULT_TAIL:
            self._slot += 1
            self._slot_at += used
        full = len(self._pending) + len(blob) > limits.VAULT_PENDING
        if full or self._slot >= limits.VAULT_TAILS or len(blob) > limits.VAULT_INLINE:
            self._fold(blob)
        else:
            self._pending.extend(blob)
            self._save(self._tail(self._slot), "wb", self._pending[self._slot_at :])

    def _fold(self, blob):
        self._save(self._path(self.last), "ab", self._pending, blob)
        self.size += len(self._pending) + len(blob)
        self._pending = bytearray()
        self._slot = self._slot_at = 0

    def _save(self, path, mode, *parts):
        """One write, durable when the file is closed; a cut leaves the file as it was (S21)."""
        try:
            with open(path, mode) as f:
                for part in parts:
                    f.write(part)
        except OSError as e:
            if e.args[0] != _ENOSPC:
                raise
            raise VaultFull("vault: expected room in the file system, got none") from None

    def spare(self):
        """Free blocks of the file system."""
        of = os.statvfs(self._folder)
        return of[3] if of[3] <= of[2] else 0  # beyond: below 0, files being written count twice

    def _check_reserve(self):
        need = limits.VAULT_RESERVE + limits.VAULT_SEGMENT // 4096
        if self.spare() < need:
            total = os.statvfs(self._folder)[2]
            raise VaultFull("vault: expected %d free blocks of %d, got fewer" % (need, total))

    def _remove(self, path):
        try:
            os.remove(path)
        except OSError as e:
            if e.args[0] != _ENOENT:
                raise

    # Reading

    def _path(self, number):
        return "%s/%d" % (self._folder, number)

    def _tail(self, slot):
        return "%s/t/%d" % (self._folder, slot)

    def _length(self, number):
        """Bytes in the file of a segment; 0 when there is none."""
        try:
            return os.stat(self._path(number))[6]
        except OSError as e:
            if e.args[0] != _ENOENT:
                raise
            return 0

    def _frames(self, reader, number, first=0):
        """Records of one segment from index `first` on; of a missing one none."""
        size = self.size if number == self.last else self._length(number)
        if size:
            rest = self._pending if number == self.last else b""
            yield from reader.frames(number, Segment(self._path(number), size, rest), first)

    def _look(self, reader, number, index, first=None):
        """-> (index, plaintext) of the first record of a segment from `index` on, else Nones."""
        for found in self._frames(reader, number, index if first is None else first):
            if found[0] >= index:
                return found
        return None, None

    def _locate(self, index):
        """-> the segment that holds a record; what heads claim is looked into where it matters."""
        starts = self.starts
        i = len(starts) - 1 if index < self.index else -1
        while i >= 0:
            if max(starts[i], ~starts[i]) <= index:
                following = self.start(i + 1) if i + 1 < len(starts) else self.index
                if self.start(i) <= index < following:
                    return self.first + i
                i = len(starts)  # a claim was wrong: once more with what is known now
            i -= 1
        raise VaultTampered(index, "vault: expected record %d to be kept, it is not" % index)
