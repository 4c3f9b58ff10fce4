"""Promise 3 for whole updates (T12): a cut at every flash operation of a board's life.

Here each operation is cut in one of the four ways, in turn; `make cuts` cuts each in all of them.
"""

import json
from pathlib import Path

import lives_kit
import pytest

from tests.conftest import FIRMWARE, run_unix
from tests.device import boot_kit as kit

HERE = Path(__file__).parent
HEAP = "32m"
LIVES = {  # what happens: the fewest flash operations that it can have
    "update": 50,  # judged, downloaded, tried, confirmed, floor raised
    "revert": 50,  # a trial that never proves itself
    "revoke": 90,  # two trust documents, a release by the new key, the revoked fallback erased
    "recover": 50,  # no slot is good: the recovery image installs
    "rebuild": 50,  # both copies of the boot record are lost
}
PAIRS = {"update": [2, 3], "revert": [2, 3, 4, 5], "revoke": [3, 4], "rebuild": [0]}


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lives")
    keys = folder / "keys"
    keys.mkdir()
    lives_kit.lay(folder, kit.Fleet(keys))
    return folder


@pytest.fixture
def lives(board, tmp_path):
    """lives(call) -> what `device_lives.call` returns."""

    def run(call):
        code = "import device_lives, json\nprint(json.dumps(device_lives.%s))\n" % call
        out = run_unix(code, tmp_path, 280, (FIRMWARE, HERE), HEAP)
        return json.loads(out.strip().splitlines()[-1])

    return run


def test_every_cut_of_a_life_leads_to_its_end(board, lives):
    found = lives("run(%r, %r)" % (str(board), tuple(LIVES)))
    for name, boots, operations, cuts, failures in found:
        print("%s: %d boots, %d operations, %d cuts" % (name, boots, operations, cuts))
        assert failures == [], name
        assert cuts == operations >= LIVES[name]


def test_every_second_cut_while_the_record_recovers(board, lives):
    for name, cuts, failures in lives("run_pairs(%r, %r)" % (str(board), PAIRS)):
        print("%s: %d pairs of cuts" % (name, cuts))
        assert failures == [], name
        assert cuts >= 10


def test_the_sweep_catches_an_order_that_loses_something(board, lives):
    failures = lives("broken(%r)" % str(board))
    assert any("the revoked fallback is disowned" in failure for failure in failures)


def test_a_full_flash_neither_stops_a_trial_nor_its_confirmation(board, lives):
    """The record is one inline file (S21): overwriting it needs no free block."""
    offered, downloading, trial, confirmed = lives("run_full(%r)" % str(board))
    assert [ran for ran, _ in offered + downloading] == ["a1.1"] * 4
    assert trial == confirmed == [["b1.2", ""]] * 2
