"""The service console of a locked, enrolled board on stock firmware: a strap shows USB (S17)."""

import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "host"))

from live_fleet import LiveFleet

from host_tools import keyring
from host_tools.errors import Refused
from host_tools.flash.service import ServiceConsole
from host_tools.fleet.inventory import Inventory
from host_tools.verbs import unlock

WAIT_S = 90


def until(what, condition):
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {WAIT_S} s"
        time.sleep(0.1)


def test_a_strap_opens_the_challenge_of_a_locked_pico_w(stock, tmp_path):
    """No broker is there: this is the board that cannot reach its network."""
    fleet = LiveFleet(tmp_path, "rpi_pico_w", "picow")
    device = fleet.enrol("ward")
    with fleet.board("ward") as board:
        board.start()
        until("the agent joins", lambda: board.network())
        assert not board.status()["usb"]
        board.strap(True)
        until("USB", lambda: board.status()["usb"])
        with ServiceConsole(board.console()) as line:
            line._line.write(b"\x03\x04\x01\r\nprint('REPL')\r\n")
            with pytest.raises(Refused, match=r"con.locked: "):
                line.ask("status")
            hello = line.hello(Inventory(fleet.found.folder("devices")))
            assert (hello.device, hello.board) == (device, "rpi_pico_w")
            with pytest.raises(Refused, match=r"con.break: key .* 5 s to wait"):
                line.unlock(hello, keyring.signers(fleet.found, "operator", None, []))
        time.sleep(6)
        told = unlock.do_unlock(fleet.found, board.console(), ("status",))
        assert (told["slot"], told["online"], told["ssid"]) == ("a", False, "RP2040PY-GUEST")
        assert told["heap"] > 40_000
        until("USB gone", lambda: not board.status()["usb"])
        assert board.status()["resets"] == []
