"""A round of commands on the emulated Pico W: mutual TLS, Thumb signatures, enough heap."""

import pytest

from tests.interop import command_round

MINUTES = 8


@pytest.mark.timeout(MINUTES * 60)
def test_a_round_of_commands_on_the_emulated_pico_w(tmp_path, stock):
    from host_tools import pulse
    from host_tools.targets.picow import PicoW
    from host_tools.verbs import target

    found, device = command_round.fleet(tmp_path, "rpi_pico_w", "picow")
    with (
        command_round.serving(found, "embedded") as services,
        PicoW(target.folder(found, "picow", None)) as board,
    ):
        board.start()
        pulse.replay(board, pulse.load())
        command_round.play(found, device, services)
    assert [notice.text for notice in services.notices if "heap.low" in notice.text] == []
