"""At most once (S16, T04): the power goes at every flash operation of two commands."""

from pathlib import Path

import pytest

from tests.conftest import FIRMWARE
from tests.device.command_kit import Kit

HERE = Path(__file__).parent
PLACES = (FIRMWARE, HERE, HERE.parent / "device")
RUN = "import json\nimport device_command_cuts as it\nprint(json.dumps(it.doses(*%r)))\n"


@pytest.fixture
def swept(unix, emit, tmp_path):
    """swept(careless) -> cuts, and how often an interrupted command was told."""

    def run(careless):
        kit = Kit(tmp_path)
        root = Path(kit.place(tmp_path))
        policy = kit.policy()
        kit.adopt(root, policy)
        files = {"/id/" + path.name: path.read_bytes().hex() for path in (root / "id").iterdir()}
        doses = [kit.command("dose", {"ml": 5}, ("anna", "bert")).hex() for _ in range(2)]
        out = unix(RUN % ((files, doses, careless),), timeout=280, path=PLACES, heap="24m")
        return emit(out)

    return run


def test_a_dose_is_given_at_most_once(swept):
    cuts, interrupted = swept(False)
    assert cuts >= 50
    assert interrupted >= 8  # and where nobody knows, the device says so


def test_the_sweep_catches_a_counter_that_is_written_late(swept):
    """The proof of the test: without the write before the execution some cut gives it twice."""
    with pytest.raises(pytest.fail.Exception, match="a dose was given twice"):
        swept(True)
