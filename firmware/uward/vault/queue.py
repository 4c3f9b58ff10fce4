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
from uward.crypto.rng import random
from uward.errors import ProtocolError, VaultFull, VaultRestored, VaultTampered
from uward.vault.journal import Journal, ignore
from uward.vault.packs import Entry

_PACK = const(2)  # [purpose, when, critical, body]
_SEALED = const(3)  # [sequence, index of its pack, purpose, when, sealed bytes]
_ACK = const(4)  # sequence: everything up to it is committed
_MOVED = const(5)  # [cursor, dropped, waiting, oldest], and a critical pack that moved here
_DATED = const(6)  # [index, epoch, quality]: when the uptime began that dates packs from index on
_STREAM = const(7)  # a new stream's id: numbers begin again
_NOWHERE = const(0x3FFFFFFF)
_DATES = const(16)  # boots whose uptime is known; packs of older ones take the oldest one's


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
            self._journal.append(_PACK, payload)
        except VaultFull as e:
            self.dropped += 1
            self._report("out.dropped", None, 1, str(e))
            return False
        self._waiting += 1
        return True

    def peek(self, after):
        """The entry that follows sequence `after`, numbered; None when there is none to send.

        At most limits.WINDOW_PACKS entries are numbered beyond what is acknowledged.
        """
        after = max(after, self.acknowledged)
        if after < self._sealed:
            return self._kept(after)
        for entry in self._numbered:
            if entry.sequence > after:
                return entry
        if self.sent - self.acknowledged >= limits.WINDOW_PACKS:
            return None
        return self._number()

    def batch(self, count):
        """Up to `count` entries that wait for their acknowledgement."""
        entries = []
        after = self.acknowledged
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
        journal = self._journal
        journal.settle()
        if entry.sequence != self._sealed + 1 or entry not in self._numbered:
            raise ProtocolError(
                "seal: expected sequence %d, got %d" % (self._sealed + 1, entry.sequence)
            )
        fields = [entry.sequence, entry.index, entry.purpose, entry.when, sealed]
        payload = cbor.encode(fields)
        self._note_sealed(journal.append(_SEALED, payload, True), fields)
        self._tidy()
        entry.sealed = sealed
        entry.body = b""

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
        """-> unix seconds of the newest pack that can be read at once, 0 when there is none."""
        for index in range(self._journal.index - 1, self._newest - 1, -1):
            kind, payload = self._journal.read(index)
            if kind == _PACK:
                return self._date_of(index)[0] + cbor.decode(payload)[1] // 1000
        return 0

    def restart(self):
        """Begin a new stream with what is not sealed yet: the collector knows numbers that this
        flash does not, so it is an older one restored (S12). What was sealed is with it."""
        stream = random(16)
        self._note_stream(self._journal.append(_STREAM, cbor.encode(stream), True), stream)

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
        for index, kind, payload in self._journal.records(self._cursor):
            fields = _pack_of(kind, payload)
            if fields:
                entry = Entry(fields[0], fields[1], fields[3], fields[2])
                entry.index = index
                entry.epoch, entry.quality = fields[4:] or self._date_of(index)
                self.sent += 1
                entry.sequence = self.sent
                self._numbered.append(entry)
                self._cursor = index + 1
                return entry
        self._waiting = len(self._numbered)
        return None

    def _kept(self, after):
        """The sealed entry that follows `after`; one that cannot be read is passed over."""
        while after < self._sealed:
            if after + 1 not in self._places:
                self._find_places(after)
            after = min((n for n in self._places if n > after), default=self._sealed)
            if after in self._places:
                try:
                    fields = cbor.decode(self._journal.read(self._places[after])[1])
                except VaultTampered as e:
                    self._report(e.event, e.index, 1, str(e))
                    continue
                entry = Entry(fields[2], fields[3], b"", False)
                entry.sequence, entry.sealed = after, fields[4]
                return entry
        return self.peek(self._sealed)

    def _find_places(self, after):
        """Look for the sealed packs after `after`, at most QUEUE_WINDOW of them."""
        self._places = {}
        for index, kind, payload in self._journal.records(self._since):
            if kind == _SEALED:
                sequence = cbor.decode(payload)[0]
                if sequence > after and len(self._places) < limits.QUEUE_WINDOW:
                    self._places[sequence] = index

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
        """-> [epoch, quality] of the boot that appended record `index`."""
        found = self._dates[0] if self._dates else [0, 0, 0]
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
        state = cbor.decode(snapshot) if snapshot else [random(16), 0, 0, 0, 0, 0, 1, 0, []]
        self.stream, self.acknowledged, self._sealed = state[:3]
        self._cursor, self.dropped, self._waiting, self.oldest = state[3:7]
        self._since, self._dates = state[7:9]
        self._places = {state[i]: state[i + 1] for i in range(9, len(state), 2)}
        self.sent = self._sealed
        self._numbered = []
        self._stuck = False
        self._newest = _NOWHERE

    def replay(self, index, kind, payload):
        if kind == _PACK:
            self._waiting += 1
            self._newest = index
            return
        fields = cbor.decode(payload)
        if kind == _SEALED:
            self._note_sealed(index, fields)
        elif kind == _ACK:
            self._note_ack(fields)
        elif kind == _MOVED:
            self._cursor, self.dropped, self._waiting, self.oldest = fields[:4]
        elif kind == _DATED:
            self._note_dated(fields)
        elif kind == _STREAM:
            self._note_stream(index, fields)

    def _note_dated(self, dated):
        dates = [known for known in self._dates if known[0] != dated[0]]
        dates.append(dated)
        self._dates = dates[-_DATES:]

    def _note_stream(self, index, stream):
        self.stream = stream
        self._since = index
        if self._numbered:
            self._cursor = self._numbered[0].index
        self.acknowledged = self._sealed = self.sent = 0
        self.oldest = 1
        self._places = {}
        self._numbered = []

    def _note_sealed(self, index, fields):
        sequence = fields[0]
        if sequence > self._sealed:
            self._sealed = sequence
            self.sent = max(self.sent, sequence)
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


def _pack_of(kind, payload):
    """-> [purpose, when, critical, body], with epoch and quality when it has moved; None when
    the record holds no pack."""
    if kind == _PACK:
        return cbor.decode(payload)
    return cbor.decode(payload)[4:] if kind == _MOVED else None
