"""Store, outbox and audit log under a hand that changes their files: event, index, loss.

A sample of bytes on CPython and MicroPython; all bytes of a store: `test_journal_tamper`.
"""

import pytest

SCRIPT = "device_vault_tamper"
KINDS = ("store", "outbox", "audit")


@pytest.mark.parametrize(("kind", "stride"), [("store", 97), ("outbox", 499), ("audit", 97)])
def test_a_changed_byte_costs_its_record_and_is_named(device, tmp_path, kind, stride):
    tried, complaints = device(SCRIPT, "flips", kind, str(tmp_path / "v"), stride, 5)
    assert complaints == []
    assert tried > 15


@pytest.mark.parametrize("kind", KINDS)
def test_segments_that_are_moved_or_cut_are_named(device, tmp_path, kind):
    assert device(SCRIPT, "moves", kind, str(tmp_path / "v")) == []


def test_yesterdays_outbox_is_seen_by_its_numbers(device, tmp_path):
    seen = device(SCRIPT, "yesterday", "outbox", str(tmp_path / "v"))
    assert seen == [[], "VaultRestored"]


def test_yesterdays_log_is_seen_by_its_head(device, tmp_path):
    seen = device(SCRIPT, "yesterday", "audit", str(tmp_path / "v"))
    assert seen == [[], "ProtocolError"]
