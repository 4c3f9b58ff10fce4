"""What waits for the collector while nobody commits it: in flash, until all of it is committed.

Loaded for that time only (S20; ADR 0052). Packs lie in an outbox of their own (`queue`), which
goes on with the stream of the one in RAM. Readings go into dense packs, which stay open for long;
each open one has a copy in a sealed file, which the next boot takes for a pack if a cut came
before its end. Where the data tier has a lock, bodies are sealed to the collector alone (S9).

`/vault/away` is there while the outbox in flash may hold something.
"""

import os

from uward import files, limits, port
from uward.codec import cbor
from uward.compat import const
from uward.crypto import rng
from uward.errors import BadMac, CodecError, VaultTampered
from uward.vault import keys, outbox, sealed
from uward.vault.queue import Queue

MARKER = "/vault/away"
_FOLDER = "/vault/outbox"
_OPEN = "/vault/open"  # copies of open packs, by their sensor's number
_HELD = ("tele", "event")
_EEXIST = const(17)


class Away:
    """report: as for `Journal`; built: unix seconds of the image's build.

    UwardError, OSError or MemoryError when flash takes nothing: what is in RAM is untouched then.
    """

    def __init__(self, report, built, base=""):
        self._base = base
        self._root = keys.root(base)
        self._built = built
        self._report = report
        self._notes = []  # packs that are to be written: (purpose, when, body, critical)
        self._packs = {}  # number of a sensor -> its open pack
        self._began = {}  # and the index below which that lies nowhere
        self._stale = {}  # and ms of uptime from when on its copy is to be written
        self._copied = {}  # and ms of uptime at which it was written last
        self._blind = None
        for folder in ("/vault", _OPEN):
            _make(base + folder)
        self.queue = self._mount()
        self._until = self._recover()
        if keys.data_locked(base):
            from uward.vault.blind import Blind

            self._blind = Blind(self._collector(), rng.random)

    def _mount(self):
        """The outbox; one that is not ours is put aside, so that another can begin."""
        folder, key = self._base + _FOLDER, keys.vault_key(self._root, "outbox")
        fresh = not files.exists(self._base + MARKER)
        try:
            queue = Queue(folder, key, report=self._report, create=fresh)
        except VaultTampered as e:
            self._report(e.event, e.index, 0, str(e))
            _put_aside(folder)
            queue = Queue(folder, key, report=self._report, create=True)
        with open(self._base + MARKER, "wb") as f:
            f.write(b"\x01")
        return queue

    def _collector(self):
        return cbor.decode(sealed.read(self._root, "/id/peer", self._base))[8]

    def _recover(self):
        """Packs that were open when power went: of the boot before, so they come before `date`.
        -> unix seconds until which readings are known, 0 without."""
        kept, queue, until = _kept(), self.queue, self.queue.latest()
        for name in os.listdir(self._base + _OPEN):
            path = "%s/%s" % (_OPEN, name)
            try:
                if not name.isdigit() or not os.stat(self._base + path)[6]:
                    continue  # of a rotation that was cut; an empty file is absent (S21)
                copy = cbor.decode(sealed.read(self._root, path, self._base))
                if not kept.holds(queue, "tele", copy[1], copy[0]):
                    queue.append("tele", copy[1], copy[2])
                    until = max(until, kept.time_of(queue, copy[3]))
            except (BadMac, CodecError) as e:
                self._report("store.tamper", None, 0, "%s: %s" % (path, e))
            finally:
                os.remove(self._base + path)
        return until

    def date(self, dated, uptime):
        """When this boot began. dated: (unix seconds at uptime 0, quality), None while no time is
        proved: then what the clock says, or what came last, holds for the time being.

        Before anything of this boot is kept, and whenever that is known better."""
        if dated is None:
            now = port.now()
            last = max(self._until, self._built)
            dated = max(now, last) - uptime // 1000, 1 if now > last else 0
        self.queue.date(*dated)

    def take(self, box):
        """All that waits in the outbox in RAM; what has its number keeps it."""
        queue = self.queue
        while box.entries:
            entry = box.entries[0]
            if not entry.sequence:
                self._append(entry.purpose, entry.when, entry.body, entry.critical)
            elif entry.sequence > box.acknowledged:
                if [queue.stream, queue.sent] != [box.stream, entry.sequence - 1]:
                    _kept().adopt(queue, box.stream, entry.sequence - 1)
                queue.adopt_sealed(entry)
            box.remove(0)
        if box.sent and queue.stream != box.stream and not queue.pending():
            _kept().adopt(queue, box.stream, box.sent)

    def keep(self, purpose, when, body, critical):
        """One pack, written by the next `work`: whoever calls may have little C stack left."""
        if len(self._notes) >= limits.AWAY_NOTES:
            self.queue.dropped += 1
        else:
            self._notes.append((purpose, when, body, critical))

    def add(self, sensor, when, value):
        """One reading. -> False when no dense pack takes it: then it is packed as usual."""
        number = sensor.number
        pack = self._packs.get(number)
        if pack and not pack.add(when, value):
            self.close(number)
            pack = None
        if not pack:
            from uward.vault.dense import Dense

            pack = Dense(sensor.name, sensor.unit, sensor.period)
            if not pack.add(when, value):
                return False
            self._packs[number] = pack
            self._began[number] = self.queue.index
        if number not in self._stale:
            last = self._copied.get(number, when - limits.AWAY_COPY_MS)
            self._stale[number] = max(when, last + limits.AWAY_COPY_MS)
        return True

    def close(self, number):
        """The open pack of a sensor is whole; it has a `when` that no other of its time has."""
        pack = self._packs[number]
        self.keep("tele", pack.began + number, pack.body(), False)
        del self._packs[number]  # only now: on a short heap the line above may fail
        self._stale.pop(number, None)

    def close_all(self):
        """Open packs are whole: there is somebody who takes them. -> whether there were any."""
        numbers = list(self._packs)
        for number in numbers:
            self.close(number)
        return bool(numbers)

    def work(self, now):
        """Write what is to be written; called often, from where there is C stack."""
        while self._notes:
            self._append(*self._notes[0])
            del self._notes[0]
        for number, due in list(self._stale.items()):
            if now >= due:
                self._copy(number, now)

    def _append(self, purpose, when, body, critical):
        self.queue.append(purpose, when, self._hold(purpose, body), critical)

    def _hold(self, purpose, body):
        return self._blind.seal(purpose, body) if self._blind and purpose in _HELD else body

    def _copy(self, number, now):
        """One commit of littlefs: the file is small enough to lie in its folder (S21)."""
        pack = self._packs[number]
        body = self._hold("tele", pack.body())
        copy = cbor.encode([self._began[number], pack.began + number, body, now])
        path = "%s/%d" % (_OPEN, number)
        with open(self._base + path, "wb") as f:
            f.write(sealed.seal(self._root, path, copy))
        self._copied[number] = now
        del self._stale[number]

    def pending(self):
        """How many packs wait, open ones too."""
        return self.queue.pending() + self.unwritten()

    def unwritten(self):
        """How many of them are still in RAM."""
        return len(self._notes) + len(self._packs)

    def end(self):
        """All is committed. -> an outbox in RAM that goes on with the stream."""
        for name in os.listdir(self._base + _OPEN):
            os.remove("%s%s/%s" % (self._base, _OPEN, name))
        os.remove(self._base + MARKER)
        box = outbox.Outbox(self.queue.stream)
        box.sent = box.acknowledged = self.queue.sent
        return box


def _kept():
    """Needed for a moment, dropped by the next clean-up (S20)."""
    from uward.vault import kept

    return kept


def _put_aside(folder):
    """What is not ours, under another name; what was put aside before goes."""
    old = folder + ".bad"
    try:
        os.rename(folder, old)
    except OSError:
        _remove(old)
        os.rename(folder, old)


def _remove(folder):
    for path in (folder + "/t", folder):
        for name in os.listdir(path):
            if path != folder or name != "t":
                os.remove("%s/%s" % (path, name))
    os.rmdir(folder + "/t")
    os.rmdir(folder)


def _make(folder):
    try:
        os.mkdir(folder)
    except OSError as e:
        if e.args[0] != _EEXIST:
            raise
