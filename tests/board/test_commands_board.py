"""Commands on the emulated Pico W by `uward send`, a real broker and collector: mutual TLS, Thumb
signatures, enough heap. One board lives through it: each test goes on where the last one left."""

import time

import pytest

from host_tools import pulse
from host_tools.errors import Refused
from host_tools.flash.service import ServiceConsole
from host_tools.verbs import unlock
from tests.board.test_story import C_STACK
from tests.board.ward import Ward
from tests.interop import command_round

MINUTES = 15


@pytest.fixture(scope="module")
def ward(tmp_path_factory, stock):
    made = Ward(tmp_path_factory.mktemp("ward"))
    with command_round.serving(made.found, "embedded") as services, made.board:
        made.services = services
        made.board.start()
        pulse.replay(made.board, pulse.load())
        yield made


def until(what, condition):
    deadline = time.monotonic() + command_round.WAIT_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@pytest.mark.timeout(MINUTES * 60)
def test_a_round_of_commands_on_the_emulated_pico_w(ward):
    command_round.play(ward.found, ward.device, ward.services)


@pytest.mark.timeout(MINUTES * 60)
def test_two_admins_open_the_console_from_afar(ward):
    """USB shows while the board stays connected; what opens is the challenge, no more."""
    assert not ward.board.status()["usb"]
    assert ward.order("unlock-console", {"seconds": 900})["outcome"] == "done"
    until("USB", lambda: ward.board.status()["usb"])
    with (
        ServiceConsole(ward.board.console()) as line,
        pytest.raises(Refused, match=r"con\.locked: "),
    ):
        line.ask("status")
    assert unlock.do_lock(ward.found, ward.board.console())["device"] == ward.device
    until("USB gone", lambda: not ward.board.status()["usb"])
    ward.heard("con.open command")
    ward.heard("con.close command")


@pytest.mark.timeout(MINUTES * 60)
def test_two_admins_rotate_the_keys_from_afar(ward):
    before, since = ward.root(), len(ward.services.notices)
    assert ward.order("rotate-keys")["outcome"] == "done"
    ward.heard("key.rotated", since)
    assert ward.root() != before
    assert before not in ward.board.flash_dump()
    ward.heard("ticks", len(ward.services.notices))


def test_in_all_that_the_heap_never_ran_short(ward):
    assert [told.text for told in ward.services.notices if "heap.low" in told.text] == []


def test_in_all_that_a_sensor_could_interrupt(ward):
    assert ward.board.status()["stack"] <= C_STACK
