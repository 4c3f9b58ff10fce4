"""Whom a command goes to: what the inventory and the collector know of a device."""

from host_tools.errors import DeviceError, UsageError
from host_tools.fleet import inventory, messages, service
from host_tools.fleet.inventory import Device, Inventory
from host_tools.fleet.store import Store
from host_tools.project import Project


def record(found: Project, device: str) -> Device:
    """Raises UsageError for a device that is not in the fleet."""
    known = Inventory(found.folder("devices")).get(device)
    if known is None:
        raise UsageError(f"no device {device!r} in this fleet", "`uward devices` lists them")
    return known


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
