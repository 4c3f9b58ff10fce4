"""littlefs images: built from `{path: bytes}`, and read back out of a flash dump.

The parameters are those with which stock MicroPython mounts a board's flash.
"""

from collections.abc import Mapping
from typing import Any

from littlefs import LittleFS, LittleFSError, UserContext

from host_tools.boards.catalogue import Board, Flash
from host_tools.errors import Refused

DISK_VERSION = 0x00020000  # every littlefs 2 mounts it; 1.27 raises it to 2.1 when it first writes
NEWEST = 0
READ_SIZE = 32
LOOKAHEAD_SIZE = 32
ERASED = b"\xff"


def build(board: Board, files: Mapping[str, bytes]) -> bytes:
    """The whole file-system area of `board` (`fs_size` bytes) holding `files`, keyed by absolute
    path. Same files, same bytes. Raises Refused when they do not fit."""
    flash = board.flash
    context = UserContext(buffsize=flash.fs_size)
    system = _littlefs(flash, context, DISK_VERSION)
    system.format()
    system.mount()
    try:
        for path in sorted(files):
            _put(system, path.strip("/"), files[path])
    except LittleFSError as error:
        if error.code != LittleFSError.Error.LFS_ERR_NOSPC:
            raise Refused(f"cannot build a file system: {error}") from error
        total = sum(map(len, files.values()))
        raise Refused(
            f"{len(files)} files of {total} bytes do not fit into the {flash.fs_size} bytes "
            f"of {board.name}"
        ) from error
    finally:
        system.unmount()
    return bytes(context.buffer)


def read(board: Board, image: bytes) -> dict[str, bytes]:
    """All files in a file-system area, by absolute path. Raises Refused if it does not mount."""
    if len(image) != board.flash.fs_size:
        raise Refused(f"file system is {len(image)} bytes, expected {board.flash.fs_size}")
    context = UserContext(buffsize=len(image))
    context.buffer[:] = image
    files: dict[str, bytes] = {}
    try:
        system = _littlefs(board.flash, context, NEWEST)
        system.mount()
        for folder, _, entries in system.walk("/"):
            for entry in entries:
                path = folder.rstrip("/") + "/" + entry
                with system.open(path, "rb") as file:
                    files[path] = file.read()
    except LittleFSError as error:
        raise Refused(f"no readable littlefs: {error}") from error
    return files


def area(board: Board, dump: bytes) -> bytes:
    """The file-system area out of a whole flash dump of `board`."""
    flash = board.flash
    if len(dump) < flash.fs_offset + flash.fs_size:
        raise Refused(f"dump is {len(dump)} bytes, expected {flash.size}")
    return dump[flash.fs_offset : flash.fs_offset + flash.fs_size]


def _littlefs(flash: Flash, context: UserContext, version: int) -> Any:
    """Unmounted; `version` is the highest that it mounts. Any: it is typed in part only."""
    return LittleFS(
        context=context,
        block_size=flash.fs_block,
        block_count=flash.fs_blocks,
        read_size=READ_SIZE,
        prog_size=flash.fs_prog,
        lookahead_size=LOOKAHEAD_SIZE,
        disk_version=version,
        mount=False,
    )


def _put(system: Any, path: str, data: bytes) -> None:
    folder = path.rpartition("/")[0]
    if folder:
        system.makedirs(folder, exist_ok=True)
    with system.open(path, "wb") as file:
        file.write(data)
