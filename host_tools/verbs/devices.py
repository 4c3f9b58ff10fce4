"""`uward devices`: which devices there are, and what each last said of itself."""

import datetime
from typing import Annotated, Any

import typer

from host_tools import project, ui
from host_tools.errors import UsageError
from host_tools.project import Project
from host_tools.verbs.options import Fleet

STATES = ("factory", "development", "locked", "retiring")
SHOWN = 10  # readings and events of one device


def command(
    device: Annotated[str | None, typer.Argument(metavar="ID", help="One device.")] = None,
    fleet: Fleet = None,
) -> None:
    """List the devices, or show one with readings and events.

    Example: uward devices --json
    """
    found = project.load(fleet)
    if device is None:
        columns = ("id", "board", "seen", "version", "slot", "trial", "state", "update")
        ui.table(do_devices(found), columns, "no devices yet: `uward provision` makes the first")
    else:
        facts = do_device(found, device)
        ui.result(facts, _text(facts))


def do_devices(found: Project) -> list[dict[str, Any]]:
    """One row a device. Raises UsageError for a damaged record."""
    from dataclasses import asdict

    from host_tools.fleet import inventory, service
    from host_tools.fleet.inventory import Inventory
    from host_tools.fleet.store import Store

    path = service.database_path(found)
    rows = [asdict(device) for device in Inventory(found.folder("devices"))]
    seen: dict[str, Any] = {}
    updates: dict[str, tuple[str, str] | None] = {}
    if path.is_file():
        store = Store(path, read_only=True)
        seen = inventory.last_seen(store)
        updates = {row["id"]: store.last_update(row["id"]) for row in rows}
        store.close()
    return [
        {**row, **_hello(seen.get(row["id"])), "update": _update(updates.get(row["id"]))}
        for row in rows
    ]


def do_device(found: Project, device: str) -> dict[str, Any]:
    """All about one device. Raises UsageError for an unknown one."""
    from dataclasses import asdict

    from host_tools.fleet import service
    from host_tools.fleet.store import Store

    rows = [row for row in do_devices(found) if row["id"] == device]
    if not rows:
        raise UsageError(f"no device {device!r} in this fleet", "`uward devices` lists them")
    facts: dict[str, Any] = {**rows[0], "readings": [], "events": []}
    path = service.database_path(found)
    if path.is_file():
        store = Store(path, read_only=True)
        facts["readings"] = [asdict(one) for one in store.readings(device, last=SHOWN)]
        facts["events"] = [asdict(one) for one in store.events(device, last=SHOWN)]
        store.close()
    return facts


def _update(told: tuple[str, str] | None) -> str | None:
    """How the last release stands on a device: `progress 8 of 31`, `reverted`."""
    return None if told is None else " ".join(part for part in told if part)


def _hello(seen: Any) -> dict[str, Any]:
    if seen is None:
        return {"seen": None}
    hello = seen.hello
    return {
        "seen": datetime.datetime.fromtimestamp(seen.seen).isoformat(" ", "seconds"),
        "version": hello.version,
        "sequence": hello.sequence,
        "security_version": hello.security_version,
        "slot": hello.slot,
        "trial": hello.trial,
        "state": STATES[hello.state] if hello.state < len(STATES) else str(hello.state),
        "trust_version": hello.trust_version,
        "free_heap": hello.free_heap,
        "samples_lost": hello.lost,
        "manifest_digest": hello.manifest_digest.hex(),
    }


def _text(facts: dict[str, Any]) -> str:
    plain = {key: value for key, value in facts.items() if not isinstance(value, list)}
    lines = [ui.lines(plain)]
    for one in facts["readings"]:
        lines.append(f"{_clock(one['time'])}  {one['name']} {one['value']} {one['unit']}")
    for one in facts["events"]:
        lines.append(f"{_clock(one['time'])}  event {one['name']}: {one['reason']}")
    return "\n".join(lines)


def _clock(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds).isoformat(" ", "seconds")
