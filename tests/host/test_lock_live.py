"""What `uward lock` says to a board that is open, and that what it advises does lock it."""

import pytest
from live_fleet import LiveFleet

from host_tools.errors import DeviceError, Refused
from host_tools.flash import open_board, service
from host_tools.flash.console import Console
from host_tools.fleet.inventory import Inventory
from host_tools.image import full, lfs
from host_tools.pki.ca import Ca
from host_tools.targets.unix import Unix
from host_tools.verbs import flash, provision, unlock

EARLY = b"""
import os
if "interrupted" not in os.listdir("/"):
    open("/interrupted", "w").close()
    raise KeyboardInterrupt
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    return LiveFleet(tmp_path_factory.mktemp("open"))


def record(fleet, device):
    return Inventory(fleet.found.folder("devices")).get(device)


def refused(fleet, board, what, hint):
    for ask in (
        lambda: unlock.do_lock(fleet.found, board.console()),
        lambda: unlock.do_unlock(fleet.found, board.console(), ("status",)),
    ):
        with pytest.raises(Refused, match=what) as told:
            ask()
        assert hint in told.value.hint


def test_a_board_from_the_factory_has_nothing_to_lock(fleet):
    flash.do_flash(fleet.found, "unix", name="new")
    with fleet.board("new") as board:
        board.start()
        refused(fleet, board, "is in state factory: nothing to lock", "`uward provision`")


def test_a_board_whose_stage_0_was_interrupted_is_started_again_and_enrolled(fleet):
    """Ctrl-C before boot.py's first statement: once, then the host has it started anew."""
    flash.do_flash(fleet.found, "unix", name="early")
    with fleet.board("early") as board:
        board.start()
        with Console(board.console()) as console:
            boot = console.get("/boot.py")
            console.put("/boot.py", EARLY + boot)
    made = provision.do_provision(fleet.found, "unix", name="early")
    assert made["state"] == "locked"
    files = lfs.read(board.board, board.flash_dump())
    assert "/interrupted" in files and "/id/root" in files


def test_a_board_that_has_no_stage_0_is_not_enrolled(fleet, monkeypatch):
    monkeypatch.setattr(open_board, "START_S", 0.5)
    with fleet.board("bare") as board:
        board.flash(full.build(board.board, {}))
    with pytest.raises(Refused, match="opens a REPL and runs no image of uWard") as told:
        provision.do_provision(fleet.found, "unix", name="bare")
    assert "`uward flash`" in told.value.hint


def test_a_development_board_is_refused_by_name_and_locked_by_a_new_flash(fleet, monkeypatch):
    device = fleet.enrol("bench", development=True)
    open_record = record(fleet, device)
    monkeypatch.setattr(service, "ANSWER_S", 2.0)  # its program runs, and says nothing
    with fleet.board("bench") as board:
        board.start()
        refused(fleet, board, "is in state development: its console is open", "--replace")

    flash.do_flash(fleet.found, "unix", name="bench")
    made = provision.do_provision(fleet.found, "unix", name="bench", replace=True)
    locked = record(fleet, device)
    assert (made["id"], made["state"]) == (device, "locked")
    assert locked.identity_public_key != open_record.identity_public_key
    assert locked.pairing_public_key != open_record.pairing_public_key
    revoked = [int(one.serial, 16) for one in Ca(fleet.found.folder("ca")).issued() if one.reason]
    assert int(open_record.certificate_serial, 16) in revoked

    with fleet.board("bench") as board:
        board.start()
        with pytest.raises(DeviceError, match="no REPL after 3 s"):
            Console(board.console(), 3.0)
        board.strap(True)
        monkeypatch.undo()  # at once: it is not open yet
        told = unlock.do_unlock(fleet.found, board.console(), ("status",))
        assert (told["device"], told["board"], told["slot"]) == (device, "unix", "a")


def test_a_board_without_uward_is_named(tmp_path):
    board = Unix(tmp_path)
    board.flash(full.build(board.board, {"/main.py": b"print('hello')"}))
    board.start()
    try:
        with pytest.raises(Refused, match="opens a REPL and runs no image of uWard"):
            open_board.refuse(board.console())
    finally:
        board.stop()
