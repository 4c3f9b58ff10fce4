"""Retirement (S15): nothing stays. Stage 0 does it, at every boot until it is done.

1. The mark `/rec/retire`: from here on it goes on after any cut, also without a key.
2. `/id` is removed, and every free block overwritten: the blocks of its folder and of each older
   copy of a key are free now (littlefs renames and relocates, but erases nothing by itself).
3. Every block of the file system is erased, the one with the superblock last. What is left by
   then is stage 0 and the record, which no key opens any more.

Where the block device cannot be had, 3 is: all else is removed, free blocks are overwritten again.
"""

import os

from uward import limits
from uward.compat import const

RETIRING = const(3)
_MARK = "/rec/retire"
_KEYS = "/id"
_FILL = "/rec/fill"
_REST = ("/vault", "/slot", "/trust", _FILL)
_FOLDER = const(0x4000)
_ENOENT = const(2)
_ENOSPC = const(28)
_BLOCKS = const(4)  # block device operations: count, erase
_ERASE = const(6)


def due(state, root=""):
    """Whether the board is being retired. state: that of the boot record."""
    return state == RETIRING or _exists(root + _MARK)


def run(feed, device=None, root=""):
    """Erase everything; feed() is called at least once a block. device: the block device of the
    file system, or None. OSError for a file system that cannot be written."""
    with open(root + _MARK, "wb") as f:
        f.write(b"\x01")
    _remove(root + _KEYS)
    overwrite_free(root, feed)
    if device is None:
        for path in _REST:
            _remove(root + path)
        overwrite_free(root, feed)
        return
    for number in range(device.ioctl(_BLOCKS, 0) - 1, -1, -1):
        device.ioctl(_ERASE, number)
        feed()


def overwrite_free(root, feed):
    """A file of zeros as long as there is a free block, then removed."""
    zeros = bytes(limits.BLOCK_BYTES)
    try:
        with open(root + _FILL, "wb") as f:
            while True:
                f.write(zeros)
                feed()
    except OSError as e:  # of a write, or of closing a file that found the flash full
        if e.args[0] != _ENOSPC:
            raise
    _remove(root + _FILL)


def _remove(path):
    """A file, or a folder with all that is in it; nothing when it is absent."""
    left = [path]
    while left:
        top = left[-1]
        try:
            folder = os.stat(top)[0] & _FOLDER
        except OSError as e:
            if e.args[0] != _ENOENT:
                raise
            left.pop()
            continue
        names = os.listdir(top) if folder else ()
        if names:
            left += [top + "/" + name for name in names]
            continue
        if folder:
            os.rmdir(top)
        else:
            os.remove(top)
        left.pop()


def _exists(path):
    try:
        os.stat(path)
        return True
    except OSError as e:
        if e.args[0] == _ENOENT:
            return False
        raise
