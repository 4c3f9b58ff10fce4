"""The sealed journal (SPEC 10; S13, S21): an append-only log of records in one folder.

A record goes first to a tail file, which littlefs keeps inline in its directory; when those are
full, all of them go to the segment in one append. A full segment is followed by another, which
begins with a snapshot of what the client knows, so that a mount reads the last one only.

A client (store, queue, audit) has `snapshot() -> bytes`, `restore(bytes)` and
`replay(index, kind, payload)`. Whatever is not as it was sealed goes to
`report(event, index, lost, reason)` and is passed over.
"""

import os
from struct import pack, unpack

from uward import limits
from uward.compat import const
from uward.crypto.rng import random
from uward.errors import LimitError, VaultFull, VaultTampered
from uward.vault.frames import FRAME, LAST, MARK, Reader, Sealer

_SNAPSHOT = const(0)  # u32 oldest segment kept, u32 its first index | what the client said
_DROP = const(1)  # u32 oldest segment kept, u32 its first index
_ENOENT = const(2)
_EEXIST = const(17)
_ENOSPC = const(28)
_END = const(0x3FFFFFFF)
_CHUNK = const(1024)


def ignore(event, index, lost, reason):
    """A report that nobody wants."""


class _Source:
    """The bytes of one segment: its file, then what lies in the tail files."""

    def __init__(self, path, durable, rest):
        self._file = open(path, "rb")  # noqa: SIM115 - closed by close()
        self._durable = durable
        self._rest = rest
        self._from = 0
        self._window = b""
        self.size = durable + len(rest)

    def read(self, offset, n):
        """n bytes, fewer at the end."""
        o = offset - self._from
        if o < 0 or o + n > len(self._window):
            self._from, o = offset, 0
            self._window = self._fetch(offset, max(n, _CHUNK))
        return self._window[o : o + n]

    def _fetch(self, offset, n):
        out = b""
        if offset < self._durable:
            self._file.seek(offset)
            out = self._file.read(min(n, self._durable - offset))
        start = offset + len(out) - self._durable
        return out if start < 0 else out + bytes(self._rest[start : start + n - len(out)])

    def close(self):
        self._file.close()


