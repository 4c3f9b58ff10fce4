"""Retirement (S15, T18): nothing of a key is in the raw flash, whenever the power goes."""

from pathlib import Path

import pytest

from tests.conftest import FIRMWARE

HERE = Path(__file__).parent
SECRETS = ["old root", "root"]


@pytest.fixture
def told(unix, emit):
    def run(call):
        code = "import json, device_wipe as w\nprint(json.dumps(w.%s))\n" % call
        return emit(unix(code, timeout=280, path=(FIRMWARE, HERE), heap="16m"))

    return run


def test_a_dump_before_shows_the_root_and_its_older_copy_and_no_more(told):
    """Key source `flash`: from the root all else is derivable, and SPEC says so."""
    assert told("what_a_dump_shows()") == SECRETS


def test_removing_files_is_not_erasing_them(told):
    """The negative control: both copies of the root are still there."""
    assert told("removing_is_not_erasing()") == SECRETS


def test_nothing_is_left_without_a_block_device(told):
    left, (names, record) = told("scrubbed()")
    assert left == []
    assert names == ["boot.py", "rec"]
    assert record == ["0", "1", "retire"]


def test_every_block_is_erased_with_one(told):
    left, fed = told("raw()")
    assert left == 0
    assert fed >= 28  # each block: the watchdog of 8.4 s sees life


def test_a_cut_anywhere_is_followed_by_the_rest(told):
    """Each third operation here; each one in each way is 824 cuts (device_wipe.cuts(1, ...))."""
    assert told("cuts(3, ('half',))") > 50
    assert told("cuts(20, ('before', 'torn', 'after'))") > 20
    assert told("raw_cuts(1)") == 28


def test_the_receipt_is_acknowledged_before_the_erase(told):
    refused, looks, events, resumed = told("orders()")
    assert refused == ["BootRefused", "retire: expected a confirmed image, got a trial"]
    assert looks == [0, 0, 0, 0, 1]
    assert events == ["erase.intent", "erase.intent"]
    assert resumed == 1
