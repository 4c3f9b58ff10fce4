"""Stage 0 whole, on the Unix port with a littlefs at `/`: what runs after each kind of damage.

Promise 1: an image runs only when it is signed, whole, wanted by the record; a locked board opens
no console, whatever is missing, damaged or dropped beside (S3, S4, S5).
"""

import importlib
import subprocess
import sys
import types

import pytest
from uward import limits
from uward.boot import record as records
from uward.errors import BootRefused

from host_tools.signing import trust
from tests.device import boot_kit as kit

SHADOW = b'print("SHADOW RAN")\n'
CRASH = kit.APP.replace(b"import machine\nmachine.reset()", b"raise ValueError('the app')")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    return kit.Fleet(tmp_path_factory.mktemp("fleet"))


@pytest.fixture(scope="module")
def factory(fleet):
    return kit.factory(fleet, kit.image(), kit.image(version="rescue"))


@pytest.fixture(scope="module")
def locked(fleet, factory):
    return kit.enrolled(factory, fleet)


def boot(folder, files, **options):
    """-> (what ran, output) of a board that must end in a reset, without a console."""
    out, reset, console = kit.Board(folder, files).boot(**options)
    assert reset, out
    assert not console, out
    assert "SHADOW" not in out, out
    runs = [line.split()[1] for line in out.splitlines() if line.startswith("RUNS")]
    return "".join(runs), out


def flip(files, path, at):
    data = bytearray(files[path])
    data[at] ^= 1
    return {**files, path: bytes(data)}


def without(files, *paths):
    return {path: data for path, data in files.items() if path not in paths}


def with_b(fleet, files, app=kit.APP, confirmed=False, tries=3, **release):
    """The board with a release in slot b: on trial, or confirmed beside a confirmed a."""
    image = kit.image(app, version="2")
    envelope, _ = fleet.release(image, **{"sequence": 2, **release})

    def change(record):
        record.slots[1] = kit.slot(envelope, fleet.document())
        record.owned[1] = True
        record.confirmed[1] = confirmed
        record.active = 1
        record.tries = 0 if confirmed else tries

    both = {**files, "/slot/b.img": image, "/slot/b.suit": envelope}
    return kit.enrolled(both, fleet, change=change)


def test_a_locked_board_runs_its_image_and_nothing_else(tmp_path, locked):
    ran, out = boot(tmp_path, locked)
    assert ran == "a"
    assert "RUNS a 1.1 False 2  ['/rom', '.frozen']" in out
    assert "LEFT []" in out  # stage 0's modules are gone


@pytest.mark.parametrize(
    ("path", "at", "reason"),
    [
        ("/slot/a.img", 0, "the image's digest"),
        ("/slot/a.img", -1, "the image's digest"),
        ("/slot/a.suit", 60, "signature"),
        ("/slot/a.suit", -100, "the manifest"),
        ("/slot/a.suit", 0, "cbor: expected"),
    ],
)
def test_a_damaged_slot_leads_to_recovery(tmp_path, locked, path, at, reason):
    if at == 60:  # inside of the first signature block
        at = locked[path].index(b"\x00\x00\x00\x00") + 40
    ran, out = boot(tmp_path, flip(locked, path, at))
    assert ran == "r", out
    assert "slot a: " in out
    if reason != "signature":
        assert reason in out


def test_an_image_of_another_size_is_refused(tmp_path, locked):
    image = locked["/slot/a.img"]
    for changed in (image[:-1], image + b"\0", b""):
        ran, out = boot(tmp_path, {**locked, "/slot/a.img": changed})
        assert ran == "r"
        assert "expected an image of %d bytes" % len(image) in out


def test_a_signed_image_that_was_not_installed_is_refused(tmp_path, fleet, locked):
    """An older or newer release of ours, copied over the slot: the record names another one."""
    image = kit.image(version="other")
    envelope, _ = fleet.release(image, sequence=9, security=9)
    ran, out = boot(tmp_path, {**locked, "/slot/a.img": image, "/slot/a.suit": envelope})
    assert ran == "r"
    assert "the manifest that was installed" in out


