"""How new code gets in (S1, S2, S6): a release is judged, then written into the other slot.

`judge` is pure. `SlotWriter` survives a reset at any point: `/slot/dl.suit` names what is being
written, the size of the slot's file says how far it is.
"""

import os
from hashlib import sha1

from uward import limits
from uward.boot import slots, store
from uward.crypto._primitives import sha256
from uward.errors import BadDigest, CodecError, CryptoError, UpdateRefused

DOWNLOAD = "/slot/dl.suit"


def device_identifier(klass, device):
    """UUIDv5(class id, device id), 16 bytes (SPEC 1)."""
    raw = bytearray(sha1(klass + device.encode()).digest()[:16])
    raw[6] = raw[6] & 0x0F | 0x50
    raw[8] = raw[8] & 0x3F | 0x80
    return bytes(raw)


def judge(data, document, identity, record, running):
    """Envelope bytes, trust document in force, who we are and when -> (Envelope, Plan).

    identity: decide.Identity with device identifier and `now`; record: the boot record;
    running: slot number, or slots.RECOVERY. Raises UpdateRefused with its event (S1: only here).
    """
    envelope, plan = examine(data, document, identity)
    slots.judge(record, envelope.digest, plan.sequence, plan.security)
    if running != slots.RECOVERY and slots.names(record.slots[running], envelope.digest):
        raise UpdateRefused("upd.rollback", "manifest: expected another release, got this one")
    return envelope, plan


def examine(data, document, identity):
    """What does not depend on what runs: signatures, target, times. As `judge`."""
    from uward.trust import anchors, decide, suit  # not kept while blocks come (S20)

    if identity.now is None or identity.device is None:
        raise UpdateRefused("upd.refused", "install: expected a proved time and a device id")
    try:
        envelope = suit.parse(data)
        _check_fresh(document, identity.now)
        anchors.release(document, envelope)
        plan = decide.install(envelope, identity)
    except UpdateRefused:
        raise
    except BadDigest as e:
        raise UpdateRefused("upd.bad_digest", str(e)) from e
    except CodecError as e:
        raise UpdateRefused("upd.malformed", str(e)) from e
    except CryptoError as e:
        raise UpdateRefused("upd.bad_sig", str(e)) from e
    return envelope, plan


def _check_fresh(document, now):
    if now > document.expires:
        raise UpdateRefused(
            "upd.expired",
            "trust document %d: expected time <= %d, now %d"
            % (document.version, document.expires, now),
        )


