"""Readings and events until the collector has committed them: in RAM, bounded by bytes.

A pack gets its sequence number when it is first looked at for sending, so that what the declared
overflow policy drops never leaves a gap. Acknowledged packs stay until their space is needed:
a collector that was restored from a backup may ask again (S12).

Overflow: acknowledged packs go first, then the oldest pack that is neither numbered nor critical;
if there is none, the new one is refused. `dropped` counts what was lost. In RAM only the last
limits.OUTBOX_KEPT acknowledged ones stay: old packs between new ones leave no large block free.
"""

from uward import lazy, limits
from uward.errors import ProtocolError
from uward.vault.packs import Entry


class Outbox:
    """stream: 16 random bytes, made with the outbox; entries: what is kept, oldest first."""

    def __init__(self, stream, capacity=limits.OUTBOX_BYTES):
        self.stream = stream
        self.capacity = capacity
        self.dropped = 0
        self.acknowledged = 0
        self.sent = 0  # highest sequence handed out
        self.entries = []
        self._used = 0

    def append(self, purpose, when, body, critical=False):
        """Keep one pack. -> False when it was refused because nothing could make way."""
        entry = Entry(purpose, when, body, critical)
        if not self._make_room(entry.size):
            self.dropped += 1
            return False
        self.entries.append(entry)
        self._used += entry.size
        return True

    def _make_room(self, size):
        if size > self.capacity:
            return False
        while self._used + size > self.capacity:
            victim = self._victim()
            if victim is None:
                return False
            self.remove(victim)
        return True

    def _victim(self):
        for i, entry in enumerate(self.entries):
            if entry.sequence:
                if entry.sequence <= self.acknowledged:
                    return i
            elif not entry.critical:
                self.dropped += 1
                return i
        return None

    def remove(self, index):
        """Forget one entry."""
        self._used -= self.entries[index].size
        del self.entries[index]

    def peek(self, after):
        """The entry that follows sequence `after`, numbered; None when there is none to send.

        At most limits.WINDOW_PACKS entries are numbered beyond what is acknowledged.
        """
        for entry in self.entries:
            if entry.sequence == 0:
                if self.sent - self.acknowledged >= limits.WINDOW_PACKS:
                    return None
                self.sent += 1
                entry.sequence = self.sent
            if entry.sequence > after:
                return entry
        return None

    def seal(self, entry, sealed):
        """Exchange the body for its sealed bytes: from now on those are sent, unchanged (S12)."""
        entry.sealed = sealed
        entry.body = b""

    def acknowledge(self, sequence):
        """Everything up to `sequence` is committed. ProtocolError beyond what was sent."""
        if sequence > self.sent:
            raise ProtocolError("ack: expected <= %d, got %d" % (self.sent, sequence))
        if sequence > self.acknowledged:
            self.acknowledged = sequence
        kept = sequence - limits.OUTBOX_KEPT
        while self.entries and 0 < self.entries[0].sequence <= kept:
            self.remove(0)

    def rewind(self, sequence):
        """The collector has only up to `sequence`: offer again what is still kept."""
        if sequence > self.sent:
            raise ProtocolError("ack: expected <= %d, got %d" % (self.sent, sequence))
        self.acknowledged = min(self.acknowledged, sequence)

    def gather(self):
        """Copy the entries, one by one, to the lowest holes of the heap (S20)."""
        for i, old in enumerate(self.entries):
            entry = Entry(old.purpose, old.when, lazy.again(old.body), old.critical)
            entry.size, entry.sequence = old.size, old.sequence
            entry.sealed = lazy.again(old.sealed)
            self.entries[i] = entry

    def pending(self):
        """How many packs wait for their acknowledgement or for being sent."""
        return sum(1 for e in self.entries if not 0 < e.sequence <= self.acknowledged)

    @property
    def oldest(self):
        """The lowest sequence that can still be sent: what is missing below it is lost."""
        for entry in self.entries:
            if entry.sequence:
                return entry.sequence
        return self.sent + 1
