"""Power cuts on the Unix port: a NOR flash in RAM under littlefs that dies at its Nth operation.

`sweep` runs a scenario with the cut at operation 1, 2, 3 ..., each time from the same flash, and
has `check` look at what a remount finds, until the scenario gets through. Runs on MicroPython.
"""

import gc
import sys

import vfs

BLOCK = 4096
_PROG = 256
_READ = 32
MODES = ("before", "half", "torn", "after")


class Cut(BaseException):
    """The power is gone; everything after it raises this, too. No handler keeps it."""


class Flash:
    """Block device over a bytearray: bits are cleared by programming, set by erasing a block."""

    def __init__(self, data):
        self.data = data
        self.left = None  # operations until the cut; None: no cut
        self.mode = "before"
        self.dead = False  # nothing is read or written any more, and no finaliser allocates
        self.operations = 0
        self._seed = 1

    def readblocks(self, number, buffer, offset=0):
        if self.dead:
            return -5  # EIO
        start = number * BLOCK + offset
        buffer[:] = self.data[start : start + len(buffer)]

    def writeblocks(self, number, buffer, offset=None):
        if self.dead:
            return -5  # EIO
        if offset is None:
            self._change(number * BLOCK, b"\xff" * BLOCK, True)
            offset = 0
        self._change(number * BLOCK + offset, buffer, False)

    def ioctl(self, operation, argument):
        if operation == 4:
            return len(self.data) // BLOCK
        if operation == 5:
            return BLOCK
        if operation == 6:
            self._change(argument * BLOCK, b"\xff" * BLOCK, True)
        return 0

    def _change(self, start, wanted, erase):
        if self.left is not None:
            if self.left <= 0:
                raise Cut
            self.left -= 1
        self.operations += 1
        old = self.data[start : start + len(wanted)]
        new = bytes(wanted if erase else map(_and, old, wanted))
        dies = self.left == 0
        if dies and self.mode == "before":
            new = old
        elif dies and self.mode == "half":
            new = new[: len(new) // 2] + old[len(new) // 2 :]
        elif dies and self.mode == "torn":
            new = bytes(map(_torn, old, new, self._noise(len(new))))
        self.data[start : start + len(new)] = new
        if dies:
            raise Cut

    def _noise(self, size):
        for _ in range(size):
            self._seed = self._seed * 1103515245 + 12345 & 0x7FFFFFFF
            yield self._seed >> 16 & 255


def _and(a, b):
    return a & b


def _torn(old, new, mask):
    return old & ~mask | new & mask


def free_root():
    """Modules move to /m0, /m1 ..., so that a flash can be mounted at `/`; before their import."""
    places = [place for place in sys.path if place.startswith("/")]
    vfs.umount("/")
    for i, place in enumerate(places):
        vfs.mount(vfs.VfsPosix(place), "/m%d" % i)
        sys.path[sys.path.index(place)] = "/m%d" % i


def blank(blocks):
    """Formatted flash of that many blocks."""
    flash = Flash(bytearray(b"\xff" * (blocks * BLOCK)))
    vfs.VfsLfs2.mkfs(flash, readsize=_READ, progsize=_PROG, lookahead=32)
    return flash.data


def powered(data, root, run, left=None, mode="before", hand=False):
    """Mount `data` at root and run; -> (what it returned or None, whether the power was cut).

    hand: give it the flash, too.
    """
    flash = Flash(data)
    flash.mode = mode
    vfs.mount(vfs.VfsLfs2(flash, readsize=_READ, progsize=_PROG, lookahead=32), root)
    flash.left = left
    result = None
    try:
        result = run(root, flash) if hand else run(root)
    except Cut:
        pass
    finally:
        flash.dead = True  # files that are still open
        vfs.umount(root)
        gc.collect()
    return result, flash.left == 0  # also when a handler of the code under test kept the Cut


def sweep(data, root, scenario, check, modes=MODES, step=1):
    """scenario(root) with a cut at each operation; check(root, done) after it. -> cuts made."""
    cuts = 0

    def _after(place):
        check(place, False)

    def _done(place):
        check(place, True)

    for mode in modes:
        at = 1
        while True:
            flash = bytearray(data)
            cut = powered(flash, root, scenario, at, mode)[1]
            powered(flash, root, _after if cut else _done)
            if not cut:
                break
            cuts += 1
            at += step
    return cuts
