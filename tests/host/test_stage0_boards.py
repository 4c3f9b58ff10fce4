"""Stage 0 compiles for each board, with the machine code that fits it and no other (S22)."""

import pytest

from host_tools.boards import catalogue
from host_tools.image import bundle, layout, sources

BOARDS = ("rpi_pico_w", "esp32", "esp32_s3", "esp32_c3", "unix")


@pytest.mark.parametrize("name", BOARDS)
def test_stage0_compiles(name):
    files = layout.stage0(catalogue.load(name))
    assert set(files) == {"/s0/image.mpy", "/s0/stage0.mpy"}


def test_a_native_module_that_is_left_out_is_not_taken():
    board = catalogue.load("esp32")
    modules = sources.agent(board)
    del modules["/uward/crypto/_p256_native.py"]
    source = bundle.build(modules, "uward.crypto.p256", "verify", True)
    assert b"asm_thumb" not in source and b"_p256_plain_slices" in source
