"""ESP32 partition tables: a stock image is rewritten for two interpreters, and nothing else is."""

import struct
from dataclasses import replace
from hashlib import md5, sha256

import pytest

from host_tools.boards import catalogue, fetch
from host_tools.boards.catalogue import Ota
from host_tools.errors import DeviceError, Refused, UsageError
from host_tools.flash import esp, partitions
from host_tools.image import full, lfs

S3 = catalogue.load("esp32_s3")
OTA = partitions.with_ota(S3)
AT = partitions.TABLE_AT  # firmware of an ESP32-S3 begins at 0
FILES = {"/boot.py": b"print(1)\n"}


def application(parts=(b"code" * 100, b"data" * 33), hashed=1):
    """An ESP application image with a checksum byte and its SHA-256."""
    head = bytes([0xE9, len(parts), 2, 0x2F]) + bytes(19) + bytes([hashed])
    body = head + b"".join(struct.pack("<II", 0x3C00_0000, len(p)) + p for p in parts)
    body = body.ljust((len(body) | 15), b"\0") + b"\xaa"
    return body + sha256(body).digest()


def stock_like(table=None, app=None, nvs=b"\xff"):
    """A firmware image in the form of a stock one."""
    given = table or partitions.encode(
        [
            partitions.Partition("nvs", 1, 2, 0x9000, 0x6000),
            partitions.Partition("phy_init", 1, 1, 0xF000, 0x1000),
            partitions.Partition("factory", 0, 0, 0x10000, 0x1F0000),
        ]
    )
    head = b"bootloader".ljust(AT, b"\xff") + given
    return head.ljust(0xD000, b"\xff") + nvs.ljust(0x3000, b"\xff") + (app or application())


def test_tables_are_written_as_they_are_read():
    wanted = partitions.layout(OTA)
    table = partitions.encode(wanted)
    assert len(table) == 0xC00 and table[32 * 6 : 32 * 6 + 2] == b"\xeb\xeb"
    assert table[32 * 6 + 16 : 32 * 7] == md5(table[: 32 * 6]).digest()
    assert partitions.parse(table) == wanted


def test_partitions_neither_overlap_nor_leave_the_flash():
    end = 0x9000
    for one in partitions.layout(OTA):
        assert one.offset >= end
        assert one.offset % (0x10000 if one.type == partitions.APP else 0x1000) == 0
        end = one.offset + one.size
    assert end == OTA.flash.size
    assert (OTA.flash.fs_offset, OTA.flash.fs_size) == (0x410000, 0x3F0000)


def test_a_stock_image_changes_in_its_table_only():
    try:
        stock = fetch.firmware(S3)
    except DeviceError as error:
        pytest.skip(f"no stock firmware: {error}")
    made = partitions.rewrite(OTA, stock)
    changed = [at for at in range(len(stock)) if made[at] != stock[at]]
    assert len(made) == len(stock)
    assert changed[0] >= AT and changed[-1] < AT + 0xC00
    assert partitions.parse(made[AT : AT + 0xC00]) == partitions.layout(OTA)
    app = partitions.interpreter(S3, stock)
    assert app == stock[0x10000:][: len(app)] and len(app) <= S3.ota.slot
    assert partitions.interpreter(S3, app) == app


def test_it_is_written_to_a_board_and_verified():
    from esp32_mock_bootloader import mock_bootloader

    small = replace(S3, ota=Ota(0x1A0000), flash=replace(S3.flash, size=0x400000))
    board = partitions.with_ota(small)  # the mock has 4 MB
    try:
        image = full.build(board, FILES, ota=True)
    except DeviceError as error:
        pytest.skip(f"no stock firmware: {error}")
    assert len(image) == 0x400000
    for offset, data in esp.split(board, image):
        assert image[offset : offset + len(data)] == data
    assert [offset for offset, _ in esp.split(board, image)] == [0, 0x350000]
    assert lfs.read(board, image[0x350000:]) == FILES
    with mock_bootloader("esp32s3") as mock:
        esp.write(board, image, mock.url())
        with pytest.raises(DeviceError, match="esptool verify-flash failed"):
            esp.verify(board, image[:-4096] + b"x" * 4096, mock.url())


@pytest.mark.parametrize(
    "firmware, says",
    [
        (stock_like(table=b"\xff" * 0xC00), "expected entries and their MD5"),
        (stock_like(table=partitions.encode(partitions.layout(OTA))), "of a stock image"),
        (stock_like(app=b"\xe9" + bytes(100)), "expected an ESP application image"),
        (stock_like(app=b"\0" * 100), "expected an ESP application image"),
        (stock_like(app=application()[:-1]), "expected a whole image"),
        (stock_like(app=application()[:60]), "cut off|expected a whole image"),
        (stock_like(app=application(hashed=0)), "with its SHA-256, got none"),
        (stock_like(app=application((bytes(0x200000),))), "do not fit into 2097152"),
        (stock_like(nvs=b"somebody's data"), "blank flash at 0xd000, got data"),
    ],
)
def test_other_images_are_refused(firmware, says):
    with pytest.raises(Refused, match=says):
        partitions.rewrite(OTA, firmware)


def test_a_damaged_table_or_application_is_refused():
    firmware = bytearray(stock_like())
    firmware[AT + 5] ^= 1
    with pytest.raises(Refused, match="its MD5 does not match"):
        partitions.rewrite(OTA, bytes(firmware))
    app = bytearray(application())
    app[50] ^= 1
    with pytest.raises(Refused, match="its SHA-256 does not match"):
        partitions.application(bytes(app))
    padded = application() + b"\xff" * 4096
    assert partitions.application(padded) == application()


def test_boards_without_the_room_say_so():
    for name in ("esp32", "esp32_c3", "rpi_pico_w"):
        with pytest.raises(UsageError, match=f"{name} has no room for two interpreters"):
            partitions.with_ota(catalogue.load(name))
