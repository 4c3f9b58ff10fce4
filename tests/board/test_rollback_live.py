"""A device's whole flash of an earlier boot, put back: seen at the next contact (T17)."""

import pytest

from tests.board.field import BOOT_S, Field


@pytest.fixture
def field(tmp_path):
    made = Field(tmp_path, "unix")
    made.make()
    with made:
        made.wait("hello 1.0.0", "hello", BOOT_S)
        yield made


def boots(field):
    """Off and on again, until it is heard."""
    since = len(field.services.notices)
    field.target.stop()
    flash = field.target.folder / "flash.bin"
    kept = flash.read_bytes()
    field.target.start()
    field.wait("hello 1.0.0", "hello", BOOT_S, since)
    return flash, kept


def test_a_flash_that_was_put_back_is_told_of_and_an_ordinary_boot_is_not(field):
    flash, kept = boots(field)
    boots(field)
    assert field.heard("event", "store.rollback") == []
    field.target.stop()
    flash.write_bytes(kept)
    field.target.start()
    told = field.wait("store.rollback", "event", BOOT_S)
    assert "an older one is back" in told.text
