"""UF2 and littlefs images: what is built reads back, what is damaged is refused."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.boards import catalogue
from host_tools.errors import Refused
from host_tools.image import full, lfs, uf2

BOARD = catalogue.load("rpi_pico_w")
PAGES = {0: b"\x01" * 256, 4096: b"\x02" * 256, 4352: b"\x03" * 256}
FILES = {"/boot.py": b"print(1)\n", "/slot/a.img": bytes(range(256)) * 300, "/slot/r.img": b"r"}


def damaged(at, fmt, value):
    data = bytearray(uf2.encode(PAGES))
    struct.pack_into(fmt, data, at, value)
    return bytes(data)


def test_uf2_round_trip():
    assert uf2.parse(uf2.encode(PAGES)) == PAGES


@given(
    st.dictionaries(
        st.integers(0, 100).map(lambda n: n * 256),
        st.binary(min_size=256, max_size=256),
        min_size=1,
    )
)
def test_uf2_round_trip_of_any_pages(pages):
    assert uf2.parse(uf2.encode(pages)) == pages


@given(st.binary(max_size=2048))
def test_uf2_parse_refuses_or_parses(data):
    try:
        uf2.parse(data)
    except Refused:
        return
    assert len(data) % 512 == 0


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a UF2: 0 bytes"),
        (uf2.encode(PAGES)[:-1], "expected a multiple of 512"),
        (uf2.encode(PAGES)[:-512], "block 0: says it is 0 of 3, expected 0 of 2"),
        (damaged(0, "<I", 0), "block 0: wrong magic"),
        (damaged(512 + 4, "<I", 0), "block 1: wrong magic"),
        (damaged(508, "<I", 0), "block 0: wrong magic"),
        (damaged(512 + 20, "<I", 0), "block 1: says it is 0 of 3"),
        (damaged(28, "<I", 0x1234), "family 0x1234, expected RP2040"),
        (damaged(8, "<I", 0), "family 0xe48bff56, expected RP2040"),
        (damaged(8, "<I", 0x2001), "flags 0x2001"),
        (damaged(16, "<I", 255), "payload of 255 bytes"),
        (damaged(12, "<I", 0x10000001), "not a page of the flash"),
        (damaged(12, "<I", 0x20000000), "not a page of the flash"),
        (damaged(12, "<I", 0x10001000), "block 1: address 0x1000 comes twice"),
    ],
)
def test_damaged_uf2_is_refused(data, message):
    with pytest.raises(Refused, match=message):
        uf2.parse(data)


def test_uf2_beyond_the_flash_is_refused():
    with pytest.raises(Refused, match="the flash has 0x1000 bytes"):
        uf2.to_flash(uf2.encode(PAGES), 4096)


def test_one_uf2_holds_firmware_and_whole_file_system():
    image = uf2.build(BOARD, uf2.encode(PAGES), lfs.build(BOARD, FILES))
    pages = uf2.parse(image)
    assert {offset for offset in pages if offset >= BOARD.flash.fs_offset} == set(
        range(BOARD.flash.fs_offset, BOARD.flash.size, 256)
    )
    flash = uf2.to_flash(image, BOARD.flash.size)
    assert flash[4096:4608] == PAGES[4096] + PAGES[4352]
    assert lfs.read(BOARD, lfs.area(BOARD, flash)) == FILES


def test_uf2_build_refuses_what_does_not_fit():
    with pytest.raises(Refused, match="file system is 3 bytes, expected 868352"):
        uf2.build(BOARD, uf2.encode(PAGES), b"abc")
    reaching = uf2.encode({BOARD.flash.fs_offset: bytes(256)})
    with pytest.raises(Refused, match="into the file system"):
        uf2.build(BOARD, reaching, bytes(BOARD.flash.fs_size))


@pytest.mark.parametrize("name", catalogue.names())
def test_littlefs_round_trip_and_same_bytes(name):
    board = catalogue.load(name)
    image = lfs.build(board, FILES)
    assert len(image) == board.flash.fs_size
    assert image == lfs.build(board, dict(reversed(FILES.items())))
    assert lfs.read(board, image) == FILES


def test_littlefs_refusals():
    with pytest.raises(Refused, match="1 files of 900000 bytes do not fit into the 868352"):
        lfs.build(BOARD, {"/x": bytes(900_000)})
    with pytest.raises(Refused, match="no readable littlefs"):
        lfs.read(BOARD, bytes(BOARD.flash.fs_size))
    with pytest.raises(Refused, match="file system is 5 bytes"):
        lfs.read(BOARD, b"12345")
    with pytest.raises(Refused, match="dump is 5 bytes, expected 2097152"):
        lfs.area(BOARD, b"12345")


def test_esp_image_has_both_parts(monkeypatch):
    board = catalogue.load("esp32")
    monkeypatch.setattr(full.fetch, "firmware", lambda board: b"\xe9firmware")
    image = full.build(board, FILES)
    assert len(image) == board.flash.size - board.flash.firmware_offset
    assert image.startswith(b"\xe9firmware\xff")
    start = board.flash.fs_offset - board.flash.firmware_offset
    assert lfs.read(board, image[start:]) == FILES
    monkeypatch.setattr(full.fetch, "firmware", lambda board: bytes(start + 1))
    with pytest.raises(Refused, match="there is room for"):
        full.build(board, FILES)
