"""Commands on a real agent, through real brokers: signed, co-signed, refused, answered (T25)."""

import shutil
from pathlib import Path

import pytest

from tests.interop import command_round

MINUTES = 15


@pytest.mark.timeout(MINUTES * 60)
@pytest.mark.parametrize("broker", ["embedded", "mosquitto"])
def test_a_board_obeys_through_a_real_broker(tmp_path, broker):
    if broker == "mosquitto" and not (
        shutil.which("mosquitto") or Path("/usr/sbin/mosquitto").exists()
    ):
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    from host_tools.targets.unix import Unix
    from host_tools.verbs import target

    found, device = command_round.fleet(tmp_path, "unix", "unix")
    with command_round.serving(found, broker) as services:
        board = Unix(target.folder(found, "unix", None))
        board.start()
        try:
            command_round.play(found, device, services)
        finally:
            board.stop()
