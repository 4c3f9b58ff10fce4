"""Read-only VFS over a ROMFS file, and the way into stage 0 and out of it (S5).

This module is `/s0/image.mpy`: it runs before the package `uward` can be imported and stays while
the image runs, so it imports built-in modules only, and small is good.

ROMFS (MicroPython's extmod/vfs_rom.c): magic, then records of kind, length, payload, the first
two as variable-length integers; a folder or file begins with its name, a file's data is a record.
"""

# ruff: noqa: E402
import sys

path = sys.path[:]
sys.path[:] = [".frozen"]  # built-in modules, without a search through the file system (13 ms)

import gc
import hashlib
import io
import struct

sys.path[:] = path

_MAGIC = b"\xd2\xcd\x31"
_DATA = 2
_FOLDER = 4
_FILE = 5
_HEAD = 96  # bytes that hold any record's head and name
_NAME = 64  # bytes of a name
_ENTRY = "<II16s"  # offset, size, SHA-256 of the content cut to 16 bytes
_ENTRY_SIZE = 24
_IS_FOLDER = 0xFFFFFFFF
_NO_DIGEST = bytes(16)
_IMAGE = "/rom"
_HELD = 65536  # bytes in one block for TLS (24 KB) and work (40 KB); what stays is beside it: S20
_GARBAGE = 8192  # bytes allocated between two collections, so that what stays lies close together

held = None


def _uint(data, o):
    """Variable-length integer, at most 5 bytes -> (value, next offset). ValueError beyond."""
    value = 0
    for i in range(o, o + 5):
        value = value << 7 | data[i] & 127
        if data[i] < 128:
            return value, i + 1
    raise ValueError("romfs: expected an integer of <= 5 bytes, got more")


class Image:
    """A mountable ROMFS. sealed: each file is compared with `/digests` whenever it is opened.

    In RAM: `names`, a line for each path, and `table`, an entry for each line (52 B a file).
    ValueError for a file that is no ROMFS, or has more than `most` files.
    """

    def __init__(self, file, sealed=True, most=160):
        self.file = open(file, "rb")  # noqa: SIM115
        self.names = bytearray(b"\n")
        self.table = bytearray()
        self.most = most
        self.sealed = False
        try:
            self._index()
            self.names = bytes(self.names)
            if sealed:
                self._seal()
        except IndexError:
            raise ValueError("romfs: expected a whole image, got a cut one") from None

    def _read(self, offset, size):
        self.file.seek(offset)
        return self.file.read(size)

    def _index(self):
        total = self.file.seek(0, 2)
        head = self._read(0, _HEAD)
        size, o = _uint(head, 3)
        if head[:3] != _MAGIC or o + size != total:
            raise ValueError("romfs: expected a ROMFS of %d bytes, got another" % total)
        folders = [(total, b"")]  # where each open folder ends, and its path
        while folders:
            end, prefix = folders[-1]
            if o == end:
                folders.pop()
                continue
            head = self._read(o, _HEAD)
            kind = head[0]
            size, i = _uint(head, 1)
            stop = o + i + size
            if stop > end:
                raise ValueError("romfs: expected records inside their folder, got one beyond")
            if kind in (_FOLDER, _FILE):
                i += 1
                size = head[i - 1]
                name = head[i : i + size]
                if not 0 < size <= _NAME or b"\n" in name or b"/" in name:
                    raise ValueError("romfs: expected a name of 1..64 bytes, got another")
                name = prefix + b"/" + name
                i += size
                if kind == _FOLDER:
                    self._add(name, 0, _IS_FOLDER)
                    folders.append((stop, name))
                    o += i
                    continue
                size, at = _uint(head, i + 1)
                if head[i] != _DATA or o + at + size != stop:
                    raise ValueError("romfs: expected a file of one data record, got another")
                self._add(name, o + at, size)
            o = stop

    def _add(self, name, offset, size):
        self.most -= 1
        if self.most < 0:
            raise ValueError("romfs: expected fewer files, got one too many")
        self.names.extend(name + b"\n")
        self.table.extend(struct.pack(_ENTRY, offset, size, _NO_DIGEST))

    def _find(self, path):
        """Offset of a path's entry in the table, or -1."""
        at = self.names.find(b"\n" + path + b"\n")
        return at if at < 0 else self.names.count(b"\n", 0, at) * _ENTRY_SIZE

    def _seal(self):
        """Take the digests from /digests: CBOR [[path, 16 bytes], ...] (SPEC 2)."""
        data = self.content(b"/digests")
        o = 1 + (1 << data[0] - 0x98) if data[0] >= 0x98 else 1
        while o < len(data):
            size = data[o + 1] - 0x60
            o += 2
            if size == 0x18:
                size = data[o]
                o += 1
            path = data[o : o + size]
            o += size + 17
            at = self._find(path)
            if o > len(data) or data[o - 17] != 0x50 or at < 0:
                raise ValueError("romfs: expected digests of 16 bytes of its files, got another")
            self.table[at + 8 : at + 24] = data[o - 16 : o]
        self.sealed = True

    def _entry(self, path):
        at = self._find(path)
        if at < 0:
            raise OSError(2)
        return struct.unpack_from(_ENTRY, self.table, at)

    def content(self, path):
        """The bytes of a file. OSError ENOENT, or EIO when they differ from their digest."""
        offset, size, digest = self._entry(path)
        if size == _IS_FOLDER:
            raise OSError(2)
        data = self._read(offset, size)
        if self.sealed and hashlib.sha256(data).digest()[:16] != digest:
            raise OSError(5)
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
        return io.BytesIO(data) if mode == "rb" else io.StringIO(str(data, "utf-8"))

    def stat(self, path):
        path = _clean(path)
        size = self._entry(path)[1] if path else _IS_FOLDER
        if size == _IS_FOLDER:
            return (0x4000, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        return (0x8000, 0, 0, 0, 0, 0, size, 0, 0, 0)

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
    """Verify, leave stage 0 and run the image. -> True: open the console (never in `locked`)."""
    global held
    gc.collect()
    held = bytearray(_HELD)
    info = _verify()
    del sys.modules["stage0"]
    if info["slot"] is None:
        sys.path[:] = [".frozen"]
        return True
    sys.path[:] = [_IMAGE, ".frozen"]
    gc.collect()
    from uward.boot import handover

    return handover.run(info)


def _verify():
    """Stage 0's verdict, and the image mounted. Apart, so that no frame keeps stage 0 alive."""
    import stage0
    import vfs

    info = stage0.run()
    gc.collect()
    gc.threshold(_GARBAGE)
    if info["slot"] is not None:
        vfs.mount(Image(info["path"], True, info["files"]), _IMAGE)
    return info
