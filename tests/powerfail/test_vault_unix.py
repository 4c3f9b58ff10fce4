"""The vault over MicroPython's own littlefs: cuts at every operation, a flash that is full."""

from pathlib import Path

import pytest

from tests.conftest import FIRMWARE

HERE = Path(__file__).parent


@pytest.fixture
def on_unix(unix, emit):
    def run(call):
        code = "import json\nimport device_vault_cuts as it\nprint(json.dumps(it.%s))\n"
        return emit(unix(code % call, timeout=280, path=(FIRMWARE, HERE), heap="24m"))

    return run


def test_the_store_is_old_or_new(on_unix):
    assert on_unix("settings(60)") > 300


def test_the_outbox_sends_the_same_bytes(on_unix):
    cuts, sealed = on_unix("packs(28)")
    assert cuts > 150 and sealed == 7


@pytest.mark.parametrize("blocks", [20, 30])
def test_a_full_flash_refuses_and_loses_nothing(on_unix, blocks):
    taken, refused = on_unix(f"full_flash({blocks})")
    assert taken > 0 and refused > 0
    assert taken + refused == 200


def test_the_audit_log(on_unix):
    assert on_unix("log(60)") == 61
