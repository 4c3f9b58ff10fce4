"""Boards for the tests in this folder: emulated ones with stock firmware, and the Unix port."""

from pathlib import Path

import pytest

from host_tools.boards import catalogue
from host_tools.errors import DeviceError
from host_tools.image import full, uf2

PICO_W = catalogue.load("rpi_pico_w")


def flash_of(files):
    """The 2 MB flash of a Pico W with stock firmware and `files` ({absolute path: bytes})."""
    return uf2.to_flash(full.build(PICO_W, files), PICO_W.flash.size)


@pytest.fixture(scope="session")
def stock():
    """`flash_of`, or a skip where the stock image cannot be had."""
    try:
        flash_of({})
    except DeviceError as error:
        pytest.skip(f"no stock firmware: {error}")
    return flash_of


@pytest.fixture
def board(stock):
    """Makes an emulated board without Wi-Fi: board(files, **options) -> Board."""
    from host_tools.targets.emulator.board import Board

    def make(files=None, **options):
        return Board(stock(files or {}), **options)

    return make


@pytest.fixture
def picow(stock, tmp_path):
    """Makes a running emulated Pico W in its own process: picow(files, **options) -> PicoW."""
    from host_tools.targets.picow import PicoW

    made = []

    def make(files=None, **options):
        target = PicoW(Path(tmp_path) / f"board{len(made)}", **options)
        made.append(target)
        target.flash(full.build(target.board, files or {}))
        return target

    yield make
    for target in made:
        target.close()


@pytest.fixture
def unix_board(tmp_path):
    """Makes a Unix port that boots from a file: unix_board(files, **options) -> Unix."""
    from host_tools.targets.unix import Unix

    made = []

    def make(files=None, **options):
        target = Unix(Path(tmp_path) / f"unix{len(made)}", **options)
        made.append(target)
        target.flash(full.build(target.board, files or {}))
        return target

    yield make
    for target in made:
        target.stop()
