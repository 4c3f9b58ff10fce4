"""ROMFS images as mpremote writes them, mounted by our VFS: whole, sealed, bounded (S5)."""

import hashlib

import pytest

from host_tools.image import digests, romfs

FILES = {
    "/app/main.py": b"print('hello')\n",
    "/app/inner/data": bytes(range(256)) * 20,
    "/build": b"\xa0",
    "/uward/__init__.mpy": b"M",
    "/empty": b"",
}


def packed(files, table=None):
    whole = {**files, digests.DIGESTS: digests.digest_file(files) if table is None else table}
    return romfs.pack(whole)


def write(folder, data):
    path = folder / "a.img"
    path.write_bytes(data)
    return str(path)


def test_every_file_comes_out_as_it_went_in(device, tmp_path):
    names, contents = device("device_image", "look", write(tmp_path, packed(FILES)))
    expected = {**FILES, "/app": None, "/app/inner": None, "/uward": None, "/digests": None}
    assert names == sorted(expected)
    for name, content in zip(names, contents, strict=True):
        if name == "/digests":
            assert content == "OSError 5"  # it has no digest of its own: nobody needs it again
        elif expected[name] is None:
            assert content == "OSError 2"
        else:
            assert content == expected[name].hex()


def test_a_mount_gets_its_answers_and_writes_nothing(device, tmp_path):
    answers = device("device_image", "ask", write(tmp_path, packed(FILES)))
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
            ["digests", 0x8000],
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


def test_a_file_without_its_digest_is_not_opened(device, tmp_path):
    missing = {path: data for path, data in FILES.items() if path != "/app/main.py"}
    lying = {**FILES, "/app/main.py": b"print('other')\n"}
    for table in (digests.digest_file(missing), digests.digest_file(lying)):
        path = write(tmp_path, packed(FILES, table))
        names, contents = device("device_image", "look", path)
        assert contents[names.index("/app/main.py")] == "OSError 5"
        assert contents[names.index("/build")] == "a0"


def test_flash_that_changes_after_the_mount_is_not_executed(device, tmp_path):
    image = packed(FILES)
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


BAD_FILES = {
    "nothing": (b"", "a whole image"),
    "no ROMFS": (b"M" * 100, "a ROMFS of 100"),
    "cut": (packed(FILES)[:-1], "expected a ROMFS of"),
    "longer": (packed(FILES) + b"\0", "expected a ROMFS of"),
    "endless integer": (romfs.MAGIC + b"\xff" * 90, "<= 5 bytes"),
    "record beyond its folder": (
        whole(record(4, named(b"d", b"\x05\x7f" + bytes(9)))),
        "inside their folder",
    ),
    "name of 0 bytes": (whole(record(5, named(b"", record(2, b"x")))), "a name of 1..64"),
    "name of 65 bytes": (whole(record(5, named(b"n" * 65, record(2, b"x")))), "a name of 1..64"),
    "slash": (whole(record(5, named(b"a/b", record(2, b"x")))), "a name of 1..64"),
    "newline": (whole(record(5, named(b"a\nb", record(2, b"x")))), "a name of 1..64"),
    "file by reference": (whole(record(5, named(b"f", record(3, b"x")))), "one data record"),
    "two data records": (
        whole(record(5, named(b"f", record(2, b"x") + record(2, b"y")))),
        "one data record",
    ),
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_what_is_no_image_is_refused(device, tmp_path, what):
    data, message = BAD_FILES[what]
    found = device("device_image", "look", write(tmp_path, data), False)
    assert isinstance(found, str), found
    assert message in found


def test_too_many_files_are_refused(device, tmp_path):
    path = write(tmp_path, packed(FILES))
    assert "fewer files" in device("device_image", "look", path, True, 8)
    assert len(device("device_image", "look", path, True, 9)[0]) == 9


def test_a_table_that_is_none_is_refused(device, tmp_path):
    good = digests.digest_file(FILES)
    for table in (good[:-1], good[:-17] + b"\x4f" + bytes(15), good.replace(b"/build", b"/other")):
        found = device("device_image", "look", write(tmp_path, packed(FILES, table)))
        assert isinstance(found, str), found
        assert "romfs: expected" in found


def test_padding_records_are_skipped(device, tmp_path):
    """mpremote may align a file with a record of kind 1 before it."""
    payload = record(1, b"\0\0\0") + record(5, named(b"f", record(2, b"x")))
    names, contents = device("device_image", "look", write(tmp_path, whole(payload)), False)
    assert (names, contents) == (["/f"], [b"x".hex()])


def test_the_index_is_small(tmp_path):
    """52 bytes a file in RAM (S20): names and one table, no object a file."""
    from uward.boot import image

    files = {"/uward/codec/m%03d.mpy" % i: hashlib.sha256(b"%d" % i).digest() for i in range(100)}
    found = image.Image(write(tmp_path, packed(files)))
    assert len(found.names) + len(found.table) < 103 * 52