class Journal:
    """folder: its own; key: 32 bytes; name: what it is, bound to each record; bits: 128 or 256."""

    def __init__(self, folder, key, name, client, report=ignore, bits=128):
        name = name.encode()
        if len(name) > limits.VAULT_NAME:
            raise LimitError(
                "vault: expected a name <= %d bytes, got %d" % (limits.VAULT_NAME, len(name))
            )
        self._folder = folder
        self._sealer = Sealer(key, name, bits)
        self._client = client
        self._report = report

    def mount(self, create=False):
        """Find the newest state. VaultTampered when nothing there is ours; an empty folder is
        refused unless `create`."""
        if create:
            self._make_folders()
        numbers = self._numbers()
        last, start = self._newest(numbers)
        self._pending = bytearray()
        self._slot = self._slot_at = 0
        self._run = None
        self._hop = Reader(self._sealer, ignore)
        self._stale = self._odd = False
        self.first, self._first_index = 1, 0
        self.last = last
        self.starts = []
        if last:
            self.size = self._length(last)
            self._take_tails()
            self._replay(numbers, start)
            self._list(numbers)
        elif create and not any(self._length(number) for number in numbers):
            self.size = self.index = self._epoch = 0
            self._tag = bytes(16)
            self.rotate()
        else:
            raise VaultTampered(None, "vault: expected segments sealed by this key, got none")

    def append(self, kind, payload, urgent=False):
        """Seal one record, kind 2..255; durable on return -> its index. VaultFull when there is
        no room; urgent ones make room, and may use the reserve."""
        if len(payload) > limits.VAULT_RECORD:
            raise LimitError(
                "vault: expected <= %d bytes, got %d" % (limits.VAULT_RECORD, len(payload))
            )
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

    def verify(self):
        """Read everything -> whether all of it is as it was sealed; else it was reported."""
        reader = Reader(self._sealer, self._report)
        reader.index = self._first_index
        for number in range(self.first, self.last + 1):
            for _ in self._frames(reader, number):
                pass
        return not reader.damaged and reader.index == self.index

    def drop(self):
        """Give up the oldest segment and what it holds; not the current one."""
        number = self.first
        del self.starts[0]
        self.first += 1
        self._first_index = self.starts[0]
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
            self._run, out = self._sealer.mark(
                self.last, self._epoch, self.index, self._tag, random(16)
            )
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
        whole = len(self._pending) + len(blob)
        if (
            self._slot >= limits.VAULT_TAILS
            or len(blob) > limits.VAULT_INLINE
            or whole > limits.VAULT_PENDING
        ):
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

    def _check_reserve(self):
        of = os.statvfs(self._folder)
        need = limits.VAULT_RESERVE + limits.VAULT_SEGMENT // 4096
        if not need <= of[3] <= of[2]:  # littlefs counts shared blocks twice: less than none
            raise VaultFull("vault: expected %d free blocks of %d, got fewer" % (need, of[2]))

    def _remove(self, path):
        try:
            os.remove(path)
        except OSError as e:
            if e.args[0] != _ENOENT:
                raise

    def _make_folders(self):
        for path in (self._folder, self._folder + "/t"):
            try:
                os.mkdir(path)
            except OSError as e:
                if e.args[0] != _EEXIST:
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

    def _numbers(self):
        """Numbers of the segments, sorted."""
        names = [n for n in os.listdir(self._folder) if n.isdigit() and n[0] != "0"]
        return sorted(int(n) for n in names if len(n) < 10)

    def _frames(self, reader, number, first=0):
        """Records of one segment from index `first` on; of a missing one none."""
        size = self.size if number == self.last else self._length(number)
        if not size:
            return
        source = _Source(self._path(number), size, self._pending if number == self.last else b"")
        try:
            for found in reader.frames(number, source, first):
                yield found
        finally:
            source.close()

    def _newest(self, numbers):
        """Restore the newest whole snapshot -> (the last segment of ours, the one that has it)."""
        last = 0
        self.last = 0
        for number in reversed(numbers):
            reader = Reader(self._sealer, ignore)
            _, plaintext = self._look(reader, number, 0)
            if reader.index is None:  # no mark of ours
                continue
            last = last or number
            if plaintext and plaintext[0] == _SNAPSHOT:
                self._client.restore(plaintext[9:])
                return last, number
        self._client.restore(b"")
        return last, numbers[0] if numbers else 0

    def _look(self, reader, number, index, first=None):
        """-> (index, plaintext) of the first record of a segment from `index` on, else Nones."""
        frames = self._frames(reader, number, index if first is None else first)
        try:
            for found, plaintext in frames:
                if found >= index:
                    return found, plaintext
            return None, None
        finally:
            frames.close()

    def _take_tails(self):
        """Into `_pending` what the segment does not hold yet; the rest are copies of its end."""
        tails = {}
        for slot in range(limits.VAULT_TAILS):
            try:
                with open(self._tail(slot), "rb") as f:
                    tails[slot] = f.read(limits.VAULT_INLINE)
            except OSError as e:
                if e.args[0] != _ENOENT:
                    raise
        source = _Source(self._path(self.last), self.size, b"")
        for o in range(0, self.size, _CHUNK - limits.VAULT_INLINE):
            chunk = source.read(o, _CHUNK)
            for slot in list(tails):
                if tails[slot] in chunk:
                    del tails[slot]
        source.close()
        for slot in sorted(tails):
            self._pending.extend(tails[slot])
            self._slot = slot + 1
        self._slot_at = len(self._pending)

    def _replay(self, numbers, start):
        """Tell the client what happened since the snapshot of segment `start`."""
        reader = Reader(self._sealer, self._report)
        for number in range(start, self.last + 1):
            for index, plaintext in self._frames(reader, number):
                if plaintext[0] > _DROP:
                    self._client.replay(index, plaintext[0], plaintext[1:])
                    continue
                self.first, self._first_index = unpack(">II", plaintext[1:9])
        self.index = reader.index
        self._tag = reader.tag or bytes(16)
        self._epoch = reader.epoch
        self._odd = reader.damaged

    def _list(self, numbers):
        """Note where each segment begins; report those that are missing, none of ours, or back."""
        for number in numbers:
            if number < self.first:
                if number < self.first - 1:
                    self._report("store.tamper", None, 0, "segment %d is back" % number)
                self._remove(self._path(number))
            elif number > self.last and self._length(number):  # an empty file is absent (S21)
                reason = "segment %d is none of ours" % number
                self._report("store.tamper", self.index, 0, reason)
        for number in range(self.first, self.last + 1):
            start = self._start_of(number) if number in numbers else None
            if start is None:
                start = self._next_of(number - 1) if self.starts else self._first_index
                self._report("store.tamper", start, 0, "segment %d is missing" % number)
            self.starts.append(start)

    def _start_of(self, number):
        """The index with which a segment begins, None when it cannot be told."""
        with open(self._path(number), "rb") as f:
            head = f.read(MARK)
        if len(head) == MARK and head[:12] == head[60:72]:
            return unpack(">I", head[8:12])[0]
        return self._look(Reader(self._sealer, ignore), number, 0)[0]

    def _next_of(self, number):
        """The index after the last record of a segment."""
        reader = Reader(self._sealer, ignore)
        self._look(reader, number, _END)
        return self.starts[-1] if reader.index is None else reader.index

    def _locate(self, index):
        """-> the segment that holds a record."""
        for i in range(len(self.starts) - 1, -1, -1):
            if self.starts[i] <= index < self.index:
                return self.first + i
        raise VaultTampered(index, "vault: expected record %d to be kept, it is not" % index)
