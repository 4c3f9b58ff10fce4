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
from uward.crypto.hash import hmac, sha256
from uward.crypto.rng import random
from uward.errors import LimitError, ProtocolError, VaultFull
from uward.vault.journal import Journal, ignore

_START = const(2)  # a boot's start key, wrapped
_EVENT = const(3)  # MAC, 16 bytes | CBOR
_WITNESS = const(4)  # u32: so many entries are known to the collector
_MAC = const(16)


class Audit:
    """folder, key, name, report, bits, create: see `Journal`; capacity: bytes of flash.

    count: entries so far; head: hash over them; witnessed: how many of them the collector has.
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
    ):
        self._wrap = wrap
        self._report = report
        self._most = max(2, capacity // limits.VAULT_SEGMENT)
        self._ratchet = None
        self._journal = Journal(folder, key, name, self, report, bits)
        self._journal.mount(create)

    def append(self, event):
        """Keep one event (a CBOR value), durably -> its number, from 1.

        VaultFull when nothing that is witnessed can make way; that is reported as `log.full`.
        """
        payload = cbor.encode(event)
        self._journal.settle()
        if self._ratchet is None:
            start = random(32)
            self._add(_START, self._wrapped(start))
            self._ratchet = start
        mac = hmac(self._ratchet, self.head + payload)[:_MAC]
        self._ratchet = sha256(b"uward audit" + self._ratchet)
        self._add(_EVENT, mac + payload)
        return self.count

    def entries(self, after=0):
        """Yields (number, kind, payload) of what follows number `after`, for the collector: kind
        2 a wrapped start key, 3 an event. Nothing may be appended meanwhile."""
        number = self._oldest
        for _, kind, payload in self._journal.records():
            if kind != _WITNESS:
                number += 1
                if number > after:
                    yield number, kind, payload

    def witness(self, number, head):
        """The collector has everything up to `number` and computed this head for it.

        ProtocolError when there is no such number yet, or the head of the newest one differs.
        """
        self._journal.settle()
        if number > self.count or (number == self.count and head != self.head):
            raise ProtocolError("audit: expected head %d of this log, got another" % self.count)
        if number > self.witnessed:
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
        if not journal.room(len(payload)) and journal.segments >= self._most:
            self._make_way()
        journal.append(kind, payload)
        self._note(kind, payload)

    def _make_way(self):
        held = 0
        for _, kind, _ in self._journal.oldest():
            held += kind != _WITNESS
        if self._oldest + held > self.witnessed:
            self._report("log.full", self._journal.index, 1, "nothing witnessed can make way")
            raise VaultFull("audit: expected witnessed entries to make way, got none")
        self._oldest += held
        self._journal.drop()

    def _note(self, kind, payload):
        if kind == _WITNESS:
            self.witnessed = unpack(">I", payload)[0]
        else:
            self.count += 1
            self.head = sha256(self.head + bytes((kind,)) + payload)

    # What the journal asks of its client

    def snapshot(self):
        return pack(">III", self.count, self.witnessed, self._oldest) + self.head

    def restore(self, snapshot):
        self.count = self.witnessed = self._oldest = 0
        self.head = bytes(32)
        if snapshot:
            self.count, self.witnessed, self._oldest = unpack(">III", snapshot[:12])
            self.head = snapshot[12:]

    def replay(self, index, kind, payload):
        self._note(kind, payload)
