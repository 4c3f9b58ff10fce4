"""Promise 3 for boot and update (T12): the power is cut at every flash operation, in four ways."""

import random
from pathlib import Path

import pytest

from tests.conftest import FIRMWARE
from tests.device import boot_kit as kit

HERE = Path(__file__).parent
RUN = "import device_powerfail as scenarios\nprint(scenarios.%s)\n"


@pytest.fixture
def swept(unix):
    """swept(call) -> number of cuts; a state that is neither old nor new fails the test."""

    def run(call):
        out = unix(RUN % call, timeout=280, path=(FIRMWARE, HERE), heap="16m")
        return int(out.strip().splitlines()[-1])

    return run


def test_the_boot_record_is_old_or_new(swept):
    assert swept("record_saves()") > 30


def test_the_sweep_catches_a_record_that_is_neither(swept):
    """The proof of the helper: two copies overwritten in a row are lost by some cut."""
    with pytest.raises(pytest.fail.Exception, match=r"BootRefused|after a cut"):
        swept("record_saves(True)")


def test_a_sealed_file_is_old_or_new(swept):
    assert swept("sealed_writes()") > 10


def test_an_install_leaves_what_runs_and_can_be_finished(swept, tmp_path):
    fleet = kit.Fleet(tmp_path)
    image = random.Random(3).randbytes(9 * 4096 + 77)
    envelope, payload = fleet.release(image, sequence=2)
    ids = (kit.VENDOR.hex(), kit.CLASS.hex())
    call = "installs(%r, %r, %r, %r, 1)" % (envelope.hex(), payload.hex(), *ids)
    assert swept(call) > 200
