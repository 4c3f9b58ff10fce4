"""The service console of a locked, enrolled board on stock firmware: a strap shows USB (S17)."""

import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "host"))

from live_fleet import LiveFleet

from host_tools.errors import Refused
from host_tools.flash import open_board
from host_tools.flash.service import ServiceConsole
from host_tools.verbs import unlock
from tests.board.conftest import PICO_W
from tests.device import boot_kit as kit

WAIT_S = 400  # the console closes 120 s of the board's time after the last word


def until(what, condition):
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {WAIT_S} s"
        time.sleep(0.1)


@pytest.mark.timeout(2 * WAIT_S)
def test_a_strap_opens_the_challenge_of_a_locked_pico_w(stock, tmp_path):
    """No broker is there: this is the board that cannot reach its network."""
    fleet = LiveFleet(tmp_path, "rpi_pico_w", "picow")
    device = fleet.enrol("ward")
    with fleet.board("ward") as board:
        board.start()
        until("the agent runs", lambda: board.status()["operations"] > 0)
        assert not board.status()["usb"]
        board.strap(True)
        until("USB", lambda: board.status()["usb"])
        with ServiceConsole(board.console(), WAIT_S) as line:
            line._line.write(b"\x03\x04\x01\r\nprint('REPL')\r\n")
            with pytest.raises(Refused, match=r"con.locked: "):
                line.ask("status")
        told = unlock.do_unlock(fleet.found, board.console(), ("status",))
        assert (told["device"], told["board"]) == (device, "rpi_pico_w")
        assert (told["slot"], told["online"], told["ssid"]) == ("a", False, "RP2040PY-GUEST")
        assert told["heap"] > 30_000
        until("USB gone", lambda: not board.status()["usb"])  # `unlock` closes after one request
        board.strap(False)
        until("the strap is found open", lambda: opened_again(board))
        assert do_lock(fleet, board) == device
        until("USB gone", lambda: not board.status()["usb"])


def opened_again(board):
    """Tie the strap anew every second until USB shows: the board has seen it open in between."""
    board.strap(False)
    time.sleep(1)
    board.strap(True)
    time.sleep(4)
    return board.status()["usb"]


def do_lock(fleet, board):
    told = unlock.do_lock(fleet.found, board.console())
    return told["device"]


def test_a_development_pico_w_is_refused_by_name_and_goes_on(picow, tmp_path):
    fleet = kit.Fleet(tmp_path)
    app = b"import time\nwhile True:\n    print('RUNS')\n    time.sleep_ms(200)\n"
    images = [kit.image(app, version, board=PICO_W) for version in ("1", "rescue")]
    board = picow(kit.enrolled(kit.factory(fleet, *images, PICO_W), fleet, state=1))
    lines = []
    board.on_line = lines.append
    board.start()
    until("its program", lambda: "RUNS" in lines)
    with pytest.raises(Refused, match=r"is in state development: its console is open"):
        open_board.refuse(board.console())
    until("a reset", lambda: [why for _, why in board.status()["resets"]] == ["software"])
    seen = lines.count("RUNS")
    until("its program again", lambda: lines.count("RUNS") > seen)
