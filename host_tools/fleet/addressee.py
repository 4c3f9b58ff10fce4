"""Whom a command goes to: what the inventory and the collector know of a device."""

from host_tools.errors import DeviceError, UsageError
from host_tools.fleet import inventory, messages, service
from host_tools.fleet.inventory import Inventory
from host_tools.fleet.store import Store
from host_tools.project import Project
from host_tools.signing import cose


def identity(found: Project, device: str) -> cose.PublicKey:
    """The key that signs its answers. Raises UsageError for a device that is not in the fleet."""
    record = Inventory(found.folder("devices")).get(device)
    if record is None:
        raise UsageError(f"no device {device!r} in this fleet", "`uward devices` lists them")
    raw = bytes.fromhex(record.identity_public_key)
    members = {1: cose.KTY_EC2, 3: cose.ESP256, -1: cose.P256, -2: raw[:32], -3: raw[32:]}
    return cose.public_key(members)


def challenge(found: Project, device: str) -> bytes:
    """What proves to the device that this is meant for its present boot (S16)."""
    path = service.database_path(found)
    context = None
    if path.is_file():
        store = Store(path, read_only=True)
        context = store.latest_boot(device)
        store.close()
    if context is None:
        raise DeviceError(f"{device} has never said hello", "start `uward serve` and the device")
    return context


def emergency(found: Project, device: str) -> bool:
    """Whether its last hello spoke of break-glass."""
    path = service.database_path(found)
    if not path.is_file():
        return False
    store = Store(path, read_only=True)
    seen = inventory.last_seen(store).get(device)
    store.close()
    return seen is not None and bool(seen.hello.flags & messages.EMERGENCY)
