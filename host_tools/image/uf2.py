"""UF2 for the RP2040: parsed strictly, and built as one file of firmware and file system.

The format is Microsoft's UF2: 512-byte blocks, here each with 256 bytes for one flash page. The
bootrom erases a 4 KB sector when a block first touches it, so an image writes whole sectors: a
sparse one would leave old littlefs blocks alive beside the new.
"""

import struct

from host_tools.boards.catalogue import Board
from host_tools.errors import Refused

BLOCK = 512
PAGE = 256
HEAD = struct.Struct("<8I")
MAGIC_START = 0x0A324655
MAGIC_SECOND = 0x9E5D5157
MAGIC_END = 0x0AB16F30
FLAG_NOT_FLASH = 0x00000001
FLAG_FAMILY = 0x00002000
FAMILY_RP2040 = 0xE48BFF56
XIP_BASE = 0x10000000
FLASH_MAX = 16 << 20  # what RP2040's XIP window can address


def parse(data: bytes) -> dict[int, bytes]:
    """Flash offset -> 256 bytes. Raises Refused for anything but a whole RP2040 UF2."""
    if not data or len(data) % BLOCK:
        raise Refused(f"not a UF2: {len(data)} bytes, expected a multiple of {BLOCK}")
    total = len(data) // BLOCK
    pages: dict[int, bytes] = {}
    for number in range(total):
        address, page = _block(data[number * BLOCK : (number + 1) * BLOCK], number, total)
        if address in pages:
            raise Refused(f"UF2 block {number}: address {address:#x} comes twice")
        pages[address] = page
    return pages


def _block(raw: bytes, number: int, total: int) -> tuple[int, bytes]:
    where = f"UF2 block {number}"
    start, second, flags, address, size, index, count, family = HEAD.unpack_from(raw)
    (end,) = struct.unpack_from("<I", raw, BLOCK - 4)
    if (start, second, end) != (MAGIC_START, MAGIC_SECOND, MAGIC_END):
        raise Refused(f"{where}: wrong magic number", "the file is damaged or not a UF2")
    if (index, count) != (number, total):
        raise Refused(f"{where}: says it is {index} of {count}, expected {number} of {total}")
    if not flags & FLAG_FAMILY or family != FAMILY_RP2040:
        raise Refused(f"{where}: family {family:#x}, expected RP2040 ({FAMILY_RP2040:#x})")
    if flags & FLAG_NOT_FLASH or size != PAGE:
        raise Refused(f"{where}: payload of {size} bytes, flags {flags:#x}, expected {PAGE} bytes")
    offset = address - XIP_BASE
    if offset % PAGE or not 0 <= offset < FLASH_MAX:
        raise Refused(f"{where}: address {address:#x} is not a page of the flash")
    return offset, raw[HEAD.size : HEAD.size + PAGE]


def encode(pages: dict[int, bytes]) -> bytes:
    """A UF2 of `pages` (flash offset -> 256 bytes), in the order of their addresses."""
    blocks: list[bytes] = []
    for number, offset in enumerate(sorted(pages)):
        head = HEAD.pack(
            MAGIC_START,
            MAGIC_SECOND,
            FLAG_FAMILY,
            XIP_BASE + offset,
            PAGE,
            number,
            len(pages),
            FAMILY_RP2040,
        )
        body = (head + pages[offset]).ljust(BLOCK - 4, b"\0")
        blocks.append(body + struct.pack("<I", MAGIC_END))
    return b"".join(blocks)


def build(board: Board, firmware: bytes, filesystem: bytes) -> bytes:
    """One UF2: the stock `firmware` UF2 and the whole file-system area of `board`."""
    flash = board.flash
    if len(filesystem) != flash.fs_size:
        raise Refused(f"file system is {len(filesystem)} bytes, expected {flash.fs_size}")
    pages = parse(firmware)
    if max(pages) >= flash.fs_offset:
        raise Refused(f"firmware reaches {max(pages):#x}, into the file system")
    for start in range(0, flash.fs_size, PAGE):
        pages[flash.fs_offset + start] = filesystem[start : start + PAGE]
    return encode(pages)


def to_flash(data: bytes, size: int) -> bytes:
    """The flash of `size` bytes that `data` leaves on an erased chip."""
    flash = bytearray(b"\xff" * size)
    for offset, page in parse(data).items():
        if offset + PAGE > size:
            raise Refused(f"UF2 writes at {offset:#x}, the flash has {size:#x} bytes")
        flash[offset : offset + PAGE] = page
    return bytes(flash)
