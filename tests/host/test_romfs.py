"""ROMFS images: what mpremote's writer makes, our reader and MicroPython's own VfsRom read."""

import pytest

from host_tools.errors import Refused
from host_tools.image import romfs

FILES = {
    "/build": b"one",
    "/app/main.mpy": b"x" * 300,
    "/app/sub/a.mpy": b"",
    "/z.bin": bytes(256),
}


def test_round_trip():
    assert romfs.unpack(romfs.pack(FILES)) == FILES


def test_same_files_in_any_order_same_bytes():
    backwards = dict(reversed(FILES.items()))
    assert romfs.pack(backwards) == romfs.pack(FILES)


def test_empty_image():
    assert romfs.unpack(romfs.pack({})) == {}


@pytest.mark.parametrize("cut", [1, 2, 3, 10, 100, 400])
def test_cut_image_is_refused(cut):
    with pytest.raises(Refused, match="ROMFS"):
        romfs.unpack(romfs.pack(FILES)[:-cut])


def test_other_files_are_refused():
    with pytest.raises(Refused, match="begins 504b03, expected d2cd31"):
        romfs.unpack(b"PK\x03\x04")


def test_every_changed_byte_is_refused_or_changes_the_files():
    image = romfs.pack(FILES)
    for at in range(len(image)):
        broken = bytearray(image)
        broken[at] ^= 0x80
        try:
            files = romfs.unpack(bytes(broken))
        except Refused:
            continue
        assert files != FILES or _is_padding(image, at)


def _is_padding(image: bytes, at: int) -> bool:
    """The one bit of a length that stands for nothing: 0x80 before the length of a whole image."""
    return at == 3 and image[at] == 0x80


def test_deep_nesting_is_refused():
    image = romfs.pack({"/" + "a/" * 20 + "b": b"x"})
    with pytest.raises(Refused, match="deeper than 8"):
        romfs.unpack(image)
