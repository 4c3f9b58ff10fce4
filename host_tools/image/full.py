"""One whole image for a board: stock firmware and file system, in the form that its flasher takes.

`uf2` boards get one UF2, `esp` boards the flash from `firmware_offset` to its end, and the Unix
port the bare file system.
"""

from collections.abc import Mapping

from host_tools.boards import fetch
from host_tools.boards.catalogue import Board
from host_tools.errors import Refused
from host_tools.flash import partitions
from host_tools.image import lfs, uf2


def build(board: Board, files: Mapping[str, bytes], *, ota: bool = False) -> bytes:
    """The image of `board` with `files` in its file system. Same files, same bytes.

    ota: with room for two interpreters, for a board as `partitions.with_ota` makes it.
    """
    filesystem = lfs.build(board, files)
    if board.flash.format == "uf2":
        return uf2.build(board, fetch.firmware(board), filesystem)
    if board.flash.format == "esp":
        firmware = fetch.firmware(board)
        return _esp(board, partitions.rewrite(board, firmware) if ota else firmware, filesystem)
    return filesystem


def _esp(board: Board, firmware: bytes, filesystem: bytes) -> bytes:
    flash = board.flash
    room = flash.fs_offset - flash.firmware_offset
    if len(firmware) > room:
        raise Refused(f"firmware is {len(firmware)} bytes, there is room for {room}")
    return firmware.ljust(room, lfs.ERASED) + filesystem
