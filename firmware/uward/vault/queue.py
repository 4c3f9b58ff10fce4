"""The outbox in flash (SPEC 10): packs until the collector has committed them, in order.

Its interface is that of `outbox.Outbox`, and what that says holds across cuts and reboots: a pack
is durable when `append` returns, its number and sealed bytes when `seal` returns, so that the
same bytes are sent again after a reboot (S12). Numbers are sealed in order, before they are sent.

Times are ms of uptime; `date` says when that uptime began, once it is known or for the time
being, so that packs of several boots keep their dates.

Overflow: segments that hold acknowledged packs only go first. Then, by policy "drop", the oldest
packs that are neither numbered nor critical, with a report `out.dropped`; critical ones move on.
By policy "refuse" the new pack is refused.
"""

from uward import limits
from uward.codec import cbor
from uward.compat import const
from uward.errors import ProtocolError, VaultFull, VaultRestored
from uward.vault.journal import Journal, ignore
from uward.vault.packs import Entry

_PACK = const(2)  # [purpose, when, critical, body]
_SEALED = const(3)  # [sequence, index of its pack, purpose, when, sealed bytes]
_ACK = const(4)  # sequence: everything up to it is committed
_MOVED = const(5)  # [cursor, dropped, waiting, oldest], and a critical pack that moved here
_DATED = const(6)  # [index, epoch, quality]: when the uptime began that dates packs from index on
# 7: [stream, sequence]: another stream, or one that was elsewhere meanwhile: `kept`


