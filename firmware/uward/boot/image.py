"""Read-only VFS over a ROMFS file, and the way into stage 0 and out of it (S5).

This module is `/s0/image.mpy`: it runs before the package `uward` can be imported and stays while
the image runs, so it imports built-in modules only, and small is good.

ROMFS (MicroPython's extmod/vfs_rom.c): magic, then records of kind, length, payload, the first
two as variable-length integers; a file begins with its name, its data is a record. Ours begins
with the file `digests`, which says where each file lies and whether it is deflated (SPEC 2), so
that mounting reads nothing else.
"""

# ruff: noqa: E402
import sys

path = sys.path[:]
sys.path[:] = [".frozen"]  # built-in modules, without a search through the file system (13 ms)

import gc
import hashlib
import io
import struct

import deflate

sys.path[:] = path

_MAGIC = b"\xd2\xcd\x31"
_FILE = 5
_INDEX = b"\x07digests\x02"  # its name, and the kind of the data record that follows
_HEAD = 64  # bytes that hold the heads of its records
_COUNTS = ">HI"  # lines, bytes of names
_COUNTS_SIZE = 6
_ENTRY = ">II16s"  # offset in the image, stored size, SHA-256 of what is stored cut to 16 bytes
_ENTRY_SIZE = 24
_IS_FOLDER = 0xFFFFFFFF
_DEFLATED = 0x80000000  # bit of the size: raw DEFLATE
_WINDOW_BITS = 10
_IMAGE = "/rom"
_GARBAGE = 8192  # limits.GARBAGE, which cannot be imported yet


def _uint(data, o):
    """Variable-length integer, at most 5 bytes -> (value, next offset). ValueError beyond."""
    value = 0
    for i in range(o, o + 5):
        value = value << 7 | data[i] & 127
        if data[i] < 128:
            return value, i + 1
    raise ValueError("romfs: expected an integer of <= 5 bytes, got more")


class Image:
    """A mountable ROMFS. Each file is compared with its digest whenever it is opened.

    In RAM: `names`, a line for each path, and `table`, an entry for each line (52 B a file).
    ValueError for a file that is no image of ours, or has more than `most` files and folders.
    """

    def __init__(self, file, most=160):
        self.file = open(file, "rb")  # noqa: SIM115
        try:
            self._index(most)
        except IndexError:
            raise ValueError("romfs: expected a whole image, got a cut one") from None

    def _read(self, offset, size):
        self.file.seek(offset)
        return self.file.read(size)

    def _index(self, most):
        head = self._read(0, _HEAD)
        size, o = _uint(head, 3)
        if head[:3] != _MAGIC or o + size != self.file.seek(0, 2):
            raise ValueError("romfs: expected a whole ROMFS, got another file")
        kind = head[o]
        _, o = _uint(head, o + 1)
        if kind != _FILE or head[o : o + len(_INDEX)] != _INDEX:
            raise ValueError("romfs: expected `digests` first, got another record")
        size, o = _uint(head, o + len(_INDEX))
        lines, length = struct.unpack_from(_COUNTS, head, o)
        o += _COUNTS_SIZE
        if lines > most or _COUNTS_SIZE + length + lines * _ENTRY_SIZE != size:
            raise ValueError("romfs: expected <= %d files, got %d or another size" % (most, lines))
        self.names = self._read(o, length)
        self.table = self._read(o + length, lines * _ENTRY_SIZE)
        if self.names.count(b"\n") != lines + 1:
            raise ValueError("romfs: expected %d names, got another number" % lines)

    def _find(self, path):
        """Offset of a path's entry in the table, or -1."""
        at = self.names.find(b"\n" + path + b"\n")
        return at if at < 0 else self.names.count(b"\n", 0, at) * _ENTRY_SIZE

    def _entry(self, path):
        at = self._find(path)
        if at < 0:
            raise OSError(2)
        return struct.unpack_from(_ENTRY, self.table, at)

    def content(self, path):
        """A file as a stream. OSError ENOENT, or EIO when what is stored differs from its digest.

        A module is inflated as it is imported: what it was is never whole in RAM. How much comes
        out is what its signer put in, as with all that an image does.
        """
        offset, size, digest = self._entry(path)
        if size == _IS_FOLDER:
            raise OSError(2)
        data = self._read(offset, size & ~_DEFLATED)
        if len(data) != size & ~_DEFLATED or hashlib.sha256(data).digest()[:16] != digest:
            raise OSError(5)
        data = io.BytesIO(data)
        if size & _DEFLATED:
            return deflate.DeflateIO(data, deflate.RAW, _WINDOW_BITS)
        return data

    # What `vfs.mount` asks of an object. Paths are str, with or without the leading slash.

    def mount(self, readonly, mkfs):
        pass

    def umount(self):
        self.file.close()

    def open(self, path, mode):
        if mode not in ("r", "rb", "rt"):
            raise OSError(30)
        data = self.content(_clean(path))
        return data if mode == "rb" else io.StringIO(str(data.read(), "utf-8"))

    def stat(self, path):
        path = _clean(path)
        size = self._entry(path)[1] if path else _IS_FOLDER
        if size == _IS_FOLDER:
            return (0x4000, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        return (0x8000, 0, 0, 0, 0, 0, size & ~_DEFLATED, 0, 0, 0)

    def ilistdir(self, path):
        path = _clean(path) + b"/"
        for name in self.names.split(b"\n"):
            if name.startswith(path) and b"/" not in name[len(path) :]:
                kind = self.stat(str(name, "utf-8"))[0]
                yield (str(name[len(path) :], "utf-8"), kind, 0)

    def chdir(self, path):
        raise OSError(1)

    def getcwd(self):
        return "/"


def _clean(path):
    path = path.strip("/").encode()
    return b"/" + path if path else path


def boot():
    """Verify, leave stage 0 and start the image. -> its program, to be called; True: open the
    console (never in `locked`)."""
    info = _verify()
    del sys.modules["stage0"]
    gc.collect()
    info = {name: _copied(info[name]) for name in info}
    gc.threshold(_GARBAGE)
    if info["slot"] is None:
        sys.path[:] = [".frozen"]
        return True
    import vfs

    vfs.mount(Image(info["path"], info["files"]), _IMAGE)
    sys.path[:] = [_IMAGE, ".frozen"]
    from uward.boot import handover

    return handover.run(info)


def _verify():
    """Stage 0's verdict. Apart, so that no frame keeps stage 0 alive."""
    import stage0

    return stage0.run()


def _copied(value):
    """The same value at the low end of the heap: the old one lies in the middle of garbage."""
    if isinstance(value, bytes):
        return bytes(bytearray(value))
    return "%s" % value if isinstance(value, str) else value
