"""The locked console on stock firmware: a storm of bytes at 60 resets (`make bench` does 1000),
files that are gone, and the two holes of the stock firmware, which give no more than a dump."""

import contextlib

import pytest

from host_tools.errors import Refused
from host_tools.image import lfs
from tests.board import storm
from tests.board.conftest import PICO_W
from tests.board.test_boot import STAY, image, left
from tests.device import boot_kit as kit

RESETS = 60
# how often the root secret lies in RAM; its halves apart, or this itself would be found
RAM = """
import uctypes
ram = uctypes.bytearray_at(0x20000000, 264 * 1024)
one, two = %r, %r
print(sum(ram[i] == one[0] and bytes(ram[i:i + 16]) == one and bytes(ram[i + 16:i + 32]) == two
          for i in range(0, len(ram), 4)))
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    return kit.Fleet(tmp_path_factory.mktemp("fleet"))


@pytest.fixture(scope="module")
def files(fleet):
    factory = kit.factory(fleet, image(STAY), image(STAY, version="rescue"), PICO_W)
    return kit.enrolled(factory, fleet)


def test_a_storm_of_bytes_over_resets_finds_no_window(board, files):
    pico = board(files, seed=1)
    counts = storm.storm(pico, RESETS, seed=1)
    assert (counts.resets, counts.windows) == (RESETS, 0)
    assert (counts.prompts, counts.printed) == (0, 0)
    pico.run(emulated_s=1)
    assert left(pico)[-1] in ("a False ", "r False ")  # so many resets in a row look like crashes


def test_the_storm_opens_a_board_that_is_open(board, files, fleet):
    """The same bytes at a development board: the harness would see a prompt."""
    factory = {path: data for path, data in files.items() if path[:4] not in ("/id/", "/rec")}
    pico = board(kit.enrolled(factory, fleet, state=1), seed=1)
    pico.run(lambda board: board.connected, emulated_s=3)

    def prompted():  # what comes while boot.py runs is data, no Ctrl-C
        pico.send(b"\x03\x03\r\n")
        return pico.run(b">>>", emulated_s=0.5)

    assert any(prompted() for _ in range(10))


@pytest.mark.parametrize("path", ["/boot.py", "/s0/image.mpy", "/s0/stage0.mpy", "/s0/pins"])
def test_a_file_that_is_gone_opens_no_console(board, files, path):
    changed = {name: data for name, data in files.items() if name != path}
    pico = board(changed, seed=1)
    pico.send(b"\x03\x03\x03\x01")
    pico.run(emulated_s=2.5)
    assert b">>>" not in pico.output and b"raw REPL" not in pico.output
    assert left(pico) == []


HIDDEN = ("/machine.py", "/os.py", "/lib/sys.py", "/s0/os.py", "/s0/hashlib.py", "/s0/image.py")
IMAGES = ("/slot/a.img", "/slot/r.img")
FAULTS = {  # what it is -> (the files that make it, the slot that runs all the same)
    "both records": (lambda files: {"/rec/0": b"", "/rec/1": bytes(200)}, "r"),
    "all images": (
        lambda files: dict.fromkeys(("/slot/a.img", "/slot/r.img"), b"noise" * 999),
        "",
    ),
    "stage 0": (lambda files: {"/s0/stage0.mpy": files["/s0/stage0.mpy"][:4000]}, ""),
    "modules hidden": (lambda files: dict.fromkeys(HIDDEN, b"raise SystemExit\n"), "a"),
    "full disk": (lambda files: {"/filler": bytes(free(files))}, "a"),
}


def free(files):
    """Bytes that fit into the file system beside `files`, but for a block for the program."""
    block = PICO_W.flash.fs_block
    for blocks in range(PICO_W.flash.fs_size // block, 0, -1):
        with contextlib.suppress(Refused):
            lfs.build(PICO_W, {**files, "/filler": bytes(blocks * block)})
            return (blocks - 1) * block
    raise AssertionError("no room for anything")


@pytest.mark.parametrize("what", FAULTS)
def test_no_fault_of_the_files_opens_a_console(board, files, what):
    """A few of `tests/device/test_boot_faults.py`, on stock firmware."""
    make, slot = FAULTS[what]
    pico = board({**files, **make(files)}, seed=1)
    pico.send(b"\x03\x03\x03\x01")
    pico.run(emulated_s=1.5)
    assert (pico.connections, bytes(pico.output)) == (0, b"")
    assert "".join(left(pico))[:1] == slot


def test_a_corrupt_superblock_gives_no_more_than_a_dump(board, files):
    """Stock `_boot.py` formats what it cannot mount and opens the REPL: the files are gone, the
    old blocks are as readable as through BOOTSEL, and nothing of ours was loaded."""
    pico = board(files, seed=1)
    start = PICO_W.flash.fs_offset
    pico.mcu.flash[start : start + 2 * PICO_W.flash.fs_block] = bytes(2 * PICO_W.flash.fs_block)
    output, error = pico.execute(
        "import os, sys, gc\n"
        "print(os.listdir('/'), [m for m in sys.modules if 'uward' in m or m == 'image'])"
    )
    assert error == ""
    assert output.strip() == "[] []"
    held, error = pico.execute(RAM % (kit.ROOT_SECRET[:16], kit.ROOT_SECRET[16:]))
    assert (held.strip(), error) == ("0", "")


def test_a_boot_py_that_does_not_compile_is_the_other_hole(board, files):
    pico = board({**files, "/boot.py": b"\0" + files["/boot.py"]}, seed=1)
    output, _ = pico.execute("import sys\nprint([m for m in sys.modules if 'uward' in m])")
    assert output.strip() == "[]"
    flash = PICO_W.flash
    there = lfs.read(PICO_W, pico.flash_bytes()[flash.fs_offset :][: flash.fs_size])
    assert set(files) <= set(there)  # what BOOTSEL would show, and no more
