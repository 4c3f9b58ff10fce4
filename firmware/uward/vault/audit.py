"""The audit log (SPEC 10; S14): events in order, which a later break cannot forge.

Each event carries a MAC under a key that exists in RAM only and is replaced after each event:
A' = SHA-256("uward audit" | A). Its start value is random per boot and is kept sealed to the
collector: `wrap(start key, 32 bytes) -> bytes`. The running hash over all events is the head,
which the collector witnesses; what is witnessed may make way.
"""

from struct import pack, unpack

from uward import limits
from uward.codec import cbor
from uward.compat import const
from uward.crypto.rng import random
from uward.errors import LimitError, ProtocolError, VaultFull
from uward.vault import chain
from uward.vault.journal import Journal, ignore

_WITNESS = const(4)  # u32: so many entries are known to the collector
_FORGOT = const(5)  # u32 entries that made way, u32 index below which they lay


class Audit:
    """folder, key, name, report, bits, create: see `Journal`; capacity: bytes of flash.

    count: entries so far; head: hash over them; witnessed: how many of them the collector has.
    left: what `leave` gave, instead of a mount: the rest is then not looked at.
    """

    def __init__(
        self,
        folder,
        key,
        wrap,
        name="audit",
        report=ignore,
        bits=128,
        create=False,
        capacity=limits.AUDIT_BYTES,
        left=None,
    ):
        self._wrap = wrap
        self._report = report
        self._most = max(2, capacity // limits.VAULT_SEGMENT)
        self._ratchet = None
        if left:
            self._journal, self._ratchet, state = left
            self._journal.attend(self, self._damaged)
            self.restore(state)
            return
        self._journal = Journal(folder, key, name, self, self._damaged, bits)
        self._journal.mount(create)

    def leave(self):
        """-> what another Audit takes as `left`: the log stays open while this code is dropped
        (S20)."""
        self._journal.attend(None, ignore)
        return self._journal, self._ratchet, self.snapshot()

    def begin(self):
        """Keep this boot's start key now, which needs heap for a point multiplication."""
        self._journal.settle()
        if self._ratchet is None:
            start = random(32)
            self._add(chain.START, self._wrapped(start))
            self._ratchet = start

    def append(self, event):
        """Keep one event (a CBOR value), durably -> its number, from 1.

        VaultFull when nothing that is witnessed can make way; that is reported as `log.full`.
        """
        payload = cbor.encode(event)
        self.begin()
        key, self._ratchet = self._ratchet, None  # a failed write begins with a new key
        self._add(chain.EVENT, chain.mac(key, self.head, payload) + payload)
        self._ratchet = chain.following(key)
        return self.count

    @property
    def oldest(self):
        """The number of the oldest entry that is kept, `count` + 1 when there is none."""
        return self._forgotten + 1

    def entries(self, after=0):
        """Yields (number, kind, payload) of what follows number `after`, for the collector: kind
        2 a wrapped start key, 3 an event. Nothing may be appended meanwhile."""
        number = self._forgotten
        for _, kind, payload in self._journal.records(self._from):
            if kind <= chain.EVENT:
                number += 1
                if number > after:
                    yield number, kind, payload

    def witness(self, number, head):
        """The collector has everything up to `number` and computed this head for it; less than
        before when it was restored from a backup. ProtocolError when there is no such number
        yet, or the head of the newest one differs.
        """
        self._journal.settle()
        if number > self.count or (number == self.count and head != self.head):
            raise ProtocolError("audit: expected head %d of this log, got another" % self.count)
        if number != self.witnessed:
            self._journal.append(_WITNESS, pack(">I", number), True)
            self.witnessed = number

    def verify(self):
        """Read everything -> whether all of it is as it was sealed; else it was reported."""
        return self._journal.verify()

    def _wrapped(self, start):
        wrapped = self._wrap(start)
        if len(wrapped) > limits.AUDIT_WRAPPED:
            raise LimitError("audit: expected a wrapped key <= %d bytes" % limits.AUDIT_WRAPPED)
        return wrapped

    def _add(self, kind, payload):
        journal = self._journal
        room = journal.room(len(payload))
        if journal.segments + (not room) > self._most and not self._make_way() and not room:
            self._report("log.full", journal.index, 1, "nothing witnessed can make way")
            raise VaultFull("audit: expected witnessed entries to make way, got none")
        journal.append(kind, payload)
        self._note(kind, payload)

    def _make_way(self):
        """Drop the oldest segment. -> False when not all that it holds is witnessed."""
        journal = self._journal
        forgotten = self._forgotten
        for index, kind, _ in journal.oldest():
            forgotten += kind <= chain.EVENT and index >= self._from
        if forgotten > self.witnessed:
            return False
        payload = pack(">II", forgotten, journal.start(1))
        journal.append(_FORGOT, payload, True)
        self._note(_FORGOT, payload)
        journal.drop()
        return True

    def _note(self, kind, payload):
        if kind == _WITNESS:
            self.witnessed = unpack(">I", payload)[0]
        elif kind == _FORGOT:
            self._forgotten, self._from = unpack(">II", payload)
        else:
            self.count += 1
            self.head = chain.joined(self.head, kind, payload)

    def _damaged(self, event, index, lost, reason):
        self._report("log.tamper", index, lost, reason)

    # What the journal asks of its client

    def snapshot(self):
        state = (self.count, self.witnessed, self._forgotten, self._from)
        return pack(">IIII", *state) + self.head

    def restore(self, snapshot):
        state = unpack(">IIII", snapshot[:16]) if snapshot else (0, 0, 0, 0)
        self.count, self.witnessed, self._forgotten, self._from = state
        self.head = snapshot[16:] or bytes(32)

    def replay(self, index, kind, payload):
        self._note(kind, payload)