def test_one_signature_is_not_enough_even_if_the_record_says_so(tmp_path, fleet, factory):
    for who, missing in ((("release",), "approver"), (("approver",), "release")):
        envelope, _ = fleet.release(factory["/slot/a.img"], who=who)
        files = kit.enrolled({**factory, "/slot/a.suit": envelope}, fleet)
        ran, out = boot(tmp_path, files)
        assert ran == "r"
        assert "1 of role %s, got 0" % missing in out


def test_an_image_below_the_floor_is_refused(tmp_path, fleet, factory):
    def change(record):
        record.floor = 2

    ran, out = boot(tmp_path, kit.enrolled(factory, fleet, change=change))
    assert ran == "r"
    assert "security version >= 2, got 1" in out


def test_an_image_that_the_record_does_not_name_is_refused(tmp_path, fleet, factory):
    def change(record):
        record.slots[0] = (record.slots[0][0], bytes(16), *record.slots[0][2:])

    ran, out = boot(tmp_path, kit.enrolled(factory, fleet, change=change))
    assert ran == "r"
    assert "the image that was installed, got another" in out


@pytest.mark.parametrize("locked", [True, False])
def test_the_watchdog_is_armed_before_anything_is_judged(monkeypatch, locked):
    """S2; only where nobody sits at a console."""
    armed, seen = [], []
    machine = types.ModuleType("machine")
    machine.WDT = lambda timeout: armed.append(timeout)
    monkeypatch.setitem(sys.modules, "machine", machine)
    for name in ("uward.boot.early", "uward.boot.stage0"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    stage0 = importlib.import_module("uward.boot.stage0")

    class Board:
        reasons = ()
        state = 2 if locked else 0

        def is_open(self):
            return not locked

        def order(self):
            seen.append(list(armed))
            return []

    monkeypatch.setattr(stage0, "_Board", Board)
    if locked:
        with pytest.raises(BootRefused):
            stage0.run()
    else:
        assert stage0.run() == {"slot": None}
    assert seen == [[limits.WATCHDOG_MS] if locked else []]


def test_the_recovery_image_is_no_app_image(tmp_path, locked):
    files = {
        **flip(locked, "/slot/a.img", 0),
        "/slot/r.img": locked["/slot/a.img"],
        "/slot/r.suit": locked["/slot/a.suit"],
    }
    assert boot(tmp_path, files)[0] == ""


def test_one_record_copy_is_enough_and_none_is_not(tmp_path, locked):
    for copy in ("/rec/0", "/rec/1"):
        assert boot(tmp_path, flip(locked, copy, 100))[0] == "a"
        assert boot(tmp_path, without(locked, copy))[0] == "a"
    broken = flip(flip(locked, "/rec/0", 100), "/rec/1", 199)
    ran, out = boot(tmp_path, broken)
    assert ran == "r"
    assert "MAC of this board" in out
    assert boot(tmp_path, without(locked, "/rec/0", "/rec/1"))[0] == "r"


@pytest.mark.parametrize(
    ("path", "runs"),
    [
        ("/s0/image.mpy", ""),
        ("/s0/stage0.mpy", ""),
        ("/s0/pins", ""),
        ("/slot/a.img", "r"),
        ("/slot/a.suit", "r"),
        ("/slot/r.img", "a"),
        ("/slot/r.suit", "a"),
        ("/trust/1", ""),
        ("/main.py", "a"),
    ],
)
def test_a_missing_file_opens_no_console(tmp_path, locked, path, runs):
    assert boot(tmp_path, without(locked, path))[0] == runs


@pytest.mark.parametrize("path", ["/s0/image.mpy", "/s0/stage0.mpy", "/s0/pins", "/trust/1"])
def test_a_damaged_file_opens_no_console(tmp_path, locked, path):
    for data in (b"", b"\xff" * 64):
        assert boot(tmp_path, {**locked, path: data})[0] == ""
    board = kit.Board(tmp_path, {**locked, path: locked[path][: len(locked[path]) // 2]})
    try:
        out, reset, console = board.boot(timeout=5)
    except subprocess.TimeoutExpired as hung:  # MicroPython loads a cut .mpy for ever: no console
        assert b"42" not in (hung.stdout or b"")
        return
    assert (reset, console) == (True, False), out


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_root_secret_of_another_size_leads_to_recovery(tmp_path, locked, size):
    ran, out = boot(tmp_path, {**locked, "/id/root": bytes(size)})
    assert ran == "r"
    assert "root: expected 32 bytes" in out


@pytest.mark.parametrize(
    "path",
    [
        "/hashlib.py",
        "/os.py",
        "/machine.py",
        "/uward.py",
        "/uward/__init__.py",
        "/image.py",
        "/stage0.py",
        "/struct.py",
        "/lib/uward.py",
        "/lib/hashlib.py",
        "/app/main.py",
        "/.frozen/os.py",
        "/s0/hashlib.py",
        "/s0/machine.py",
        "/s0/image.py",
        "/s0/stage0.py",
        "/s0/vfs.py",
        "/rom/uward/agent.py",
        "/rom/app/main.py",
    ],
)
def test_a_file_dropped_beside_is_never_imported(tmp_path, locked, path):
    assert boot(tmp_path, {**locked, path: SHADOW})[0] == "a"


@pytest.mark.parametrize("path", ["/s0/image/__init__.py", "/s0/stage0/__init__.py"])
def test_a_folder_dropped_into_stage_0_stops_it(tmp_path, locked, path):
    """It cannot be removed with one call: the board resets, and runs nothing of it."""
    assert boot(tmp_path, {**locked, path: SHADOW})[0] == ""


@pytest.mark.parametrize("heap", ["40k", "80k", "120k", "160k", "200k"])
def test_too_little_heap_opens_no_console(tmp_path, locked, heap):
    assert boot(tmp_path, locked, heap=heap)[0] in ("", "a", "r")


def test_a_trial_ends_after_its_tries(tmp_path, fleet, factory):
    board = kit.Board(tmp_path, with_b(fleet, factory))
    ran = []
    for _ in range(limits.TRIAL_TRIES + 2):
        out, reset, console = board.boot()
        assert reset
        assert not console
        ran.append(out.split()[1])
    assert "".join(ran) == "bbbaa"
    record = board.record()
    assert (record.active, record.tries, record.owned) == (0, 0, [True, False])
    assert record.failed[0] == kit.slot(board.files()["/slot/b.suit"], fleet.document())[0][:8]


def test_a_trial_that_does_not_verify_is_left_at_once(tmp_path, fleet, factory):
    board = kit.Board(tmp_path, flip(with_b(fleet, factory), "/slot/b.img", 99))
    out, _, _ = board.boot()
    assert "RUNS a" in out
    assert "slot b: expected the image's digest" in out
    assert not board.record().owned[1]


def test_a_confirmed_slot_that_breaks_gives_way_to_the_other(tmp_path, fleet, factory):
    files = flip(with_b(fleet, factory, confirmed=True), "/slot/b.img", 99)
    board = kit.Board(tmp_path, files)
    out, _, _ = board.boot()
    assert "RUNS a" in out
    assert board.record().active == 0


def test_an_image_that_crashes_gives_way_and_recovery_stays(tmp_path, fleet, factory):
    """S5: a raising app resets; crashes in a row lead to the other slot, then to recovery."""
    image = kit.image(CRASH)
    envelope, _ = fleet.release(image)
    files = {**factory, "/slot/a.img": image, "/slot/a.suit": envelope}
    board = kit.Board(tmp_path, with_b(fleet, files, CRASH, confirmed=True))
    ran = []
    for _ in range(limits.CRASHES_RECOVERY + 3):
        out, reset, console = board.boot()
        assert reset
        assert not console
        ran.append(out.split()[1])
    assert "".join(ran) == "bbbaaarrr"
    board.power_on()
    assert board.boot()[0].split()[1] == "a"


@pytest.mark.parametrize("error", [b"KeyboardInterrupt", b"SystemExit", b"MemoryError"])
def test_whatever_ends_the_image_ends_in_a_reset(tmp_path, fleet, factory, error):
    app = kit.APP.replace(b"import machine\nmachine.reset()", b"raise " + error)
    image = kit.image(app)
    envelope, _ = fleet.release(image)
    files = {**factory, "/slot/a.img": image, "/slot/a.suit": envelope}
    assert boot(tmp_path, kit.enrolled(files, fleet))[0] == "a"


def test_a_slot_is_judged_by_the_trust_that_it_was_installed_under(tmp_path, fleet, factory):
    """S1: a later document that revokes the signer must not brick the fleet."""
    old = fleet.document()
    new = fleet.document(
        2,
        trust.digest(old),
        revoked=(fleet.public["release"].thumbprint,),
        roles={1: fleet.held(1, "release", "release2")},
    )
    files = {**factory, "/trust/2": fleet.signed(new)}
    files = kit.enrolled(files, fleet, document=new)
    assert boot(tmp_path, files)[0] == "a"
    other = fleet.signed(fleet.document(expires=kit.NOW + 5))
    ran, out = boot(tmp_path, {**files, "/trust/1": other})
    assert ran == "r"
    assert "trust: expected the document that was accepted" in out
    assert boot(tmp_path, without(files, "/trust/2"))[0] == "a"  # it judged nothing here


def test_an_image_signed_under_the_new_trust_needs_the_new_keys(tmp_path, fleet, factory):
    old = fleet.document()
    new = fleet.document(2, trust.digest(old), roles={1: fleet.held(1, "release2")})

    def change(record):
        record.slots[0] = (*record.slots[0][:2], 2, trust.digest(new)[:16])

    files = {**factory, "/trust/2": fleet.signed(new)}
    ran, out = boot(tmp_path, kit.enrolled(files, fleet, document=new, change=change))
    assert ran == "r"
    assert "role release, got 0" in out


def test_development_stays_open_and_runs_the_app(tmp_path, fleet, factory):
    app = kit.APP.replace(b"import machine\nmachine.reset()", b"")
    image = kit.image(app)
    envelope, _ = fleet.release(image)
    files = {**factory, "/slot/a.img": image, "/slot/a.suit": envelope}
    files = kit.enrolled(files, fleet, state=records.DEVELOPMENT)
    out, reset, console = kit.Board(tmp_path, files).boot()
    assert (reset, console) == (False, True)
    assert "RUNS a 1.1 False 1" in out


def test_a_factory_board_mounts_its_image_and_opens_the_console(tmp_path, factory):
    typed = "from uward.boot import handover\nprint(handover.info['slot'], 6*7)\n"
    out, reset, console = kit.Board(tmp_path, factory).boot(typed=typed)
    assert (reset, console) == (False, True)
    assert "a 42" in out
    assert "RUNS" not in out


def test_a_factory_board_says_why_no_image_runs(tmp_path, factory):
    broken = flip(flip(factory, "/slot/a.img", 0), "/slot/r.img", 0)
    out, reset, console = kit.Board(tmp_path, broken).boot()
    assert (reset, console) == (False, True)
    assert "uward: error: no image can run: slot a: expected the image's digest" in out


def test_a_factory_board_believes_only_its_pins(tmp_path, fleet, factory):
    stranger = fleet.document(roles={0: fleet.held(2, "release2", "outsider")})
    signed = fleet.signed(stranger, "release2", "outsider")
    out, _, _ = kit.Board(tmp_path, {**factory, "/trust/1": signed}).boot()
    assert "only pinned root keys" in out


def test_a_board_that_is_retired_erases_every_block_and_resets(fleet, factory, tmp_path):
    """S15: the record says so, or after a cut the mark does, when no key opens the record."""

    def retiring(record):
        record.state = 3

    boards = [kit.enrolled(factory, fleet, change=retiring)]
    cut = {**kit.enrolled(factory, fleet), "/rec/retire": b"\x01"}
    del cut["/id/root"]
    boards.append(cut)
    for number, made in enumerate(boards):
        folder = tmp_path / str(number)
        folder.mkdir()
        board = kit.Board(folder, made)
        output, reset, console = board.boot()
        assert (reset, console) == (True, False), output
        assert board.flash.read_bytes().strip(b"\xff") == b""
