"""Delta updates on the device: patches applied in parts, into a slot, and what is refused."""

import os

from device_install import KEY, Site, prepare
from uward import limits
from uward.boot import store
from uward.crypto._primitives import sha256
from uward.errors import UpdateRefused
from uward.update import delta, patch


class Out:
    """Takes what a patch writes; the buffer is reused after each write."""

    def __init__(self):
        self.parts = []

    def __call__(self, view):
        self.parts.append(bytes(view))


def apply(source, data, size, skip=0, part=4096):
    """Files -> [digest of what was written, bytes written, steps, largest write] or a refusal."""
    out = Out()
    steps = 0
    try:
        with open(source, "rb") as old, open(data, "rb") as f:
            made = patch.Patch(old, size, skip, out)
            while True:
                piece = f.read(part)
                if not piece:
                    break
                for _ in made.feed(piece):
                    steps += 1
            made.finish()
    except UpdateRefused as e:
        return "%s: %s" % (e.event, e)
    whole = b"".join(out.parts)
    return [sha256(whole).digest().hex(), len(whole), steps, max(len(p) for p in out.parts)]


def apply_all(source, data, size, skips, part):
    return [apply(source, data, size, skip, part) for skip in skips]


def refusals(source, cases):
    """[[patch hex, size]] -> refusals."""
    out = []
    for data, size in cases:
        with open(source + ".case", "wb") as f:
            f.write(bytes.fromhex(data))
        out.append(apply(source, source + ".case", size))
    return out


def choices(cases):
    """[[parameter -5 in hex, image digest in hex, blocks]] -> what is chosen, or a refusal."""
    out = []
    for encoded, image, first in cases:
        try:
            found = delta.choose(bytes.fromhex(encoded), bytes.fromhex(image)[:16], first)
            out.append(found and [found["first"], found["size"], found["sealed"] is not None])
        except UpdateRefused as e:
            out.append("%s: %s" % (e.event, e))
    return out


class Run:
    """A slot that is filled by a patch of `old`, and what becomes of it."""

    def __init__(self, root, envelope, document, ids, keks):
        self.site = Site(root, envelope, document, ids)
        self.keks = keks
        self.root = root

    def open(self, patched=True):
        slot = self.site.open(self.keks)
        if not patched:
            return slot
        plan = self.site.plan
        found = delta.choose(plan.deltas, sha256(self.old()).digest()[:16], slot.blocks)
        keks = self.keks and {bytes.fromhex(k): bytes.fromhex(v) for k, v in self.keks}
        return delta.Writer(slot, found, self.root + "/slot/a.img", keks)

    def old(self):
        with open(self.root + "/slot/a.img", "rb") as f:
            return f.read()


def install_patch(root, envelope, document, ids, patch_path, keks=None, stop=None, flip=None):
    """Fill slot b from the patch in a file, with a reset after `stop` steps; flip: a byte of it.

    -> [bytes kept by the first writer, refusal, tries, digest of slot b, digest of slot a]
    """
    with open(patch_path, "rb") as f:
        data = bytearray(f.read())
    run = Run(root, envelope, document, ids, keks)
    writer = run.open()
    kept, refusal = None, ""
    try:
        steps = _fill(writer, data, stop)
        if stop is not None and steps >= stop:
            writer.slot.close()  # what a reset leaves when littlefs has flushed
            writer = run.open()
            kept = writer.slot.kept
            _fill(writer, data, None)
        for _ in writer.finish_steps():
            pass
    except UpdateRefused as e:
        refusal = "%s: %s" % (e.event, e)
    found = store.load(KEY, root)
    return [kept, refusal, found.tries, _digest(root, "b"), _digest(root, "a")]


def _fill(writer, data, stop):
    steps = 0
    while writer.next < writer.blocks or writer.busy:
        if not writer.busy:
            at = (writer.next - writer.first) * limits.BLOCK_BYTES
            writer.write(writer.next, bytes(data[at : at + limits.BLOCK_BYTES]))
        writer.work()
        steps += 1
        if stop is not None and steps >= stop:
            break
    return steps


def _digest(root, slot):
    with open(root + "/slot/%s.img" % slot, "rb") as f:
        return sha256(f.read()).digest().hex()


def fall_back(root, envelope, document, ids, patch_path, image_path):
    """A patch that does not make the image, then the whole image. -> as `install_patch`."""
    with open(patch_path, "rb") as f:
        data = f.read()
    run = Run(root, envelope, document, ids, None)
    writer = run.open()
    refusal = ""
    try:
        _fill(writer, data, None)
        for _ in writer.finish_steps():
            pass
    except UpdateRefused as e:
        refusal = "%s: %s" % (e.event, e)
        writer.empty()
    slot = run.open(False)
    kept = slot.kept
    with open(image_path, "rb") as f:
        for index in range(slot.blocks):
            slot.write(index, f.read(limits.BLOCK_BYTES))
    slot.finish()
    found = store.load(KEY, root)
    return [kept, refusal, found.tries, _digest(root, "b"), _digest(root, "a")]


def set_up(root, source):
    """A board whose slot a holds the image in a file."""
    prepare(root)
    with open(source, "rb") as f, open(root + "/slot/a.img", "wb") as to:
        while True:
            block = f.read(4096)
            if not block:
                break
            to.write(block)
    return os.stat(root + "/slot/a.img")[6]
