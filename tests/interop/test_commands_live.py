"""Commands on a real agent, through real brokers: signed, co-signed, refused, answered (T25); the
key of one of two persons is in a PKCS#11 token."""

import shutil
from pathlib import Path

import pytest

from tests.host import softhsm
from tests.interop import command_round

MINUTES = 15


@pytest.mark.timeout(MINUTES * 60)
@pytest.mark.parametrize(("broker", "key"), [("embedded", "file"), ("mosquitto", "token")])
def test_a_board_obeys_through_a_real_broker(tmp_path, broker, key):
    token = None
    if key == "token":
        token = {**softhsm.make_token(tmp_path / "token"), "UWARD_PKCS11_PIN": softhsm.PIN}
    if broker == "mosquitto" and not (
        shutil.which("mosquitto") or Path("/usr/sbin/mosquitto").exists()
    ):
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    from host_tools.targets.unix import Unix
    from host_tools.verbs import target

    found, device = command_round.fleet(tmp_path, "unix", "unix", token)
    if token:
        text = (found.folder("keys") / "operator-anna").read_text("utf-8")
        assert command_round.TOKEN_KEY in text and "PRIVATE" not in text
    with command_round.serving(found, broker) as services:
        board = Unix(target.folder(found, "unix", None))
        board.start()
        try:
            command_round.play(found, device, services, token)
        finally:
            board.stop()
