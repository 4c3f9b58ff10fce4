"""A flash that is full, 50,000 tiny records, records of 4 KB, strangers' files: nothing is lost.

On MicroPython's own littlefs, in the sizes of a Pico W; `make cuts` has 50,000 records where
these have some thousands.
"""

from pathlib import Path

import pytest

from tests.conftest import FIRMWARE

HERE = Path(__file__).parent
BOARD = 212  # blocks


@pytest.fixture
def on_flash(unix, emit):
    """on_flash(scenario, *arguments, blocks) -> its result."""

    def run(name, *arguments, blocks=BOARD):
        call = ", ".join([str(blocks), f"it.{name}", *map(str, arguments)])
        code = f"import json, device_vault_limits as it\nprint(json.dumps(it.on_flash({call})))"
        return emit(unix(code, timeout=280, path=(FIRMWARE, HERE), heap="24m"))

    return run


def test_thousands_of_tiny_values(on_flash):
    assert on_flash("tiny_sets", 4000) == [100, 4]


def test_thousands_of_tiny_packs(on_flash):
    """Readers that stop midway keep no file open: else the flash seems full and packs are lost."""
    assert on_flash("tiny_packs", 2000) == [2000, 0]


def test_tiny_records_until_the_flash_is_full(on_flash):
    kept, refusal = on_flash("tiny_records", 50_000, blocks=60)
    assert kept > 4500
    assert refusal == ["VaultFull", "vault: expected 8 free blocks of 60, got fewer"]


def test_values_of_4_kb(on_flash):
    kept, longer, more = on_flash("large_values", 60)
    assert kept == 9
    assert longer == ["LimitError", "vault: expected <= 4096 bytes, got 4097"]
    assert more == ["VaultFull", "store: expected <= 4 segments of values"]


def test_packs_of_4_kb(on_flash):
    sent, dropped, events = on_flash("large_packs", 100, 9)
    assert sent + dropped == 100 and sent >= 16
    assert events == {"out.dropped": dropped}


@pytest.mark.parametrize("left", [0, 1, 9])
def test_an_outbox_on_a_full_flash(on_flash, left):
    taken, refused, events, again = on_flash("full_outbox", left)
    assert taken > 40 and refused > 200 and taken + refused == 399
    assert events == {"out.dropped": refused}
    assert again is True
    assert on_flash("drained_while_full", left) == 60


@pytest.mark.parametrize("left", [0, 1, 9])
def test_an_audit_log_on_a_full_flash(on_flash, left):
    kept, (kind, message), after = on_flash("full_log", left)
    assert kept > 40 and after == kept + 2  # a start key, and the event
    assert kind == "VaultFull" and message.startswith("vault: expected ")


def test_a_folder_full_of_strangers_files(on_flash):
    assert on_flash("among_strangers", 120) == [True, ["store.tamper"]]


def test_nothing_that_was_kept_is_readable_in_the_raw_flash(unix, emit):
    """After thousands of writes, cleaning and deletion, in any encoding; old blocks included."""
    code = "import json, device_vault_scan as it\nprint(json.dumps(it.scanned(300)))"
    found, seen, planted = emit(unix(code, timeout=280, path=(FIRMWARE, HERE), heap="24m"))
    assert found == []
    assert seen == planted > 6  # the proof of the scan: planted in the open, each is found
