"""ROMFS images: written by mpremote's own code, and read back on the host.

The format is MicroPython's (`extmod/vfs_rom.c`): a header, then nested records, each
`kind, length, payload` with variable-length integers.
"""

from collections.abc import Mapping
from typing import Any

from mpremote.romfs import VfsRomWriter  # pyright: ignore[reportMissingTypeStubs]

from host_tools.errors import Refused

MAGIC: bytes = VfsRomWriter.ROMFS_HEADER
VERBATIM: int = VfsRomWriter.ROMFS_RECORD_KIND_DATA_VERBATIM
DIRECTORY: int = VfsRomWriter.ROMFS_RECORD_KIND_DIRECTORY
FILE: int = VfsRomWriter.ROMFS_RECORD_KIND_FILE
FIRST = "digests"  # the file that comes first: the device finds it without a search
DEPTH_MAX = 8  # folders in folders; an image of ours has 3

Tree = dict[str, Any]


def pack(files: Mapping[str, bytes]) -> bytes:
    """One image of `{absolute path: content}`, sorted behind `FIRST`: same files, same bytes."""
    writer: Any = VfsRomWriter()
    _write(writer, _tree(files))
    return bytes(writer.finalise())


def unpack(image: bytes) -> dict[str, bytes]:
    """`{absolute path: content}` of an image. Raises Refused when it is not a whole ROMFS."""
    return {path: image[start:stop] for path, (start, stop) in spans(image).items()}


def spans(image: bytes) -> dict[str, tuple[int, int]]:
    """Where the content of each file begins and ends in an image. Raises Refused likewise."""
    if not image.startswith(MAGIC):
        raise Refused(f"not a ROMFS image: begins {image[:3].hex()}, expected {MAGIC.hex()}")
    length, start = _uint(image, len(MAGIC), len(image))
    if start + length != len(image):
        raise Refused(f"ROMFS image is {len(image)} bytes, its header says {start + length}")
    files: dict[str, tuple[int, int]] = {}
    _read(image, start, len(image), "", files, DEPTH_MAX)
    return files


def _tree(files: Mapping[str, bytes]) -> Tree:
    root: Tree = {}
    for path in sorted(files):
        *folders, name = path.strip("/").split("/")
        node = root
        for folder in folders:
            node = node.setdefault(folder, {})
        node[name] = files[path]
    return root


def _write(writer: Any, node: Tree) -> None:
    for name, value in sorted(node.items(), key=lambda item: (item[0] != FIRST, item[0])):
        if isinstance(value, bytes):
            writer.mkfile(name, value)
        else:
            writer.opendir(name)
            _write(writer, value)
            writer.closedir()


def _read(
    image: bytes,
    at: int,
    end: int,
    prefix: str,
    files: dict[str, tuple[int, int]],
    depth: int,
) -> None:
    if not depth:
        raise Refused(f"ROMFS image is nested deeper than {DEPTH_MAX} folders")
    while at < end:
        kind, size_at = _uint(image, at, end)
        size, body = _uint(image, size_at, end)
        stop = body + size
        if stop > end:
            raise Refused(f"ROMFS record at {at} ends at {stop}, behind {end}")
        if kind in (DIRECTORY, FILE):
            length, name_at = _uint(image, body, stop)
            path = f"{prefix}/{image[name_at : name_at + length].decode('utf-8', 'replace')}"
            if kind == DIRECTORY:
                _read(image, name_at + length, stop, path, files, depth - 1)
            else:
                files[path] = _content(image, name_at + length, stop, path)
        at = stop


def _content(image: bytes, at: int, end: int, path: str) -> tuple[int, int]:
    if at >= end:
        return end, end
    kind, size_at = _uint(image, at, end)
    size, body = _uint(image, size_at, end)
    if kind != VERBATIM or body + size != end:
        raise Refused(f"ROMFS file {path}: record of kind {kind}, expected {VERBATIM}")
    return body, end


def _uint(image: bytes, at: int, end: int) -> tuple[int, int]:
    value = 0
    while at < end:
        byte = image[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at
    raise Refused(f"ROMFS image ends inside a number at {at}")
