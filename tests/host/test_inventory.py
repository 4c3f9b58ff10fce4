"""Device records: strict on reading, never overwritten unasked."""

import json
import threading
from dataclasses import asdict

import pytest

from host_tools.errors import Refused, UsageError
from host_tools.fleet.inventory import STOLEN, Device, Inventory
from host_tools.pki import lock

KEY = "11" * 64
ALICE = Device("alice0123456789a", "unix", "e660", KEY, KEY, "0a1b", 1_790_000_000)


@pytest.fixture
def inventory(tmp_path):
    return Inventory(tmp_path / "devices")


def test_records_come_back(inventory):
    bob = Device("bob0123456789abcd", "esp32", "00", KEY, KEY, "02", 2, "6b6964")
    inventory.add(ALICE)
    inventory.add(bob)
    assert inventory.get(ALICE.id) == ALICE
    assert list(inventory) == [ALICE, bob]
    assert ALICE.pairing == bytes.fromhex(KEY)


def test_unknown_devices_are_none(inventory):
    assert inventory.get("unknown012345678") is None
    assert list(inventory) == []


def test_a_second_record_needs_replace(inventory):
    inventory.add(ALICE)
    other = Device(**{**asdict(ALICE), "board": "esp32"})
    with pytest.raises(Refused, match="exists and is not overwritten"):
        inventory.add(other)
    inventory.add(other, replace=True)
    assert inventory.get(ALICE.id).board == "esp32"


@pytest.mark.parametrize("name", ["../../etc/passwd", "short", "UPPERCASE01234567", ""])
def test_names_that_are_no_device_ids_are_refused(inventory, name):
    with pytest.raises(UsageError, match="device id: expected"):
        inventory.get(name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"board": 7}, "'board' is of the wrong type"),
        ({"enrolled": "x"}, "'enrolled' is of the wrong type"),
        ({"pairing_public_key": "11"}, "'pairing_public_key' must be 64 bytes, got 1"),
        ({"identity_public_key": "zz"}, "'identity_public_key' is not hexadecimal"),
        ({"next_public_key": "zz"}, "'next_public_key' is not hexadecimal"),
        ({"former_public_key": "11"}, "'former_public_key' must be 64 bytes, got 1"),
        ({"bord": "unix"}, "unknown key 'bord'"),
        ({"id": "bob0123456789abcd"}, "expected the record of alice"),
        ({"board": None}, "expected id, board"),
    ],
)
def test_damaged_records_are_named(inventory, change, message):
    values = {k: v for k, v in {**asdict(ALICE), **change}.items() if v is not None}
    inventory.folder.mkdir()
    inventory.path(ALICE.id).write_text(json.dumps(values))
    with pytest.raises(UsageError, match=message):
        inventory.get(ALICE.id)


@pytest.mark.parametrize("text", ["", "{", "[]", "7"])
def test_files_that_are_no_records_are_named(inventory, text):
    inventory.folder.mkdir()
    inventory.path(ALICE.id).write_text(text)
    with pytest.raises(UsageError, match=r"not a device record|expected an object"):
        inventory.get(ALICE.id)


def test_two_who_change_one_record_wait_for_each_other(inventory, monkeypatch):
    """One marks a device, the other notes its new key: neither change is lost."""
    inventory.add(ALICE)
    held, free = threading.Event(), threading.Event()

    def hold():
        with lock.held(inventory.folder / "lock", "it"):
            held.set()
            free.wait(60)

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(60)
    monkeypatch.setattr("host_tools.fleet.inventory.LOCK_S", 0)
    with pytest.raises(Refused, match=r"the inventory .* is in use by another process"):
        inventory.mark(ALICE.id, STOLEN)
    monkeypatch.setattr("host_tools.fleet.inventory.LOCK_S", 60)
    later = threading.Timer(0.2, free.set)
    later.start()
    inventory.change(ALICE.id, next_public_key="11" * 64)
    other.join(60)
    inventory.mark(ALICE.id, STOLEN)
    found = inventory.get(ALICE.id)
    assert (found.status, found.next_public_key) == (STOLEN, "11" * 64)
