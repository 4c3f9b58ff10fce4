"""ESP32 partition tables: read, and rewritten so that two interpreters fit (ADR 0016).

The table is that of ESP-IDF's boot loader: entries of 32 bytes at 0x8000, an MD5 of them behind.
Stock images have one application partition and leave the rest of the flash to the file system.
With two, `ota_0` at the place of the one that was, and `otadata`, the boot loader can go back to
the interpreter that worked. Nothing else of the stock image changes.
"""

import struct
from dataclasses import dataclass, replace
from hashlib import md5, sha256

from host_tools.boards.catalogue import Board
from host_tools.errors import Refused, UsageError

TABLE_AT = 0x8000  # in flash
TABLE_SIZE = 0xC00  # bytes; the rest of its sector stays blank
ENTRY = struct.Struct("<2sBBII16sI")  # magic, type, subtype, offset, size, label, flags
MAGIC, MD5_MAGIC = b"\xaa\x50", b"\xeb\xeb" + b"\xff" * 14
APP, DATA = 0, 1
FACTORY, OTA_0, OTA_1 = 0x00, 0x10, 0x11
OTADATA, PHY, NVS, FAT = 0x00, 0x01, 0x02, 0x81
NVS_SPAN = (0x9000, 0x4000)  # offset, size; 0x2000 shorter than in stock images, for otadata
OTADATA_SPAN = (0xD000, 0x2000)
PHY_SPAN = (0xF000, 0x1000)
APP_AT = 0x10000  # application partitions begin and end at multiples of this
ESP_MAGIC, ESP_HEADER, ESP_SEGMENT = 0xE9, 24, 8  # image header and segment header, bytes
ESP_SEGMENTS = 16  # of one image at most
HASHED_AT = 23  # header byte that is 1 when a SHA-256 is appended


@dataclass(frozen=True)
class Partition:
    """One entry. Offset and size in bytes of flash."""

    label: str
    type: int
    subtype: int
    offset: int
    size: int
    flags: int = 0


def parse(table: bytes) -> list[Partition]:
    """The entries of a table. Raises Refused when it or its MD5 is damaged."""
    found: list[Partition] = []
    for at in range(0, len(table) - ENTRY.size + 1, ENTRY.size):
        raw = table[at : at + ENTRY.size]
        if raw[:16] == MD5_MAGIC:
            if raw[16:] != md5(table[:at]).digest():
                raise Refused("partition table: its MD5 does not match")
            return found
        if raw[:2] != MAGIC:
            break
        _, kind, subtype, offset, size, label, flags = ENTRY.unpack(raw)
        name = label.rstrip(b"\0").decode("ascii", "replace")
        found.append(Partition(name, kind, subtype, offset, size, flags))
    raise Refused("partition table: expected entries and their MD5, got other bytes")


def encode(partitions: list[Partition]) -> bytes:
    """A table of TABLE_SIZE bytes."""
    entries = b"".join(
        ENTRY.pack(
            MAGIC, one.type, one.subtype, one.offset, one.size, one.label.encode(), one.flags
        )
        for one in partitions
    )
    return (entries + MD5_MAGIC + md5(entries).digest()).ljust(TABLE_SIZE, b"\xff")


def ota_slot(board: Board) -> int:
    """Bytes of each of two interpreters. Raises UsageError where there is no room for them."""
    if board.ota is None:
        raise UsageError(
            f"{board.name} has no room for two interpreters beside its file system",
            "boards/*.toml with a table [ota] have it",
        )
    return board.ota.slot


def with_ota(board: Board) -> Board:
    """The board with the flash map of two interpreters. Raises UsageError as `ota_slot`."""
    begin = APP_AT + 2 * ota_slot(board)
    flash = replace(board.flash, fs_offset=begin, fs_size=board.flash.size - begin)
    return replace(board, flash=flash)


def layout(board: Board) -> list[Partition]:
    """The partitions of `with_ota(board)`."""
    slot, flash = ota_slot(board), board.flash
    return [
        Partition("nvs", DATA, NVS, *NVS_SPAN),
        Partition("otadata", DATA, OTADATA, *OTADATA_SPAN),
        Partition("phy_init", DATA, PHY, *PHY_SPAN),
        Partition("ota_0", APP, OTA_0, APP_AT, slot),
        Partition("ota_1", APP, OTA_1, APP_AT + slot, slot),
        Partition("vfs", DATA, FAT, flash.fs_offset, flash.fs_size),
    ]


def rewrite(board: Board, firmware: bytes) -> bytes:
    """Stock firmware of `board` (`with_ota`) with the table for two interpreters.

    Raises Refused unless it is a stock image: one application at APP_AT that fits, no OTA slots,
    and nothing where otadata comes.
    """
    base = board.flash.firmware_offset
    at = TABLE_AT - base
    apps = [one for one in parse(firmware[at : at + TABLE_SIZE]) if one.type == APP]
    if [(one.subtype, one.offset) for one in apps] != [(FACTORY, APP_AT)]:
        raise Refused(f"{board.name}: expected the partition table of a stock image, got another")
    wanted = layout(board)
    app = application(firmware[APP_AT - base :])
    if len(app) > wanted[3].size:
        raise Refused(f"interpreter: {len(app)} bytes do not fit into {wanted[3].size}")
    begin = OTADATA_SPAN[0] - base
    if firmware[begin : begin + OTADATA_SPAN[1]].strip(b"\xff"):
        raise Refused(f"{board.name}: expected blank flash at {OTADATA_SPAN[0]:#x}, got data")
    table = encode(wanted)
    return firmware[:at] + table + firmware[at + len(table) :]


def application(data: bytes) -> bytes:
    """The ESP application image that `data` begins with, without what follows it.

    Raises Refused for no image, or when the SHA-256 at its end does not match.
    """
    if len(data) < ESP_HEADER or data[0] != ESP_MAGIC or not 0 < data[1] <= ESP_SEGMENTS:
        raise Refused("interpreter: expected an ESP application image, got other bytes")
    at = ESP_HEADER
    for _ in range(data[1]):
        if at + ESP_SEGMENT > len(data):
            raise Refused("interpreter: the image is cut off")
        at += ESP_SEGMENT + int.from_bytes(data[at + 4 : at + ESP_SEGMENT], "little")
    at = (at | 15) + 1  # the last byte of a row of 16 is the checksum
    if data[HASHED_AT] != 1 or len(data) < at + sha256().digest_size:
        raise Refused("interpreter: expected a whole image with its SHA-256, got none")
    if sha256(data[:at]).digest() != data[at : at + sha256().digest_size]:
        raise Refused("interpreter: its SHA-256 does not match")
    return data[: at + sha256().digest_size]


def interpreter(board: Board, data: bytes) -> bytes:
    """The application of a whole stock image of `board`, or of a file that holds it alone."""
    begin = APP_AT - board.flash.firmware_offset
    if len(data) > begin and data[begin] == ESP_MAGIC:
        return application(data[begin:])
    return application(data)


def is_application(data: bytes) -> bool:
    """Whether `data` begins as an ESP application image does; a ROMFS image does not."""
    return data[:1] == bytes([ESP_MAGIC])
