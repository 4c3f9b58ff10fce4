"""A log that a later break cannot forge (S14; SPEC 10): each event has a MAC under a key that
exists in RAM only and is replaced after it; the head is a hash over all entries.
"""

from uward.codec import cbor
from uward.compat import const
from uward.crypto.hash import hmac, sha256

START = const(2)  # kind of an entry: a start key, as whoever reads the log knows it
EVENT = const(3)  # MAC | CBOR
MAC = const(16)  # bytes
_KEY = const(32)
_NAME = const(8)  # bytes of the start that tell one log from another


def mac(key, head, payload):
    """-> 16 bytes over an event and all that came before it."""
    return hmac(key, head + payload)[:MAC]


def following(key):
    """-> the key of the next event."""
    return sha256(b"uward audit" + key)


def joined(head, kind, payload):
    """-> the head after one more entry."""
    return sha256(head + bytes((kind,)) + payload)


class Chain:
    """The log of one boot: its entries travel as events (SPEC 8), the collector keeps them.

    Its few bytes are overwritten in place: nothing of it moves about on the heap (S20), and no
    key that was used stays there. count: entries so far, the start among them; 0 before it began.
    """

    def __init__(self):
        self.count = 0
        self._name = bytearray(_NAME)
        self._key = bytearray(_KEY)
        self._head = bytearray(_KEY)

    def begin(self, start, key):
        """start: bytes from which whoever reads the log finds the key of the first event."""
        self.count = 1
        self._name[:] = start[:_NAME]
        self._key[:] = key
        self._head[:] = joined(bytes(_KEY), START, start)

    def end(self):
        """The collector has lost what it knew: another chain begins later."""
        self.count = 0
        self._key[:] = bytes(_KEY)

    def seal(self, name, reason, when):
        """-> the proof of one event, [first 8 bytes of the start, number, when, MAC]; None before
        the log has begun. when: ms of uptime."""
        if not self.count:
            return None
        payload = cbor.encode([name, reason, when])
        tag = mac(self._key, self._head, payload)
        self._key[:] = following(self._key)
        self._head[:] = joined(self._head, EVENT, tag + payload)
        self.count += 1
        return [bytes(self._name), self.count, when, tag]
