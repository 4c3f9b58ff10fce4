"""Promise 3 for boot and update (T12): the power is cut at every flash operation, in four ways."""

import json
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
        return json.loads(out.strip().splitlines()[-1])

    return run


def release(folder):
    """-> envelope, payload, vendor, class in hex, of an image in which two flushes fall."""
    image = random.Random(3).randbytes(9 * 4096 + 77)
    envelope, payload = kit.Fleet(folder).release(image, sequence=2)
    return envelope.hex(), payload.hex(), kit.VENDOR.hex(), kit.CLASS.hex()


def test_the_boot_record_is_old_or_new(swept):
    assert swept("record_saves()") > 30


def test_the_sweep_catches_a_record_that_is_neither(swept):
    """The proof of the helper: two copies overwritten in a row are lost by some cut."""
    with pytest.raises(pytest.fail.Exception, match=r"BootRefused|after a cut"):
        swept("record_saves(True)")


def test_a_sealed_file_is_old_or_new(swept):
    assert swept("sealed_writes()") > 10


def test_an_install_leaves_what_runs_and_can_be_finished(swept, tmp_path):
    assert swept("installs(%r, %r, %r, %r, 1)" % release(tmp_path)) > 200


def test_no_block_is_copied_where_an_image_is_flushed(swept, tmp_path):
    """S21: what is flushed inside a block of littlefs is copied by the next append."""
    ours, plain = swept("erased(%r, %r, %r, %r)" % release(tmp_path))
    assert ours == plain - 2
