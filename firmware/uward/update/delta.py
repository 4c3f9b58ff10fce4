"""Delta updates (SPEC 5, ADR 0015): a patch against the image that runs, applied as it comes.

The source is only read, so a cut harms nothing. What a reset left of the new image stays: the
patch is fetched again, and skipped up to there without a look at the source.
"""

from uward import limits
from uward.codec import cbor
from uward.crypto._primitives import sha256
from uward.errors import CodecError, UpdateRefused
from uward.update.patch import Patch


def choose(encoded, image, first):
    """Parameter -5, the first 16 bytes of the running image's digest, blocks of the payload ->
    a map for `Writer`, or None when no patch starts from this image. UpdateRefused."""
    found = None
    try:
        deltas = cbor.decode(encoded)
        if not isinstance(deltas, list) or not 0 < len(deltas) <= limits.DELTAS:
            raise CodecError("deltas: expected 1..%d of them, got another" % limits.DELTAS)
        for delta in deltas:
            source, size, hashes, encryption = _parts(delta)
            if found is None and source[:16] == image:
                found = {"first": first, "size": size, "hashes": hashes, "sealed": encryption}
            first += len(hashes) // 16
    except CodecError as e:
        raise UpdateRefused("upd.malformed", "manifest: " + str(e)) from e
    return found


def _parts(delta):
    """-> source digest, size, block hashes, encryption-info or None."""
    if not isinstance(delta, list) or len(delta) != 4:
        raise CodecError("delta: expected four parts, got another")
    source, size, hashes, encryption = delta
    if not isinstance(source, bytes) or len(source) != 32:
        raise CodecError("delta: expected a SHA-256 digest of its source, got another")
    if type(size) is not int or not 0 < size <= limits.IMAGE_BYTES:
        raise CodecError("delta: expected 1..%d bytes, got another" % limits.IMAGE_BYTES)
    blocks = (size + limits.BLOCK_BYTES - 1) // limits.BLOCK_BYTES
    if not isinstance(hashes, bytes) or len(hashes) != 16 * blocks:
        raise CodecError("delta: expected %d block hashes, got another" % blocks)
    if encryption is not None and not isinstance(encryption, bytes):
        raise CodecError("delta: expected encryption-info in bytes, got another")
    return source, size, hashes, encryption


class Writer:
    """What `Download` fills: checks the blocks of a patch and applies it into a slot.

    slot: install.SlotWriter; delta: map of `choose`; source: path of the running image's file.
    """

    window = 1  # block under way: the next one is asked for when this one was applied

    def __init__(self, slot, delta, source, keks):
        self.slot = slot
        slot.keep = True
        self.version = slot.version
        self.first = self.next = delta["first"]
        self._size = delta["size"]
        self._hashes = delta["hashes"]
        self.blocks = self.first + len(self._hashes) // 16
        self._cipher = None
        if delta["sealed"] is not None:
            from uward.update import payload

            self._cipher = payload.cipher(delta["sealed"], keks or {})
        self._source = open(source, "rb")  # noqa: SIM115
        self._patch = Patch(self._source, slot.size, slot.kept, slot.append)
        self._work = None

    @property
    def busy(self):
        """A block is being applied."""
        return self._work is not None

    def write(self, index, data):
        """One block of the patch; `work` applies it. UpdateRefused `upd.bad_digest`."""
        inner = index - self.first
        size = min(limits.BLOCK_BYTES, self._size - inner * limits.BLOCK_BYTES)
        good = self._hashes[16 * inner : 16 * inner + 16]
        if index != self.next or len(data) != size or sha256(data).digest()[:16] != good:
            raise UpdateRefused(
                "upd.bad_digest", "block %d of a patch: expected its hash, got another" % index
            )
        data = bytearray(data)  # a view until now; `work` reads it later
        if self._cipher:
            self._cipher.crypt(data)
        self._work = self._patch.feed(data)
        self.next += 1

    def work(self):
        """Apply a part of the block. UpdateRefused when it is no patch of the running image."""
        try:
            next(self._work)
        except StopIteration:
            self._work = None
            if self.next == self.blocks:
                self._patch.finish()
                self.slot.whole()

    def close(self):
        """Keep what was written."""
        self._source.close()
        self.slot.close()

    def empty(self):
        """Give the slot's blocks back: the whole image is fetched in its place."""
        self._source.close()
        self.slot.empty()

    def cancel(self):
        """Give the slot's blocks back; nothing resumes."""
        self._source.close()
        self.slot.cancel()

    def finish_steps(self):
        """As the slot's."""
        self._source.close()
        return self.slot.finish_steps()
