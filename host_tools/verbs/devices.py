"""`uward devices`: which devices there are, and what each last said of itself."""

import datetime
from typing import Annotated, Any

import typer

from host_tools import project, ui
from host_tools.errors import UsageError
from host_tools.project import Project
from host_tools.verbs.options import Fleet

QUARANTINED, RESTING, EMERGENCY = 1, 2, 4  # flags of a hello (SPEC 8)
SHOWN = 10  # readings and events of one device


def command(
    device: Annotated[str | None, typer.Argument(metavar="ID", help="One device.")] = None,
    fleet: Fleet = None,
) -> None:
    """List the devices, or show one with readings and events.

    What a device runs is told by its last verified attestation, not by itself:
    TRUSTED           attested, and everything is as this fleet built and signed it
    DEVELOPMENT       attested, but its console is an open REPL
    STALE             attested too long ago, or it did not answer when it connected
    UNKNOWN           never attested, or something on it is none of this fleet's
    CLONED            its identity was seen on two boards
    STOLEN, RETIRED   as reported: nothing of it is taken

    Example: uward devices --json
    """
    found = project.load(fleet)
    if device is None:
        columns = ("id", "board", "verdict", "seen", "version", "slot", "trial", "state", "update")
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
    devices = list(Inventory(found.folder("devices")))
    seen: dict[str, Any] = {}
    clones: dict[str, float | None] = {}
    updates: dict[str, tuple[str, str] | None] = {}
    if path.is_file():
        store = Store(path, read_only=True)
        seen = inventory.last_seen(store)
        clones = {device.id: store.last_event(device.id, "id.clone") for device in devices}
        updates = {device.id: store.last_update(device.id) for device in devices}
        store.close()
    return [
        {
            **asdict(device),
            **_hello(seen.get(device.id)),
            **_attested(found, device, seen.get(device.id), clones.get(device.id)),
            "update": _update(updates.get(device.id)),
        }
        for device in devices
    ]


def do_device(found: Project, device: str) -> dict[str, Any]:
    """All about one device. Raises UsageError for an unknown one."""
    from dataclasses import asdict

    from host_tools.fleet import service, trail
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
        facts["log"] = _log(trail.latest(store, device))
        store.close()
    return facts


def _update(told: tuple[str, str] | None) -> str | None:
    """How the last release stands on a device: `progress 8 of 31`, `reverted`."""
    return None if told is None else " ".join(part for part in told if part)


def _log(log: Any) -> str | None:
    """How far the log of its latest boot is proved (S14)."""
    if log is None:
        return None
    if log.broken is not None:
        return f"{log.id.hex()}: NOT whole after entry {log.number}: {log.broken}"
    return f"{log.id.hex()}: whole, {log.number} entries, head {log.head.hex()[:16]}"


def _hello(seen: Any) -> dict[str, Any]:
    """What it said of itself last, as far as no decision rests on it."""
    if seen is None:
        return {"seen": None}
    return {
        "seen": _clock(seen.seen),
        "free_heap": seen.hello.free_heap,
        "samples_lost": seen.hello.lost,
        "policy": seen.hello.policy or None,
        "quarantined": bool(seen.hello.flags & QUARANTINED),
        "actuators_rest": bool(seen.hello.flags & RESTING),
        "emergency": bool(seen.hello.flags & EMERGENCY),
    }


def _attested(found: Project, device: Any, seen: Any, clone: float | None) -> dict[str, Any]:
    """What its last verified attestation says it is and runs."""
    import time

    from host_tools.fleet import attestations

    result = attestations.Folder(found.folder("attest")).load(device.id)
    at = seen.seen if seen else None
    verdict, reasons = attestations.standing(result, device, at, clone, time.time())
    facts: dict[str, Any] = result.facts if result else {}
    attested = None if result is None else _clock(result.time)
    return {"verdict": verdict, "reasons": reasons, "attested": attested, **facts}


def _text(facts: dict[str, Any]) -> str:
    lists = ("readings", "events")
    lines = [ui.lines({key: value for key, value in facts.items() if key not in lists})]
    for one in facts["readings"]:
        lines.append(f"{_clock(one['time'])}  {one['name']} {one['value']} {one['unit']}")
    for one in facts["events"]:
        lines.append(f"{_clock(one['time'])}  event {one['name']}: {one['reason']}")
    return "\n".join(lines)


def _clock(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds).isoformat(" ", "seconds")
