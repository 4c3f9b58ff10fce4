"""ROMFS images as mpremote writes them, mounted by our VFS: whole, sealed, bounded (S5)."""

import hashlib
import struct
import zlib

import pytest
from uward import limits
from uward.boot import image as device_image

from host_tools.errors import Refused
from host_tools.image import deflate, digests, romfs

FILES = {
    "/app/main.py": b"print('hello')\n",
    "/app/inner/data": bytes(range(256)) * 20,
    "/app/long.txt": b"".join(b"line %d\n" % i for i in range(500)),
    "/build": b"\xa0",
    "/uward/__init__.mpy": b"M",
    "/empty": b"",
}

GOOD = deflate.deflate(FILES["/app/long.txt"])


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
        "deflated": len(GOOD),
        "deflated text": FILES["/app/long.txt"].decode(),
        "none": "OSError 2",
        "part of a name": "OSError 2",
        "two names": "OSError 2",
        "listing": [
            ["app", 0x4000],
            ["build", 0x8000],
            ["empty", 0x8000],
            ["uward", 0x4000],
        ],
        "inner listing": ["inner", "long.txt", "main.py"],
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
        "device_image", "changed_after_mount", write(tmp_path, image), "/app/main.py", offset
    )
    assert before == FILES["/app/main.py"].hex()
    assert after == "OSError 5"
    assert size == len(image)


def test_what_shrinks_is_stored_deflated_and_the_rest_as_it_is():
    stored = romfs.unpack(packed())
    for path in ("/app/inner/data", "/app/long.txt"):
        assert len(stored[path]) < 0.9 * len(FILES[path])
        assert zlib.decompress(stored[path], -10) == FILES[path]
    for path in ("/app/main.py", "/build", "/uward/__init__.mpy", "/empty"):
        assert stored[path] == FILES[path]


def test_a_changed_byte_of_a_deflated_file_is_not_inflated(device, tmp_path):
    image = packed()
    at = image.index(GOOD)
    for offset in (0, 100, 400):
        before, after, _ = device(
            "device_image",
            "changed_after_mount",
            write(tmp_path, image),
            "/app/long.txt",
            at + offset,
        )
        assert before == FILES["/app/long.txt"].hex()
        assert after == "OSError 5"


def test_a_deflated_file_is_read_in_parts_beside_another(device, tmp_path):
    got = device("device_image", "slowly", write(tmp_path, packed()))
    assert got == FILES["/app/inner/data"].hex()


def holding(stream):
    """An image whose table calls `stream` deflated, under its own digest."""
    draft = romfs.pack({"/bad": stream, "/digests": b""})
    draft = romfs.pack({"/bad": stream, "/digests": digests.table(draft, ["/bad"])})
    return romfs.pack({"/bad": stream, "/digests": digests.table(draft, ["/bad"])})


BAD_STREAMS = {
    "no stream": (b"\xff" * 50, "OSError 22", "/bad cannot be inflated: "),
    "cut": (GOOD[:-3], "EOFError", "/bad is not one whole stream"),
    "nothing": (b"", "EOFError", "/bad is not one whole stream"),
}


@pytest.mark.parametrize("what", BAD_STREAMS)
def test_a_bad_stream_under_a_good_digest_is_no_file_and_no_image(device, tmp_path, what):
    stream, refusal, message = BAD_STREAMS[what]
    names, contents = device("device_image", "look", write(tmp_path, holding(stream)))
    assert (names, contents) == (["/bad"], [refusal])
    with pytest.raises(Refused, match=message):
        digests.inspect(holding(stream))


def test_an_image_is_refused_that_would_inflate_without_end_or_has_more_behind():
    bomb = zlib.compressobj(9, zlib.DEFLATED, -10)
    endless = bomb.compress(bytes(2**20 + 1)) + bomb.flush()
    for stream in (endless, GOOD + b"x"):
        with pytest.raises(Refused, match="/bad is not one whole stream of <= 1048576 bytes"):
            digests.inspect(holding(stream))


@pytest.mark.parametrize("cut", [0, 3, 6, 20, 200])
def test_a_cut_table_is_refused(cut):
    files = romfs.unpack(packed())
    files["/digests"] = files["/digests"][:cut]
    with pytest.raises(Refused, match=r"/digests (cannot be read|has)"):
        digests.inspect(romfs.pack(files))


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
    assert "<= 8 files, got 9" in device("device_image", "look", path, 8)
    assert len(device("device_image", "look", path, 9)[0]) == 9


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


def test_boot_collects_garbage_as_often_as_the_agent():
    """Two modules say how often: the first cannot import the second (S20)."""
    assert device_image._GARBAGE == limits.GARBAGE
