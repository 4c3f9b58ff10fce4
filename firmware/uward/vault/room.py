"""Room in the outbox: segments that made their way out, and what of them has to stay.

The other half of `queue`, needed once a segment and dropped afterwards (S20).
"""

from uward import limits
from uward.codec import cbor
from uward.compat import const
from uward.errors import VaultFull
from uward.vault.queue import pack_of

_SEALED = const(3)  # kinds, as in `queue`
_MOVED = const(5)
_SLACK = const(2)  # segments beyond the capacity that moved and sealed packs may take
_SENDING = const(3)  # times the capacity while packs are sent


def make(queue, size):
    """Whether a pack of `size` bytes may be appended; the oldest segments make way.

    While packs are sent, their sealed copies take room at the end before the beginning is free:
    then nothing is dropped, since the oldest is what is sent next, as long as flash has room.
    """
    journal = queue._journal
    sending = _sends(queue)
    for _ in range(queue._most):
        if queue._fits(size):
            return True
        if queue._stuck or not _trim(queue, queue._drop and not sending):
            break
    grown = journal.segments < _SENDING * queue._most
    if sending and grown and journal.spare() >= limits.QUEUE_SPARE:
        return True
    queue._stuck = journal.segments > queue._most + _SLACK or not journal.room(size)
    return not queue._stuck


def _sends(queue):
    """Whether a sealed copy is among the two newest segments, and more is to be sent."""
    journal = queue._journal
    return queue._copied >= journal.start(max(0, journal.segments - 2))


def tidy(queue):
    """Free what is acknowledged while sealed copies take more than the capacity."""
    try:
        for _ in range(queue._most):
            if queue._journal.segments <= queue._most or not _trim(queue, False):
                break
    except VaultFull:
        pass  # of the file system: the next one tidies


def _trim(queue, drop):
    """Free the oldest segment: what must be kept moves on. -> False when it has to stay."""
    journal = queue._journal
    end = journal.start(1)
    if queue._numbered and queue._numbered[0].index < end:
        return False
    if not drop and queue._cursor < end and queue._waiting > len(queue._numbered):
        return False
    dropped = queue.dropped
    queue.forget()
    for index, kind, payload in journal.oldest():
        fields = pack_of(kind, payload)
        if kind == _SEALED:
            _move_sealed(queue, cbor.decode(payload)[0], index, payload)
        elif fields and index >= queue._cursor:
            queue._cursor = index + 1
            if fields[2]:
                dated = fields[:4] + (fields[4:] or queue._date_of(index))
                journal.append(_MOVED, cbor.encode(queue._state() + dated), True)
            else:
                queue.dropped += 1
                queue._waiting -= 1
    queue._cursor = max(queue._cursor, end)
    journal.append(_MOVED, cbor.encode(queue._state()), True)
    journal.drop()
    if queue.dropped > dropped:
        queue._report("out.dropped", end, queue.dropped - dropped, "the oldest made way")
    return True


def _move_sealed(queue, sequence, index, payload):
    if index < queue._since:
        return  # of a stream that is over
    if sequence <= queue.acknowledged:
        queue.oldest = max(queue.oldest, sequence + 1)
    elif queue._places.get(sequence, index) == index:  # else it has moved before a cut
        queue._places[sequence] = queue._journal.append(_SEALED, payload, True)
