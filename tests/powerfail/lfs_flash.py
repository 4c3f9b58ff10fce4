"""littlefs over a flash model on CPython: counts erases and programs, and takes the power away.

`Flash` is the chip, `Files` one mount of it: it has what device code asks of `os` and `open`.
`put_under(monkeypatch, files, module, ...)` gives it to device modules.
"""

import errno
import random
from collections import Counter

from littlefs import LittleFS, LittleFSError, UserContext, lfs

BLOCK = 4096
PAGE = 256
MODES = ("before", "half", "torn", "after")


class PowerCut(BaseException):
    """The power is gone; a BaseException, so that no handler of the code under test keeps it."""


class Flash(UserContext):
    """A chip of `blocks` blocks. cut: (operation from 1, mode) at which the power goes."""

    def __init__(self, blocks=64, image=None):
        super().__init__(buffer=bytearray(image or b"\xff" * blocks * BLOCK))
        self.blocks = len(self.buffer) // BLOCK
        self.operations = self.programs = 0
        self.erases = Counter()
        self.cut = None
        self.dead = False

    def image(self):
        return bytes(self.buffer)

    def prog(self, cfg, block, off, data):
        start = block * BLOCK + off
        self.programs += (len(data) + PAGE - 1) // PAGE
        return self._change(start, bytes(data))

    def erase(self, cfg, block):
        self.erases[block] += 1
        return self._change(block * BLOCK, b"\xff" * BLOCK)

    def read(self, cfg, block, off, size):
        start = block * BLOCK + off
        return self.buffer[start : start + size]

    def _change(self, start, new):
        if self.dead:
            return -errno.EIO
        self.operations += 1
        end = start + len(new)
        if self.cut is not None and self.cut[0] == self.operations:
            self.dead = True
            old = bytes(self.buffer[start:end])
            self.buffer[start:end] = _part(old, new, self.cut[1], self.operations)
            return -errno.EIO
        self.buffer[start:end] = new
        return 0


def _part(old, new, mode, seed):
    if mode == "before":
        return old
    if mode == "after":
        return new
    if mode == "half":
        middle = len(old) // 2
        return new[:middle] + old[middle:]
    mask = random.Random(seed).randbytes(len(old))
    return bytes((o & ~m) | (n & m) for o, n, m in zip(old, new, mask, strict=True))


def _number(error):
    if isinstance(error, LittleFSError):
        return -error.code
    kinds = {FileNotFoundError: errno.ENOENT, FileExistsError: errno.EEXIST}
    return kinds.get(type(error)) or error.errno


class Files:
    """One mount. Methods are those of `os` that device code uses, and `open`."""

    def __init__(self, flash):
        self.flash = flash
        self._lfs = LittleFS(
            context=flash,
            block_size=BLOCK,
            block_count=flash.blocks,
            read_size=32,
            prog_size=PAGE,
            cache_size=4 * PAGE,
            lookahead_size=32,
            block_cycles=100,
            mount=False,
        )

    def format(self):
        self._call(self._lfs.format)
        return self

    def mount(self):
        self._call(self._lfs.mount)
        return self

    def _call(self, function, *arguments, **options):
        try:
            result = function(*arguments, **options)
        except (LittleFSError, OSError) as error:
            if self.flash.dead:
                raise PowerCut from None
            raise OSError(_number(error), str(error)) from None
        if self.flash.dead:
            raise PowerCut
        return result

    def listdir(self, path="/"):
        return self._call(self._lfs.listdir, path)

    def mkdir(self, path):
        self._call(self._lfs.mkdir, path)

    def remove(self, path):
        self._call(self._lfs.remove, path)

    def rename(self, old, new):
        self._call(self._lfs.rename, old, new)

    def stat(self, path):
        found = self._call(self._lfs.stat, path)
        return (0x8000 if found.type == 1 else 0x4000, 0, 0, 0, 0, 0, found.size, 0, 0, 0)

    def statvfs(self, path):
        used = self._call(lambda: self._lfs.used_block_count)
        free = self.flash.blocks - used
        return (BLOCK, BLOCK, self.flash.blocks, free, free, 0, 0, 0, 0, 255)

    def open(self, path, mode="rb"):
        return _File(self, self._call(lfs.file_open, self._lfs.fs, path, mode))


class _File:
    """Closed once and by hand: littlefs aborts the process otherwise."""

    def __init__(self, files, handle):
        self._files = files
        self._handle = handle

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def _do(self, function, *arguments):
        return self._files._call(function, self._files._lfs.fs, self._handle, *arguments)

    def read(self, size=1 << 20):
        return self._do(lfs.file_read, size)

    def write(self, data):
        return self._do(lfs.file_write, bytes(data))

    def seek(self, offset, whence=0):
        return self._do(lfs.file_seek, offset, whence)

    def flush(self):
        self._do(lfs.file_sync)

    def close(self):
        if self._handle is not None and not self._files.flash.dead:
            handle, self._handle = self._handle, None
            self._files._call(lfs.file_close, self._files._lfs.fs, handle)


def put_under(monkeypatch, files, *modules):
    """Let device modules find `files` as their `open` and `os`."""
    for module in modules:
        monkeypatch.setattr(module, "open", files.open, raising=False)
        monkeypatch.setattr(module, "os", files, raising=False)
