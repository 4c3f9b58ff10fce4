"""Download of one payload in numbered blocks over the session (SPEC 8): window and requests.

Blocks are written in order, so the window goes back to the first missing block: what comes
behind a gap is dropped and asked for again. Nothing is buffered but the block in hand.
"""

from uward import limits
from uward.codec import cbor
from uward.crypto import rng
from uward.errors import CodecError, UpdateRefused

_BEGIN = b"\x83\x48"  # an array of three, the first of them a payload id


class Window:
    """Which blocks to ask for, and when again. Times in ms of uptime. Pure.

    blocks: of the payload; start: the first one that is missing; size: blocks under way at most;
    shorter(ms): a random part of that time, so that a fleet does not ask again all at once.
    """

    def __init__(self, blocks, start=0, size=limits.DOWNLOAD_WINDOW, shorter=None):
        self.blocks = blocks
        self._size = size
        self._shorter = shorter
        self.next = start  # the block that is wanted now
        self._asked = start  # everything below was asked for
        self._deadline = None
        self._retries = 0
        self._gap = None  # block that was asked for again: the rest of that burst does not count

    @property
    def done(self):
        """Whether every block was taken."""
        return self.next >= self.blocks

    def ask(self, now):
        """-> (first, count) to request now, or None.

        Half of the window is asked for while the other half is on its way. After a time-out
        everything from the first missing block on; the wait doubles each time, and from the
        second on up to a half of it is left out.
        """
        if self._deadline is not None and now >= self._deadline:
            self._retries += 1
            self._gap = None
            self.again()
        ahead = self._asked - self.next
        if ahead * 2 > self._size:
            return None
        count = min(self._size - ahead, self.blocks - self._asked)
        if count <= 0:
            return None
        first = self._asked
        self._asked += count
        self._extend(now)
        return first, count

    def again(self):
        """Forget what was asked for: after a reconnection, a gap or a bad block."""
        self._asked = self.next
        self._deadline = None

    def expects(self, index):
        """Whether block `index` is the one to write now. A later one shows a gap, once."""
        if self.next < index < self._asked and self._gap != self.next:
            self.missed()
        return index == self.next

    def missed(self):
        """The wanted block was lost or bad: ask from there on again."""
        self._gap = self.next
        self.again()

    def took(self, now):
        """The wanted block was written."""
        self.next += 1
        self._retries = 0
        self._extend(now)

    def _extend(self, now):
        wait = limits.DOWNLOAD_WAIT_MS << min(self._retries, limits.DOWNLOAD_DOUBLINGS)
        if self._retries and self._shorter:
            wait -= self._shorter(wait // 2)
        self._deadline = None if self.done else now + wait


def block(data, payload):
    """`down/blk` -> (index, view of its bytes), or None when it belongs to another payload.

    What stands before the content is decoded, with the content's length in its place: a copy of
    4 KB a block would cost a tenth of the time, most of it in the garbage collector (S20).
    """
    view = memoryview(data)
    if bytes(view[:2]) != _BEGIN:
        raise CodecError("block: expected [payload id, index, bytes], got another")
    index = len(_BEGIN) + limits.PAYLOAD_ID
    content = _after(view, index)
    start = _after(view, content)
    if view[index] >> 5 or view[content] >> 5 != 2:
        raise CodecError("block: expected an index and bytes, got another type")
    head = bytearray(view[:start])
    head[content] &= 31  # its head as that of an unsigned integer
    name, number, size = cbor.decode(head)
    if size != len(view) - start:
        raise CodecError("block: expected %d bytes, got %d" % (size, len(view) - start))
    return (number, view[start:]) if name == payload else None


def _after(view, at):
    """-> where the head at `at` ends (RFC 8949 3); whether it is a good one, decoding says."""
    if at >= len(view):
        raise CodecError("block: expected more than %d bytes, got the end" % at)
    number = view[at] & 31
    return at + 1 + (1 << number - 24 if number > 23 else 0)


def _part(ms):
    """-> a random part of a time, 0 to all of it."""
    return int.from_bytes(rng.random(2), "big") * ms // 65535


class Download:
    """One payload on its way into a slot. payload: its id; writer: SlotWriter of `install`, or
    `delta.Writer`, which takes one block after the other while it is not busy."""

    def __init__(self, writer, payload):
        self.payload = payload
        self.writer = writer
        self.window = Window(writer.blocks, writer.next, writer.window, _part)
        self._bad = 0

    def feed(self, data, now):
        """One `down/blk`. -> True when a block was written.

        A block that does not match its signed hash is asked for again; UpdateRefused
        (`upd.bad_digest`) after limits.BAD_BLOCKS of them.
        """
        got = block(data, self.payload)
        if got is None or self.writer.busy or not self.window.expects(got[0]):
            return False
        try:
            self.writer.write(got[0], got[1])
        except UpdateRefused:
            self._bad += 1
            if self._bad >= limits.BAD_BLOCKS:
                raise
            self.window.missed()
            return False
        self.window.took(now)
        return True

    def request(self, now):
        """-> body of an `up/ota` message, or None."""
        if self.writer.busy:
            return None
        wanted = self.window.ask(now)
        return None if wanted is None else ["get", self.payload, wanted[0], wanted[1]]
