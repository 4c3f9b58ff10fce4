"""A dictionary that survives (SPEC 10): names -> CBOR values, sealed, several at once or none.

In RAM is one number a name: where its record lies. When there are too many segments, what is
alive in the oldest moves on and the segment goes.
"""

from struct import pack, unpack

from uward import limits
from uward.codec import cbor
from uward.compat import const
from uward.crypto.hash import sha256
from uward.errors import LimitError, VaultFull, VaultTampered
from uward.vault.journal import Journal, ignore

_PUT = const(2)  # [[place, name, value] or [place, name], ...]
_PLACES = const(0x3FFFFFFF)  # what a small integer of MicroPython holds


class Store:
    """folder, key, name, report, bits: see `Journal`. Names are str of <= 48 bytes."""

    def __init__(self, folder, key, name="store", report=ignore, bits=128, create=False):
        self._index = {}
        self._report = report
        self._tight = False
        self._journal = Journal(folder, key, name, self, report, bits)
        self._journal.mount(create)

    def get(self, name, default=None):
        """-> value. VaultTampered when its record is not what was sealed."""
        found = self._find(name)[1]
        return default if found is None else found[2]

    def set(self, name, value):
        self.update({name: value})

    def delete(self, name):
        """KeyError when there is no such name."""
        if self._index.get(self._find(name, heal=True)[0], -1) < 0:
            raise KeyError(name)
        self.update({}, (name,))

    def __contains__(self, name):
        return self._find(name)[1] is not None

    def __len__(self):
        return sum(1 for index in self._index.values() if index >= 0)

    def items(self):
        """Yields (name, value) in the order in which they were set. What cannot be read is
        reported and passed over. Nothing may be set meanwhile."""
        for index in sorted(set(self._index.values())):
            try:
                entries = self._entries(index)
            except VaultTampered as e:
                self._report(e.event, index, 1, str(e))
                continue
            for entry in entries:
                if self._index.get(entry[0]) == index:
                    yield entry[1], entry[2]

    def update(self, values, deleted=()):
        """Set all of `values` and delete the names `deleted`, or nothing at all.

        LimitError beyond STORE_KEYS, STORE_NAME or VAULT_RECORD; VaultFull without room.
        """
        self._journal.settle()
        entries = []
        taken = []
        for name in list(values) + [n for n in deleted if n not in values]:
            if type(name) is not str or not 0 < len(name.encode()) <= limits.STORE_NAME:
                raise LimitError("store: expected a name of 1..%d bytes" % limits.STORE_NAME)
            place = self._find(name, taken, True)[0]
            taken.append(place)
            entries.append([place, name, values[name]] if name in values else [place, name])
        if values:
            self._check_room(taken)
        index = self._journal.append(_PUT, cbor.encode(entries), not values)
        self._note(index, entries)
        self._clean()

    def verify(self):
        """Read everything -> whether all of it is as it was sealed; else it was reported."""
        return self._journal.verify()

    # What the journal asks of its client

    def snapshot(self):
        return b"".join(pack(">Ii", place, index) for place, index in self._index.items())

    def restore(self, snapshot):
        self._index.clear()
        for o in range(0, len(snapshot), 8):
            place, index = unpack(">Ii", snapshot[o : o + 8])
            self._index[place] = index

    def replay(self, index, kind, payload):
        self._note(index, cbor.decode(payload))

    # Places

    def _find(self, name, taken=(), heal=False):
        """-> (place of a name, its entry or None). Names that hash alike take the next place.

        heal: a place whose record cannot be read is taken to be that of the name.
        """
        place = unpack(">I", sha256(name.encode())[:4])[0] & _PLACES
        while place in self._index or place in taken:
            index = self._index.get(place, -1)
            if index >= 0 and place not in taken:
                try:
                    for entry in self._entries(index):
                        if entry[1] == name:
                            return place, entry
                except VaultTampered:
                    if not heal:
                        raise
                    return place, None
            place = place + 1 & _PLACES
        return place, None

    def _entries(self, index):
        return cbor.decode(self._journal.read(index)[1])

    def _note(self, index, entries):
        for entry in entries:
            if len(entry) == 3:
                self._index[entry[0]] = index
            elif entry[0] + 1 & _PLACES in self._index:
                self._index[entry[0]] = -1  # whoever follows must still be found
            else:
                self._index.pop(entry[0], None)

    # Room

    def _check_room(self, taken):
        new = sum(1 for place in taken if place not in self._index)
        if len(self._index) + new > limits.STORE_KEYS:
            raise LimitError("store: expected <= %d names, got more" % limits.STORE_KEYS)
        if self._tight:
            raise VaultFull("store: expected <= %d segments of values" % limits.STORE_SEGMENTS)

    def _clean(self):
        """Free the oldest segments while there are too many, each at most once."""
        journal = self._journal
        for _ in range(limits.STORE_SEGMENTS + 1):
            if journal.segments <= limits.STORE_SEGMENTS:
                self._tight = False
                return
            for index, _, payload in journal.oldest():
                entries = cbor.decode(payload)
                alive = [e for e in entries if self._index.get(e[0]) == index]
                if alive:
                    self._note(journal.append(_PUT, cbor.encode(alive), True), alive)
            journal.drop()
        self._tight = journal.segments > limits.STORE_SEGMENTS
