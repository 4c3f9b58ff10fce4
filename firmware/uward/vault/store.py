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

_PUT = const(2)  # u8 n, n x u32 place, those of deleted names last | CBOR [name, value, ...]
_PLACES = const(0x3FFFFFFF)  # what a small integer of MicroPython holds
_GONE = const(0x80000000)  # flag of a deleted name's place


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
        return default if found is None else found[0]

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
            if index < 0:
                continue
            try:
                places, pairs = self._open(index)
            except VaultTampered as e:
                self._report(e.event, index, 1, str(e))
                continue
            for i in range(0, len(pairs), 2):
                if self._index.get(places[i >> 1]) == index:
                    yield pairs[i], pairs[i + 1]

    def update(self, values, deleted=()):
        """Set all of `values` and delete the names `deleted`, or nothing at all.

        LimitError beyond STORE_KEYS, STORE_NAME or VAULT_RECORD; VaultFull without room.
        """
        self._journal.settle()
        names = list(values) + [name for name in deleted if name not in values]
        places = []
        for name in names:
            if type(name) is not str or not 0 < len(name.encode()) <= limits.STORE_NAME:
                raise LimitError("store: expected a name of 1..%d bytes" % limits.STORE_NAME)
            places.append(self._find(name, places, True)[0])
        if values:
            self._check_room(places)
        for i in range(len(values), len(names)):
            places[i] |= _GONE
        self._put(places, [item for pair in values.items() for item in pair], not values)
        try:
            self._clean()
        except VaultFull:
            pass  # of the file system: what was set is set, the next update cleans

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
        self._note(index, _places(payload))

    # Places

    def _find(self, name, taken=(), heal=False):
        """-> (place of a name, [value] or None). Names that hash alike take the next place.

        heal: a place whose record cannot be read is taken to be that of the name.
        """
        place = unpack(">I", sha256(name.encode())[:4])[0] & _PLACES
        while place in self._index or place in taken:
            index = self._index.get(place, -1)
            if index >= 0 and place not in taken:
                try:
                    pairs = self._open(index)[1]
                    for i in range(0, len(pairs), 2):
                        if pairs[i] == name:
                            return place, pairs[i + 1 : i + 2]
                except VaultTampered:
                    if not heal:
                        raise
                    return place, None
            place = place + 1 & _PLACES
        return place, None

    def _open(self, index):
        """-> (places, [name, value, ...]) of one record."""
        payload = self._journal.read(index)[1]
        return _places(payload), cbor.decode(payload[1 + 4 * payload[0] :])

    def _put(self, places, pairs, urgent):
        payload = bytes((len(places),)) + b"".join(pack(">I", place) for place in places)
        self._note(self._journal.append(_PUT, payload + cbor.encode(pairs), urgent), places)

    def _note(self, index, places):
        for place in places:
            if not place & _GONE:
                self._index[place] = index
            elif (place + 1) & _PLACES in self._index:
                self._index[place & _PLACES] = -1  # whoever follows must still be found
            else:
                self._index.pop(place & _PLACES, None)

    # Room

    def _check_room(self, taken):
        new = sum(1 for place in taken if place not in self._index)
        if len(self._index) + new > limits.STORE_KEYS or len(taken) > 255:
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
                places = _places(payload)
                alive = [i for i in range(len(places)) if self._index.get(places[i]) == index]
                if alive:
                    pairs = cbor.decode(payload[1 + 4 * len(places) :])
                    kept = [item for i in alive for item in pairs[2 * i : 2 * i + 2]]
                    self._put([places[i] for i in alive], kept, True)
            journal.drop()
        self._tight = journal.segments > limits.STORE_SEGMENTS


def _places(payload):
    return unpack(">%dI" % payload[0], payload[1 : 1 + 4 * payload[0]])
