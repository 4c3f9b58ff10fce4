"""A round of commands on the emulated Pico W: mutual TLS, Thumb signatures, what heap is left."""

import pytest

from tests.interop import command_round

MINUTES = 8
HEAP = 48 * 1024  # bytes that a session must leave with agent and app (S20)


@pytest.mark.timeout(MINUTES * 60)
def test_a_round_of_commands_on_the_emulated_pico_w(tmp_path, stock):
    from host_tools import pulse
    from host_tools.targets.picow import PicoW
    from host_tools.verbs import devices, target

    found, device = command_round.fleet(tmp_path, "rpi_pico_w", "picow")
    with (
        command_round.serving(found, "embedded") as services,
        PicoW(target.folder(found, "picow", None)) as board,
    ):
        board.start()
        pulse.replay(board, pulse.load())
        command_round.play(found, device, services)
    heaps = [notice.text for notice in services.notices if "heap.low" in notice.text]
    assert heaps == []
    assert devices.do_device(found, device)["free_heap"] >= HEAP
