"""The boot record (SPEC 6; S2, S3): 200 authenticated bytes, two copies. Pure."""

import struct

from uward import limits
from uward.compat import const
from uward.crypto.hash import equal, hmac
from uward.errors import BootRefused

SIZE = const(200)
DEVELOPMENT = const(1)
LOCKED = const(2)
RETIRING = const(3)

_FORM = ">4sIBBBBIII32s16s16sI16s16s16sI16s8s8s8s"
_MAGIC = b"uWR1"
_BODY = const(184)
DIGEST = const(16)  # bytes that are kept of a digest
# of a slot: manifest digest, image digest, trust version, digest of that document; each cut to 16
EMPTY = (bytes(16), bytes(16), 0, bytes(16))
_NONE = bytes(8)


class Record:
    """What the record says. `slots`: two tuples like EMPTY; `failed`: three digests cut to 8.

    `copy` is the file that it was read from: the other one is written next.
    """

    def __init__(self, state, trust_version, trust_digest):
        self.generation = 0
        self.state = state
        self.active = 0
        self.tries = 0
        self.owned = [False, False]
        self.confirmed = [False, False]
        self.floor = 0
        self.sequence = 0
        self.trust_version = trust_version
        self.trust_digest = trust_digest
        self.slots = [EMPTY, EMPTY]
        self.failed = [_NONE] * 3
        self.copy = 1


def pack(record, key):
    """-> 200 bytes, authenticated by `key` (K_record, 32 bytes)."""
    flags = record.owned[0] | record.owned[1] << 1
    flags |= record.confirmed[0] << 2 | record.confirmed[1] << 3
    body = struct.pack(
        _FORM,
        _MAGIC,
        record.generation,
        record.state,
        record.active,
        record.tries,
        flags,
        record.floor,
        record.sequence,
        record.trust_version,
        record.trust_digest,
        *record.slots[0],
        *record.slots[1],
        *record.failed,
    )
    return body + hmac(key, body)[:16]


def unpack(data, key):
    """200 bytes -> Record. Raises BootRefused: size, MAC, form or a value out of range."""
    if len(data) != SIZE:
        raise BootRefused("record: expected %d bytes, got %d" % (SIZE, len(data)))
    if not equal(hmac(key, data[:_BODY])[:16], data[_BODY:]):
        raise BootRefused("record: expected a MAC of this board, got another")
    fields = struct.unpack(_FORM, data[:_BODY])
    flags = fields[5]
    if fields[0] != _MAGIC or not DEVELOPMENT <= fields[2] <= RETIRING:
        raise BootRefused("record: expected format uWR1 in state 1..3, got another")
    if fields[3] > 1 or fields[4] > limits.TRIAL_TRIES or flags > 15:
        raise BootRefused("record: expected slot, tries and flags in range, got others")
    record = Record(fields[2], fields[8], fields[9])
    record.generation = fields[1]
    record.active = fields[3]
    record.tries = fields[4]
    record.owned = [bool(flags & 1), bool(flags & 2)]
    record.confirmed = [bool(flags & 4), bool(flags & 8)]
    record.floor = fields[6]
    record.sequence = fields[7]
    record.slots = [fields[10:14], fields[14:18]]
    record.failed = list(fields[18:21])
    return record


def choose(copies, key):
    """The valid copy of the highest generation, with the highest floor of any valid one (S3).

    copies: what the two files hold, b"" for none. BootRefused when none is valid: never defaults.
    """
    best = None
    floor = 0
    refusals = []
    for i in range(len(copies)):
        try:
            record = unpack(copies[i], key)
        except BootRefused as e:
            refusals.append(str(e))
            continue
        record.copy = i
        floor = max(floor, record.floor)
        if best is None or record.generation > best.generation:
            best = record
    if best is None:
        raise BootRefused("; ".join(refusals))
    best.floor = floor
    return best
