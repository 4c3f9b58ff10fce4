"""Verified boot on stock firmware: the emulated Pico W, factory, locked, damaged, crashing."""

import hashlib

import pytest
from uward import limits

from host_tools.image import digests, lfs, romfs
from tests.board.conftest import PICO_W
from tests.device import boot_kit as kit

APP = b"""
import machine
from uward.boot import handover
info = handover.info
with open("/out", "a") as f:
    f.write("%s %s %s;" % (info["slot"], info["trial"], info["reason"]))
"""
STAY = APP + b"while True:\n    machine.idle()\n"
MODULE = "/uward/codec/cbor.mpy"
CRASH = APP + b"raise ValueError('the app')\n"
SHADOW = b"open('/shadow', 'w').close()\n"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    return kit.Fleet(tmp_path_factory.mktemp("fleet"))


@pytest.fixture(scope="module")
def factory(fleet):
    return kit.factory(fleet, image(STAY), image(STAY, version="rescue"), PICO_W)


def image(app, **options):
    return kit.image(app, board=PICO_W, **options)


def crashing(fleet):
    return kit.factory(fleet, image(CRASH), image(STAY), PICO_W)


def left(board):
    """-> what the app wrote at each start; no shadow file ran."""
    flash = PICO_W.flash
    files = lfs.read(PICO_W, board.flash_bytes()[flash.fs_offset :][: flash.fs_size])
    assert "/shadow" not in files
    return [line for line in files.get("/out", b"").decode().split(";") if line]


def test_a_factory_board_opens_its_console_over_a_verified_image(board, factory):
    pico = board(factory)
    output, error = pico.execute(
        "from uward.boot import handover\nimport sys\n"
        "print(handover.info['slot'], handover.info['state'], sys.path)\n"
        "try:\n    import machine; open('/rom/uward/agent.mpy', 'wb')\nexcept OSError as e:\n"
        "    print(e.args[0])"
    )
    assert error == ""
    assert output.split("\r\n")[:2] == ["a 0 ['/rom', '.frozen']", "30"]
    assert left(pico) == []


def test_a_deflated_module_is_inflated_as_it_is_opened(board, factory):
    slot = factory["/slot/a.img"]
    content = digests.contents(slot)[MODULE]
    assert len(romfs.unpack(slot)[MODULE]) < len(content)
    pico = board(factory)
    code = "import hashlib\nwith open('/rom%s', 'rb') as f:\n    data = f.read()\n" % MODULE
    output, error = pico.execute(code + "print(hashlib.sha256(data).digest().hex())")
    assert error == ""
    assert output.strip() == hashlib.sha256(content).hexdigest()


def test_a_locked_board_runs_and_never_shows_a_console(board, fleet, factory):
    pico = board(kit.enrolled(factory, fleet))
    pico.send(b"\x03\x03\x03\x01")
    pico.run(emulated_s=3)
    assert left(pico) == ["a False "]
    assert pico.connections == 0  # USB never enumerates
    assert pico.resets == []
    assert pico.output == b""


@pytest.mark.parametrize(
    ("path", "runs"),
    [
        ("/slot/a.img", "r False slot a: expected the image's digest"),
        ("/slot/a.suit", "r False slot a: "),
        ("/rec/0", "a False "),
    ],
)
def test_damage_leads_to_recovery_without_a_console(board, fleet, factory, path, runs):
    files = kit.enrolled(factory, fleet)
    data = bytearray(files[path])
    data[len(data) // 2] ^= 1
    pico = board({**files, path: bytes(data)})
    pico.run(emulated_s=3)
    assert len(left(pico)) == 1
    assert left(pico)[0].startswith(runs)
    assert pico.connections == 0


def test_two_lost_records_lead_to_recovery(board, fleet, factory):
    files = kit.enrolled(factory, fleet)
    pico = board({**files, "/rec/0": bytes(200), "/rec/1": bytes(200)})
    pico.run(emulated_s=3)
    assert left(pico)[0].startswith("r False record: ")
    assert pico.connections == 0


def test_files_dropped_beside_are_not_imported(board, fleet, factory):
    names = ("hashlib", "uward", "machine", "os", "image", "lib/hashlib", "s0/os", "s0/image")
    dropped = {"/%s.py" % name: SHADOW for name in names}
    pico = board({**kit.enrolled(factory, fleet), **dropped})
    pico.run(emulated_s=3)
    assert left(pico) == ["a False "]
    assert pico.connections == 0


def test_without_stage_0_a_locked_board_resets_for_ever(board, fleet, factory):
    files = kit.enrolled(factory, fleet)
    del files["/s0/stage0.mpy"]
    pico = board(files)
    pico.run(emulated_s=2)
    assert len(pico.resets) > 2
    assert pico.connections == 0
    assert left(pico) == []


def test_crashes_end_in_recovery(board, fleet):
    """The count lives in the watchdog's scratch register: it outlasts every reset but power-on."""
    pico = board(kit.enrolled(crashing(fleet), fleet))
    pico.run(emulated_s=8)
    started = [line.split()[0] for line in left(pico)]
    assert started == ["a"] * limits.CRASHES_RECOVERY + ["r"]
    assert len(pico.resets) == limits.CRASHES_RECOVERY
    assert pico.connections == 0


def test_a_hanging_image_is_reset_by_the_watchdog(board, fleet):
    hangs = kit.factory(fleet, image(APP + b"while True: pass\n"), image(STAY), PICO_W)
    pico = board(kit.enrolled(hangs, fleet))
    pico.run(emulated_s=20)
    assert left(pico) == ["a False "] * 3
    assert [reason for _, reason in pico.resets] == ["watchdog"] * 2


def test_a_trial_is_counted_and_left(board, fleet):
    files = kit.factory(fleet, image(STAY), image(STAY), PICO_W)
    new = image(CRASH, version="2")
    envelope, _ = fleet.release(new, sequence=2)

    def change(record):
        record.slots[1] = kit.slot(envelope, fleet.document())
        record.owned[1] = True
        record.active = 1
        record.tries = limits.TRIAL_TRIES

    files.update({"/slot/b.img": new, "/slot/b.suit": envelope})
    pico = board(kit.enrolled(files, fleet, change=change))
    pico.run(emulated_s=8)
    assert left(pico) == ["b True "] * limits.TRIAL_TRIES + ["a False "]
    assert pico.connections == 0
