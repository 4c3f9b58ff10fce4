"""The emulated Pico W: the power is cut while it installs, tries and confirms a release (T12).

Here at a third of the flash operations, torn; `make cuts` takes each in all four ways.
"""

import pytest

from tests.board import update_board


@pytest.mark.timeout(1500)
def test_an_update_goes_on_after_a_cut(stock, tmp_path):
    from host_tools.targets.emulator import board, sweep

    if "fast core" not in board.CORE:
        pytest.skip("takes too long without the fast core: " + board.CORE)
    made = board.Board(update_board.flash(tmp_path, left=1), seed=1)
    result = sweep.sweep(
        made, update_board.idle, update_board.verify, modes=("torn",), every=3, wall_s=500
    )
    assert result.failures == []
    assert result.cuts >= 10
