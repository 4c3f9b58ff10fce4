"""Attestation whole: real board on the Unix port, real services; T22 and what a dump allows."""

import shutil

import pytest
from live_fleet import LiveFleet

from host_tools.boards import catalogue
from host_tools.errors import Refused
from host_tools.image import lfs
from host_tools.verbs import attest, devices

UNIX = catalogue.load("unix")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    made = LiveFleet(tmp_path_factory.mktemp("attest"))
    made.device = made.enrol("first")
    made.services.start()
    yield made
    made.services.stop()


def status(fleet, device=None):
    (row,) = [
        one for one in devices.do_devices(fleet.found) if one["id"] == (device or fleet.device)
    ]
    return row["verdict"], row["reasons"]


def attested(fleet, name, seconds=30):
    """Run the board until it attested once. -> what the collector says of it."""
    since = len(fleet.services.notices)
    with fleet.board(name) as board:
        board.start()
        return fleet.wait("attest", "attested", since)


def test_a_device_attests_when_it_connects_and_when_it_is_asked(fleet):
    assert status(fleet) == ("UNKNOWN", ["it never attested since it was enrolled"])
    with fleet.board("first") as board:
        board.start()
        assert fleet.wait("attest", "attested") == "attested TRUSTED"
        told = attest.do_attest(fleet.found, fleet.device)
    assert (told["status"], told["reasons"]) == ("TRUSTED", [])
    assert (told["state"], told["console"], told["key_source"]) == ("locked", "closed", "flash")
    assert told["slot"] == "a" and told["version"] == "1.0.0"
    assert set(told["stage0"]) == {
        "boot.py", "main.py", "s0/image.mpy", "s0/stage0.mpy", "s0/pins",
    }  # fmt: skip
    assert status(fleet) == ("TRUSTED", [])


def test_a_file_of_stage_0_that_was_changed_makes_it_unknown(fleet):
    board = fleet.board("first")
    kept = board.flash_path.read_bytes()
    files = lfs.read(UNIX, kept)
    files["/main.py"] += b"\n"
    board.flash_path.write_bytes(lfs.build(UNIX, files))
    told = attested(fleet, "first")
    assert told.startswith(
        "attested UNKNOWN: stage 0 is of no build of this fleet: main.py differ"
    )
    assert status(fleet)[0] == "UNKNOWN"
    board.flash_path.write_bytes(kept)
    assert attested(fleet, "first") == "attested TRUSTED"


def test_an_image_without_reference_values_is_unknown(fleet):
    reference = fleet.found.last_built("unix") / "reference.json"
    kept = reference.read_bytes()
    reference.unlink()
    told = attested(fleet, "first")
    assert "no build of this fleet has reference values" in told
    reference.write_bytes(kept)
    assert attested(fleet, "first") == "attested TRUSTED"


def test_a_development_board_says_so(fleet):
    device = fleet.enrol("open", development=True)
    told = attested(fleet, "open")
    assert told == "attested DEVELOPMENT: its console is an open REPL"
    assert status(fleet, device) == ("DEVELOPMENT", ["its console is an open REPL"])
    with pytest.raises(Refused, match="is DEVELOPMENT"), fleet.board("open") as board:
        board.start()
        attest.command(device, fleet=fleet.root)


def test_a_file_system_on_a_second_board_is_a_clone(fleet):
    """Key source `flash` cannot bind the keys to a board: the copy connects, and is flagged."""
    twin = fleet.board("twin")
    shutil.copy(fleet.board("first").flash_path, twin.flash_path)  # its unique id is another
    told = attested(fleet, "twin")
    assert told.startswith("attested CLONED: the keys of board ")
    assert [one for one in fleet.services.notices if one.text.startswith("id.clone the keys of")]
    assert attested(fleet, "first") == "attested TRUSTED"
    verdict, reasons = status(fleet)
    assert verdict == "CLONED" and "two boards used its identity" in reasons[0]