class SlotWriter:
    """Writes a judged payload, block by block, in order: `blocks` of them, `next` is wanted.

    keks: {kid: KEK} for an encrypted payload; root: prefix of all paths, for tests.
    """

    first = 0  # block that the payload begins with
    busy = False  # a block is written before `write` returns
    keep = False  # whether the envelope stays when the image is not the one that it names
    window = limits.DOWNLOAD_WINDOW

    def __init__(self, data, judged, record, key, running, keks=None, root=""):
        envelope, plan = judged  # not kept: their classes would keep their modules (S20)
        self.digest = envelope.digest
        self.version = plan.version
        self._image = plan.digest
        self.size = plan.size
        self._hashes = plan.hashes
        self._record = record
        self._key = key
        self._root = root
        self._cipher = None
        self.blocks = len(plan.hashes) // 16
        if plan.encryption is not None:
            from uward.update import payload

            self._cipher = payload.cipher(plan.encryption, keks or {})
        self.slot = slots.target(record, running)
        self._path = root + "/slot/%s.img" % slots.NAMES[self.slot]
        self._envelope = root + "/slot/%s.suit" % slots.NAMES[self.slot]
        self.next = self.kept = 0  # kept: bytes of the image that are in the file
        if not self._resume(data):
            self._begin(data, running)
        if self._cipher and self.next:
            start = self.next * (limits.BLOCK_BYTES // 16)
            self._cipher = payload.cipher(plan.encryption, keks, start)
        self._file = open(self._path, "ab")  # noqa: SIM115
        self._flushes = 0  # the first flush of which more than `kept` will be there
        while _flushed(self._flushes) <= self.kept:
            self._flushes += 1

    def _resume(self, data):
        """Go on where flash ends, when the same envelope was being written (S21).

        Or at the end, when a cut came between the last rename and the boot record.
        """
        if self._record.owned[self.slot]:
            return False
        named = _read(self._root + DOWNLOAD)
        try:
            size = os.stat(self._path)[6]
        except OSError:
            return False
        if not named and size == self.size and _read(self._envelope) == data:
            os.rename(self._envelope, self._root + DOWNLOAD)
        elif named != data:
            return False
        if size > self.size:
            return False
        self.kept = size
        self.next = self.blocks if size == self.size else size // limits.BLOCK_BYTES
        return True

    def _begin(self, data, running):
        """Disown the slot in the record, truncate it, name what is coming: in this order."""
        from uward.update import starts  # not needed while blocks come (S20)

        starts.count(self.digest, self._root)
        slots.begin_install(self._record, running)
        store.save(self._record, self._key, self._root)
        with open(self._path, "wb"):
            pass  # closed: the old blocks are free
        with open(self._root + DOWNLOAD, "wb") as f:
            f.write(data)

    def write(self, index, data):
        """One block as transferred. UpdateRefused `upd.bad_digest` before anything is written.

        Of the first one what an earlier writer left of it is not written again.
        """
        size = min(limits.BLOCK_BYTES, self.size - index * limits.BLOCK_BYTES)
        if index != self.next or len(data) != size:
            raise UpdateRefused(
                "upd.bad_digest",
                "block: expected %d with %d bytes, got %d with %d"
                % (self.next, size, index, len(data)),
            )
        if sha256(data).digest()[:16] != self._hashes[16 * index : 16 * index + 16]:
            raise UpdateRefused(
                "upd.bad_digest", "block %d: expected its hash, got another" % index
            )
        if self._cipher:
            data = bytearray(data)
            self._cipher.crypt(data)
        self.append(memoryview(data)[self.kept - index * limits.BLOCK_BYTES :])
        self.next += 1

    def append(self, data):
        """A view of the image's next bytes, wherever they come from: `finish` judges the whole."""
        room = _flushed(self._flushes) - self.kept
        self._file.write(data[:room])
        if len(data) >= room:
            self._file.flush()
            self._flushes += 1
            self._file.write(data[room:])
        self.kept += len(data)

    def whole(self):
        """Everything was appended."""
        self.next = self.blocks

    def close(self):
        """Keep what was written; a later writer resumes there."""
        self._file.close()

    def finish(self):
        """Check the whole image in flash, then make it the next boot's trial."""
        for _ in self.finish_steps():
            pass

    def finish_steps(self):
        """`finish` as a generator: each step reads one block, so that sensing goes on (S18)."""
        self.close()
        if self.next != self.blocks:
            raise UpdateRefused(
                "upd.bad_digest", "image: expected %d blocks, got %d" % (self.blocks, self.next)
            )
        digest = sha256()
        with open(self._path, "rb") as f:
            while True:
                block = f.read(limits.BLOCK_BYTES)
                if not block:
                    break
                digest.update(block)
                yield
        if digest.digest() != self._image:
            if self.keep:
                self.empty()
            else:
                self.cancel()
            raise UpdateRefused("upd.bad_digest", "image: expected its digest, got another")
        os.rename(self._root + DOWNLOAD, self._envelope)
        slots.installed(self._record, self.slot, self.digest, self._image)
        store.save(self._record, self._key, self._root)

    def empty(self):
        """Give the slot's blocks back; a later writer begins with the first one."""
        self._file.close()
        with open(self._path, "wb"):
            pass

    def cancel(self):
        """Give the slot's blocks back; nothing resumes."""
        self.empty()
        try:
            os.remove(self._root + DOWNLOAD)
        except OSError:
            pass  # it was not there


def _flushed(count):
    """-> bytes of a file at its flush number `count`, from 0: they fill blocks of littlefs.

    Block n > 0 begins with a pointer of 4 bytes and one more for each trailing zero of n (SPEC of
    littlefs, CTZ skip-lists): 2n - ones(n) up to n. What is flushed inside a block is copied by
    the next append, into a block that is erased for it.
    """
    last = (count + 1) * limits.FLUSH_BLOCKS - 1
    ones, n = 0, last
    while n:
        ones += n & 1
        n >>= 1
    return (last + 1) * limits.BLOCK_BYTES - 4 * (2 * last - ones)


def pending(root=""):
    """-> bytes of the envelope whose download a reset interrupted, or b""."""
    return _read(root + DOWNLOAD)


def _read(path):
    """-> bytes of an envelope; b"" when there is none or it is none of ours by its size."""
    try:
        size = os.stat(path)[6]
        if size > limits.ENVELOPE_BYTES:
            return b""
        with open(path, "rb") as f:
            return f.read(size)
    except OSError:
        return b""
