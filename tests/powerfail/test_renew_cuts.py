"""One working pair (S8, S10): the power goes at every flash operation of a renewal's steps."""

import datetime as dt
from pathlib import Path

import cbor2
import pytest
from uward.vault import sealed

from tests.conftest import FIRMWARE
from tests.device import boot_kit as kit
from tests.device.pki import CLIENT, DEVICE, Identity

HERE = Path(__file__).parent
PLACES = (FIRMWARE, HERE, HERE.parent / "device")
RUN = "import json\nimport device_renew_cuts as it\nprint(json.dumps(it.renewed(*%r)))\n"


@pytest.fixture
def swept(unix, emit, tmp_path):
    """swept(works, careless) -> cuts, how often the old pair was shown after one, and the new."""

    def run(works=True, careless=False):
        ca = Identity("Devices", ca=True)
        old = Identity(DEVICE, ca, usage=[CLIENT], days=(-400, 30))
        new = Identity(DEVICE, ca, usage=[CLIENT], days=(-1, 700))
        own = {1: DEVICE, 2: old.secret, 3: bytes(32), 4: old.der, 5: bytes(64)}
        (tmp_path / "id").mkdir()
        sealed.write(kit.ROOT_SECRET, "/id/dev", cbor2.dumps(own), str(tmp_path))
        files = {
            "/id/root": kit.ROOT_SECRET.hex(),
            "/id/dev": (tmp_path / "id/dev").read_bytes().hex(),
        }
        now = int(dt.datetime.now(dt.timezone.utc).timestamp())
        given = files, new.secret.hex(), new.der.hex(), now, works, careless
        return emit(unix(RUN % (given,), timeout=280, path=PLACES, heap="24m"))

    return run


def test_a_cut_at_any_operation_leaves_one_working_pair(swept):
    cuts, old, new = swept()
    assert cuts >= 40
    assert old >= 20 and new >= 6 and old + new == cuts


def test_so_does_one_while_a_pair_that_the_broker_refuses_is_forgotten(swept):
    cuts, old, new = swept(works=False)
    assert cuts >= 40
    assert old >= 20 and new >= 1 and old + new == cuts


def test_the_sweep_catches_an_old_pair_that_goes_too_early(swept):
    """The proof of the test."""
    with pytest.raises(pytest.fail.Exception):
        swept(careless=True)
