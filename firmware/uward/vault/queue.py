"""The outbox in flash (SPEC 10): packs until the collector has committed them, in order.

Its interface is that of `outbox.Outbox`, and what that says holds across cuts and reboots: a pack
is durable when `append` returns, its number and sealed bytes when `seal` returns, so that the
same bytes are sent again after a reboot (S12). Numbers are sealed in order, before they are sent.

Overflow: segments that hold acknowledged packs only go first. Then, by policy "drop", the oldest
packs that are neither numbered nor critical, with a report `out.dropped`; critical ones move on.
By policy "refuse" the new pack is refused.
"""

from uward import limits
from uward.codec import cbor
from uward.compat import const
from uward.crypto.rng import random
from uward.errors import ProtocolError, VaultFull, VaultTampered
from uward.vault.journal import Journal, ignore
from uward.vault.outbox import Entry

_PACK = const(2)  # [purpose, when, critical, body]
_SEALED = const(3)  # [sequence, index of its pack, purpose, when, sealed bytes]
_ACK = const(4)  # sequence: everything up to it is committed
_MOVED = const(5)  # [cursor, dropped, waiting, oldest], and a critical pack that moved here


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
        self._journal = Journal(folder, key, name, self, report, bits)
        self._journal.mount(create)

    def append(self, purpose, when, body, critical=False):
        """Keep one pack, durably. -> False when it was refused because nothing could make way."""
        payload = cbor.encode([purpose, when, critical, body])
        self._journal.settle()
        try:
            if not self._make_room(len(payload)):
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

    def acknowledge(self, sequence):
        """Everything up to `sequence` is committed. ProtocolError beyond what was sealed."""
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
            raise ProtocolError("ack: expected <= %d, got %d" % (self._sealed, sequence))

    def _set_acknowledged(self, sequence):
        self._journal.append(_ACK, cbor.encode(sequence), True)
        self._note_ack(sequence)
        self._tidy()

    # Reading

    def _number(self):
        """Number the next pack; durable once it is sealed."""
        for index, kind, payload in self._journal.records(self._cursor):
            fields = self._pack_of(kind, payload)
            if fields:
                entry = Entry(fields[0], fields[1], fields[3], fields[2])
                entry.index = index
                self.sent += 1
                entry.sequence = self.sent
                self._numbered.append(entry)
                self._cursor = index + 1
                return entry
        self._waiting = len(self._numbered)
        return None

    def _pack_of(self, kind, payload):
        """-> [purpose, when, critical, body], None when the record holds no pack."""
        if kind == _PACK:
            return cbor.decode(payload)
        return cbor.decode(payload)[4:] if kind == _MOVED else None

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
        for index, kind, payload in self._journal.records():
            if kind == _SEALED:
                sequence = cbor.decode(payload)[0]
                if sequence > after and len(self._places) < limits.QUEUE_WINDOW:
                    self._places[sequence] = index

    # Room

    def _make_room(self, size):
        """Whether a pack of `size` bytes may be appended; the oldest segments make way."""
        journal = self._journal
        for _ in range(self._most):
            if journal.segments < self._most or journal.room(size):
                return True
            if self._stuck or not self._trim(self._drop):
                break
        self._stuck = not journal.room(size)
        return not self._stuck

    def _tidy(self):
        """Free what is acknowledged while sealed copies take more than the capacity."""
        try:
            for _ in range(self._most):
                if self._journal.segments <= self._most or not self._trim(False):
                    break
        except VaultFull:
            pass  # of the file system: the next one tidies

    def _trim(self, drop):
        """Free the oldest segment: what must be kept moves on. -> False when it has to stay."""
        journal = self._journal
        end = journal.starts[1]
        if self._numbered and self._numbered[0].index < end:
            return False
        if not drop and self._cursor < end and self._waiting > len(self._numbered):
            return False
        dropped = self.dropped
        for index, kind, payload in journal.oldest():
            fields = self._pack_of(kind, payload)
            if kind == _SEALED:
                self._move_sealed(cbor.decode(payload)[0], index, payload)
            elif fields and index >= self._cursor:
                self._cursor = index + 1
                if fields[2]:
                    journal.append(_MOVED, cbor.encode(self._state() + fields), True)
                else:
                    self.dropped += 1
                    self._waiting -= 1
        self._cursor = max(self._cursor, end)
        journal.append(_MOVED, cbor.encode(self._state()), True)
        journal.drop()
        if self.dropped > dropped:
            self._report("out.dropped", end, self.dropped - dropped, "the oldest made way")
        return True

    def _move_sealed(self, sequence, index, payload):
        if sequence <= self.acknowledged:
            self.oldest = max(self.oldest, sequence + 1)
        elif self._places.get(sequence, index) == index:  # else it has moved before a cut
            self._places[sequence] = self._journal.append(_SEALED, payload, True)

    def _state(self):
        """The cursor counts numbers that are sealed only: others are given again."""
        cursor = self._numbered[0].index if self._numbered else self._cursor
        return [cursor, self.dropped, self._waiting, self.oldest]

    # What the journal asks of its client

    def snapshot(self):
        places = [n for pair in self._places.items() for n in pair]
        state = [self.stream, self.acknowledged, self._sealed]
        return cbor.encode(state + self._state() + places[: 2 * limits.WINDOW_PACKS])

    def restore(self, snapshot):
        state = cbor.decode(snapshot) if snapshot else [random(16), 0, 0, 0, 0, 0, 1]
        self.stream, self.acknowledged, self._sealed = state[:3]
        self._cursor, self.dropped, self._waiting, self.oldest = state[3:7]
        self._places = {state[i]: state[i + 1] for i in range(7, len(state), 2)}
        self.sent = self._sealed
        self._numbered = []
        self._stuck = False

    def replay(self, index, kind, payload):
        if kind == _PACK:
            self._waiting += 1
            return
        fields = cbor.decode(payload)
        if kind == _SEALED:
            self._note_sealed(index, fields)
        elif kind == _ACK:
            self._note_ack(fields)
        elif kind == _MOVED:
            self._cursor, self.dropped, self._waiting, self.oldest = fields[:4]

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
