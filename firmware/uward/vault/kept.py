"""What a queue finds in flash: at its start, for a resend, and when it is an older one (SPEC 10).

The other half of `queue`, dropped when it is not needed (S20).
"""

from uward import limits
from uward.codec import cbor
from uward.compat import const
from uward.crypto.rng import random
from uward.errors import ProtocolError, VaultTampered
from uward.vault.packs import Entry
from uward.vault.queue import pack_of

_PACK = const(2)  # kinds, as in `queue`
_SEALED = const(3)
_ACK = const(4)
_MOVED = const(5)
_DATED = const(6)
_STREAM = const(7)
_NOWHERE = const(0x3FFFFFFF)
_FIELDS = const(9)  # of a snapshot, before the places of sealed packs


def restore(queue, snapshot):
    """Take over what a snapshot says, or begin: with a stream of its own."""
    state = cbor.decode(snapshot) if snapshot else [random(16), 0, 0, 0, 0, 0, 1, 0, []]
    queue.stream, queue.acknowledged, queue._sealed = state[:3]
    queue._cursor, queue.dropped, queue._waiting, queue.oldest = state[3:7]
    queue._since, queue._dates = state[7:_FIELDS]
    queue._places = {state[i]: state[i + 1] for i in range(_FIELDS, len(state), 2)}
    queue.sent = queue._sealed
    queue._numbered = []
    queue._stuck = False
    queue._copied = max(queue._places.values(), default=0)  # index of the newest sealed pack
    queue._newest = _NOWHERE
    queue.forget()


def replay(queue, index, kind, payload):
    """One record that was written after the snapshot."""
    if kind == _PACK:
        queue._waiting += 1
        queue._newest = index
        return
    fields = cbor.decode(payload)
    if kind == _SEALED:
        queue._note_sealed(index, fields)
    elif kind == _ACK:
        queue._note_ack(fields)
    elif kind == _MOVED:
        queue._cursor, queue.dropped, queue._waiting, queue.oldest = fields[:4]
    elif kind == _DATED:
        queue._note_dated(fields)
    elif kind == _STREAM:
        _begin_stream(queue, index, fields)


def latest(queue):
    """See `Queue.latest`."""
    for index in range(queue._journal.index - 1, queue._newest - 1, -1):
        kind, payload = queue._journal.read(index)
        if kind == _PACK:
            return queue._date_of(index)[0] + cbor.decode(payload)[1] // 1000
    return time_of(queue, 0)


def time_of(queue, when):
    """-> unix seconds at `when` ms of the uptime of the last boot that was dated."""
    return queue._date_of(queue._journal.index)[0] + when // 1000


def restart(queue):
    """A new stream; see `Queue.restart`."""
    _go_on(queue, [random(16), 0])


def adopt(queue, stream, sequence):
    """Go on with a stream whose packs up to `sequence` are committed and were never here.

    ProtocolError while packs of this queue are sent.
    """
    if queue.sent > queue.acknowledged:
        raise ProtocolError("adopt: expected no pack under way, got %d" % queue.sent)
    _go_on(queue, [stream, sequence])


def _go_on(queue, fields):
    _begin_stream(queue, queue._journal.append(_STREAM, cbor.encode(fields), True), fields)


def _begin_stream(queue, index, fields):
    queue.stream, sequence = fields
    queue._since = index
    if queue._numbered:
        queue._cursor = queue._numbered[0].index
    queue.acknowledged = queue._sealed = queue.sent = sequence
    queue.oldest = sequence + 1
    queue._places = {}
    queue._numbered = []
    queue.forget()


def holds(queue, purpose, when, index):
    """Whether a pack of this purpose and `when` lies at `index` or later."""
    for _, kind, payload in queue._journal.records(index):
        fields = pack_of(kind, payload)
        if fields and fields[:2] == [purpose, when]:
            return True
    return False


def following(queue, after):
    """The sealed entry that follows `after`; one that cannot be read is passed over."""
    while after < queue._sealed:
        if after + 1 not in queue._places:
            _find_places(queue, after)
        after = min((n for n in queue._places if n > after), default=queue._sealed)
        if after in queue._places:
            try:
                fields = cbor.decode(queue._journal.read(queue._places[after])[1])
            except VaultTampered as e:
                queue._report(e.event, e.index, 1, str(e))
                continue
            entry = Entry(fields[2], fields[3], b"", False)
            entry.sequence, entry.sealed = after, fields[4]
            return entry
    return queue.peek(queue._sealed)


def _find_places(queue, after):
    """Look for the sealed packs after `after`, at most QUEUE_WINDOW of them."""
    queue._places = {}
    for index, kind, payload in queue._journal.records(queue._since):
        if kind == _SEALED:
            sequence = cbor.decode(payload)[0]
            if sequence > after and len(queue._places) < limits.QUEUE_WINDOW:
                queue._places[sequence] = index
