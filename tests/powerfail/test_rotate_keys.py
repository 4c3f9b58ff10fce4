"""Key rotation: nothing lost, the old root nowhere in the raw flash, whenever the power goes."""

from pathlib import Path

import pytest

from tests.conftest import FIRMWARE

HERE = Path(__file__).parent


@pytest.fixture
def told(unix, emit):
    def run(call):
        code = "import json, device_rotate as r\nprint(json.dumps(r.%s))\n" % call
        return emit(unix(code, timeout=280, path=(FIRMWARE, HERE), heap="24m"))

    return run


def test_everything_is_sealed_anew_and_the_old_root_is_gone(told):
    assert told("rotated()") == [["root"], []]


def test_without_the_scrub_the_old_root_stays_readable(told):
    """The negative control: renaming over a key does not erase it (S14)."""
    assert told("old_segments_stay()") == ["root"]


def test_a_cut_anywhere_loses_nothing(told):
    """Each fifth operation here; each one in each of four ways is 780 cuts."""
    assert told("cuts(5, ('half',))") > 30


def test_two_cuts_in_a_row_lose_nothing(told):
    """A few here; `cuts(4, ('half',), 5)` is 1,584."""
    assert told("cuts(47, ('torn',), 31)") > 10


def test_damage_is_reported_as_before(told):
    before, after = told("damaged()")
    assert before == after and before


def test_the_command_is_refused_without_room_or_on_trial(told):
    trial, full, taken = told("orders()")
    assert trial[:2] == ["KeyRefused", "rotate: expected a confirmed image, got a trial"]
    assert full[0] == "VaultFull" and full[2] == 0
    assert taken == ["", 1]


def test_what_cannot_be_prepared_is_given_up(told):
    assert told("given_up()") == ["dev", "net", "policy0", "root"]


def test_with_a_chip_the_salt_changes(told):
    assert told("new_salt()") == [True, 39, True]
