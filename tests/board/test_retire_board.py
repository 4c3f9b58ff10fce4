"""Retirement on the emulated Pico W: what stage 0 leaves of a board, read from the raw flash."""

import pytest

from host_tools.targets.emulator.board import Board
from host_tools.targets.emulator.flash import Cut, PowerCut
from tests.board import test_boot
from tests.board.conftest import PICO_W
from tests.device import boot_kit as kit

FLASH = PICO_W.flash
CANARY = b"a patient's reading 97 %"
FULL = bytes(480 * 1024)  # few free blocks: each one costs the emulator a tenth of a second


@pytest.fixture(scope="module")
def retiring(tmp_path_factory):
    fleet = kit.Fleet(tmp_path_factory.mktemp("fleet"))
    images = [kit.image(test_boot.STAY, version=v, board=PICO_W) for v in ("1", "rescue")]

    def change(record):
        record.state = 3

    files = kit.enrolled(kit.factory(fleet, *images, PICO_W), fleet, change=change)
    return {**files, "/id/net": CANARY * 9, "/vault/store/1": CANARY * 500, "/slot/b.img": FULL}


def file_system(board):
    return board.flash_bytes()[FLASH.fs_offset :][: FLASH.fs_size]


def test_nothing_is_left_and_the_board_is_as_from_the_shop(board, retiring):
    pico = board(retiring)
    assert CANARY in file_system(pico) and kit.ROOT_SECRET in file_system(pico)
    assert pico.run(lambda pico: pico.resets, emulated_s=60)
    assert file_system(pico).strip(b"\xff") == b""
    assert pico.flash_bytes().count(kit.ROOT_SECRET) == 0
    assert pico.connections == 0
    assert pico.execute("import os; print(os.listdir('/'))")[0].strip() == "[]"


@pytest.mark.parametrize("at", [40, 400])
def test_after_a_cut_it_goes_on(board, retiring, at):
    pico = board(retiring)
    pico.flash.cut = Cut(at, "half")
    with pytest.raises(PowerCut):
        pico.run(emulated_s=60)
    there = Board(pico.flash_bytes())
    assert there.run(lambda pico: pico.resets, emulated_s=60)
    assert file_system(there).strip(b"\xff") == b""
    assert there.connections == 0
