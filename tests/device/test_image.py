"""ROMFS images as mpremote writes them, mounted by our VFS: whole, sealed, bounded (S5)."""

import hashlib
import struct

import pytest

from host_tools.image import digests, romfs

FILES = {
    "/app/main.py": b"print('hello')\n",
    "/app/inner/data": bytes(range(256)) * 20,
    "/build": b"\xa0",
    "/uward/__init__.mpy": b"M",
    "/empty": b"",
}


def packed(files=FILES):
    return digests.pack(files)


def indexed(change):
    """The image with its index changed by change(bytearray), of the same length."""
    image = packed()
    table = romfs.unpack(image)["/digests"]
    at = image.index(table)
    changed = bytearray(table)
    change(changed)
    assert len(changed) == len(table)
    return image[:at] + bytes(changed) + image[at + len(table) :]


def write(folder, data):
    path = folder / "a.img"
    path.write_bytes(data)
    return str(path)


def test_every_file_comes_out_as_it_went_in(device, tmp_path):
    names, contents = device("device_image", "look", write(tmp_path, packed()))
    expected = {**FILES, "/app": None, "/app/inner": None, "/uward": None}
    assert names == sorted(expected)
    for name, content in zip(names, contents, strict=True):
        if expected[name] is None:
            assert content == "OSError 2"
        else:
            assert content == expected[name].hex()


def test_a_mount_gets_its_answers_and_writes_nothing(device, tmp_path):
    answers = device("device_image", "ask", write(tmp_path, packed()))
    assert answers == {
        "root": 0x4000,
        "folder": 0x4000,
        "file": 15,
        "none": "OSError 2",
        "part of a name": "OSError 2",
        "two names": "OSError 2",
        "listing": [
            ["app", 0x4000],
            ["build", 0x8000],
            ["empty", 0x8000],
            ["uward", 0x4000],
        ],
        "inner listing": ["inner", "main.py"],
        "text": "print('hello')\n",
        "bytes": FILES["/app/main.py"].hex(),
        "write": "OSError 30",
        "append": "OSError 30",
        "update": "OSError 30",
        "open a folder": "OSError 2",
        "chdir": "OSError 1",
        "cwd": "/",
    }


def test_a_file_that_differs_from_its_digest_is_not_opened(device, tmp_path):
    digest = hashlib.sha256(FILES["/app/main.py"]).digest()[:16]

    def other_digest(table):
        table[table.index(digest)] ^= 1

    def other_place(table):
        table[table.index(digest) - 5] ^= 1  # its offset

    def longer(table):
        table[table.index(digest) - 3] ^= 64  # its size: behind the end of the file

    lying = packed().replace(b"hello", b"other")
    for image in (indexed(other_digest), indexed(other_place), indexed(longer), lying):
        names, contents = device("device_image", "look", write(tmp_path, image))
        assert contents[names.index("/app/main.py")] == "OSError 5"
        assert contents[names.index("/build")] == "a0"


def test_flash_that_changes_after_the_mount_is_not_executed(device, tmp_path):
    image = packed()
    offset = image.index(b"hello")
    before, after, size = device(
        "device_image", "changed_after_mount", write(tmp_path, image), offset
    )
    assert before == FILES["/app/main.py"].hex()
    assert after == "OSError 5"
    assert size == len(image)


def uint(value):
    out = [value & 127]
    while value := value >> 7:
        out.append(value & 127 | 128)
    return bytes(reversed(out))


def record(kind, payload):
    return bytes([kind]) + uint(len(payload)) + payload


def whole(payload):
    """Magic and length are one record whose kind is the magic's last byte."""
    return romfs.MAGIC + uint(len(payload)) + payload


def named(name, rest):
    return uint(len(name)) + name + rest


def index(lines, names, entries=b""):
    return struct.pack(">HI", lines, len(names)) + names + entries


def first(payload, name=b"digests", kind=5, inner=2):
    return whole(record(kind, named(name, record(inner, payload))))


BAD_FILES = {
    "nothing": (b"", "a whole image"),
    "no ROMFS": (b"M" * 100, "a whole ROMFS"),
    "cut": (packed()[:-1], "a whole ROMFS"),
    "longer": (packed() + b"\0", "a whole ROMFS"),
    "endless integer": (romfs.MAGIC + b"\xff" * 90, "<= 5 bytes"),
    "empty ROMFS": (romfs.pack({}), "a whole image"),
    "no index": (romfs.pack(FILES), "`digests` first"),
    "index as a folder": (first(b"", kind=4), "`digests` first"),
    "index by reference": (first(b"", inner=3), "`digests` first"),
    "index of another name": (first(index(0, b"\n"), b"digestz"), "`digests` first"),
    "index too short": (first(index(1, b"\n/a\n")), "another size"),
    "index too long": (first(index(0, b"\n", bytes(24))), "another size"),
    "too many files": (first(index(161, b"\n", bytes(161 * 24))), "<= 160 files, got 161"),
    "fewer names than lines": (first(index(2, b"\n/a\n", bytes(48))), "2 names"),
    "more names than lines": (first(index(1, b"\n/a\n/b\n", bytes(24))), "1 names"),
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_what_is_no_image_is_refused(device, tmp_path, what):
    data, message = BAD_FILES[what]
    found = device("device_image", "look", write(tmp_path, data))
    assert isinstance(found, str), found
    assert message in found


def test_the_most_files_are_a_limit(device, tmp_path):
    path = write(tmp_path, packed())
    assert "<= 7 files, got 8" in device("device_image", "look", path, 7)
    assert len(device("device_image", "look", path, 8)[0]) == 8


def test_every_cut_is_refused(tmp_path):
    from uward.boot import image

    whole_image = packed()
    for size in range(len(whole_image)):
        with pytest.raises(ValueError, match="romfs: expected"):
            image.Image(write(tmp_path, whole_image[:size]))


def test_the_index_is_small(tmp_path):
    """52 bytes a file in RAM (S20): names and one table, no object a file."""
    from uward.boot import image

    files = {"/uward/codec/m%03d.mpy" % i: hashlib.sha256(b"%d" % i).digest() for i in range(100)}
    found = image.Image(write(tmp_path, packed(files)))
    assert len(found.names) + len(found.table) < 103 * 52
    assert romfs.unpack(packed(files)) == {**files, "/digests": digests.table(packed(files))}