class Queue:
    """folder, key, name, report, bits, create: see `Journal`; capacity: bytes of flash."""

    def __init__(
        self,
        folder,
        key,
        name="outbox",
        report=ignore,
        bits=128,
        create=False,
        capacity=limits.QUEUE_BYTES,
        drop=True,
    ):
        self._report = report
        self._most = max(3, capacity // limits.VAULT_SEGMENT)
        self._drop = drop
        self._boot = None  # index of the first record of this boot
        self._journal = Journal(folder, key, name, self, report, bits)
        self._journal.mount(create)

    def append(self, purpose, when, body, critical=False):
        """Keep one pack, durably. -> False when it was refused because nothing could make way."""
        payload = cbor.encode([purpose, when, critical, body])
        self._journal.settle()
        try:
            if not self._room(len(payload)):
                raise VaultFull("outbox: expected packs that can make way, got none")
            index = self._journal.append(_PACK, payload)
        except VaultFull as e:
            self.dropped += 1
            self._report("out.dropped", None, 1, str(e))
            return False
        self._waiting += 1
        if self._known:
            self._known = len(self._fresh) < limits.QUEUE_FRESH
            if self._known:
                self._fresh.append((index, [purpose, when, critical, body]))
        return True

    def peek(self, after):
        """The entry that follows sequence `after`, numbered; None when there is none to send.

        At most limits.WINDOW_PACKS entries are numbered beyond what is acknowledged.
        """
        after = max(after, self.acknowledged)
        if after < self._sealed:
            from uward.vault import kept

            return kept.following(self, after)
        for entry in self._numbered:
            if entry.sequence > after:
                return entry
        if self.sent - self.acknowledged >= limits.WINDOW_PACKS:
            return None
        return self._number()

    def batch(self, count):
        """Up to `count` entries that wait for their acknowledgement."""
        entries, after = [], self.acknowledged
        while len(entries) < count:
            entry = self.peek(after)
            if entry is None:
                break
            entries.append(entry)
            after = entry.sequence
        return entries

    def seal(self, entry, sealed):
        """Keep the sealed bytes of an entry, durably: from now on those are sent (S12).

        ProtocolError when it is not the one whose turn it is.
        """
        if entry not in self._numbered:
            raise ProtocolError("seal: expected an entry of `peek`, got %d" % entry.sequence)
        self._seal([entry.sequence, entry.index, entry.purpose, entry.when, sealed])
        entry.sealed = sealed
        entry.body = b""

    def _seal(self, fields):
        self._journal.settle()
        turn = self._sealed + 1
        if fields[0] != turn:
            raise ProtocolError("seal: expected sequence %d, got %d" % (turn, fields[0]))
        payload = cbor.encode(fields)
        self._note_sealed(self._journal.append(_SEALED, payload, True), fields)
        self._tidy()

    def date(self, epoch, quality):
        """This boot's uptime began at `epoch` (unix seconds; quality as in SPEC 8). Packs that
        are appended from its first call after the mount on are this boot's."""
        if self._boot is None:
            self._boot = self._journal.index
        dated = [self._boot, epoch, quality]
        if dated not in self._dates:
            self._journal.append(_DATED, cbor.encode(dated), True)
            self._note_dated(dated)

    def latest(self):
        """-> unix seconds of the newest pack that can be read at once; where there is none, when
        the last boot that was dated began; 0 without."""
        from uward.vault import kept

        return kept.latest(self)

    def restart(self):
        """Begin a new stream with what is not sealed yet: the collector knows numbers that this
        flash does not, so it is an older one restored (S12). What was sealed is with it."""
        from uward.vault import kept

        kept.restart(self)

    def adopt_sealed(self, entry):
        """Keep an entry that got its number and its sealed bytes elsewhere: the next in turn."""
        self._seal([entry.sequence, 0, entry.purpose, entry.when, entry.sealed])

    def acknowledge(self, sequence):
        """Everything up to `sequence` is committed. VaultRestored beyond what was sealed."""
        self._judge(sequence)
        if sequence > self.acknowledged:
            self._set_acknowledged(sequence)

    def rewind(self, sequence):
        """The collector has only up to `sequence`: offer again what is still kept."""
        self._judge(sequence)
        if sequence < self.acknowledged:
            self._set_acknowledged(sequence)

    @property
    def index(self):
        """The index of the next record: what happens from now on lies there or later."""
        return self._journal.index

    def pending(self):
        """How many packs wait for their acknowledgement or for being sent."""
        return self._waiting + self._sealed - self.acknowledged

    def verify(self):
        """Read everything -> whether all of it is as it was sealed; else it was reported."""
        return self._journal.verify()

    def _judge(self, sequence):
        self._journal.settle()
        if sequence > self._sealed:
            raise VaultRestored("ack: expected <= %d, got %d" % (self._sealed, sequence))

    def _set_acknowledged(self, sequence):
        self._journal.append(_ACK, cbor.encode(sequence), True)
        self._note_ack(sequence)
        self._tidy()

    # Reading

    def _number(self):
        """Number the next pack; durable once it is sealed."""
        if self._fresh:
            return self._entry(*self._fresh.pop(0))
        if self._known:
            return None
        for index, kind, payload in self._journal.records(self._cursor):
            fields = pack_of(kind, payload)
            if fields:
                return self._entry(index, fields)
        self._waiting = len(self._numbered)
        self._known = True
        return None

    def _entry(self, index, fields):
        entry = Entry(fields[0], fields[1], fields[3], fields[2])
        entry.index = index
        entry.epoch, entry.quality = fields[4:] or self._date_of(index)
        self.sent += 1
        entry.sequence = self.sent
        self._numbered.append(entry)
        self._cursor = index + 1
        return entry

    def forget(self):
        """What is known of packs without a number holds no longer: look for them in flash."""
        self._fresh = []
        self._known = False

    def _room(self, size):
        """Whether a pack of `size` bytes may be appended."""
        if self._fits(size):
            return True
        from uward.vault import room

        return room.make(self, size)

    def _fits(self, size):
        journal = self._journal
        free = self._most - journal.segments
        return free > 0 or (free == 0 and journal.room(size))

    def _tidy(self):
        """Free what is acknowledged while sealed copies take more than the capacity."""
        if self._journal.segments > self._most:
            from uward.vault import room

            room.tidy(self)

    def _date_of(self, index):
        """-> [epoch, quality] of the boot that appended record `index`; of one that is not known
        any more those of the next, and quality 0."""
        found = [0, self._dates[0][1] if self._dates else 0, 0]
        for dated in self._dates:
            if dated[0] <= index:
                found = dated
        return found[1:]

    def _state(self):
        """The cursor counts numbers that are sealed only: others are given again."""
        cursor = self._numbered[0].index if self._numbered else self._cursor
        return [cursor, self.dropped, self._waiting, self.oldest]

    # What the journal asks of its client

    def snapshot(self):
        places = [n for pair in self._places.items() for n in pair]
        state = [self.stream, self.acknowledged, self._sealed]
        state += self._state()
        state += [self._since, self._dates]
        return cbor.encode(state + places[: 2 * limits.WINDOW_PACKS])

    def restore(self, snapshot):
        from uward.vault import kept

        kept.restore(self, snapshot)

    def replay(self, index, kind, payload):
        from uward.vault import kept

        kept.replay(self, index, kind, payload)

    def _note_dated(self, dated):
        dates = [known for known in self._dates if known[0] != dated[0]]
        dates.append(dated)
        first = self._state()[0]
        while len(dates) > 1 and (dates[1][0] <= first or len(dates) > limits.QUEUE_DATES):
            del dates[0]
        self._dates = dates

    def _note_sealed(self, index, fields):
        sequence = fields[0]
        self._copied = index
        if sequence > self._sealed:
            self._sealed = sequence
            self.sent = max(self.sent, sequence)
            if fields[1]:  # else it was numbered elsewhere
                self._cursor = max(self._cursor, fields[1] + 1)
                self._waiting -= 1
            self._numbered = [e for e in self._numbered if e.sequence > sequence]
            self._stuck = False
        if sequence > self.acknowledged:
            self._places[sequence] = index

    def _note_ack(self, sequence):
        if sequence < self.acknowledged:
            self._places = {}
        self.acknowledged = sequence
        self._places = {n: i for n, i in self._places.items() if n > sequence}
        self._stuck = False


def pack_of(kind, payload):
    """-> [purpose, when, critical, body], with epoch and quality when it has moved; None when
    the record holds no pack."""
    if kind == _PACK:
        return cbor.decode(payload)
    return cbor.decode(payload)[4:] if kind == _MOVED else None
