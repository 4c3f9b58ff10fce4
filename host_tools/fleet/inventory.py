"""The devices of a fleet: one JSON record each, written at enrolment, and their last hello."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

from host_tools.errors import UsageError
from host_tools.fleet import codec, messages
from host_tools.fleet.store import Store
from host_tools.pki import files, lock, names
from host_tools.strict import nearest

KEY = 64  # bytes: x | y of a P-256 key
OPTIONAL = ("next_public_key", "former_public_key")
KEYS = ("pairing_public_key", "identity_public_key", *OPTIONAL)
ACTIVE, STOLEN, RETIRED = "active", "stolen", "retired"
STATUS = (ACTIVE, STOLEN, RETIRED)
LOCK_S = 10.0  # for one small file; whoever holds it longer has died


@dataclass(frozen=True)
class Device:
    """devices/<id>.json. Keys are hex; `enrolled` is unix seconds; no member is secret."""

    id: str
    board: str
    unique_id: str
    pairing_public_key: str
    identity_public_key: str
    certificate_serial: str
    enrolled: int
    group_kek: str = ""  # kid of the group KEK that it was given
    key_source: str = ""  # where its board-tier keys come from; "" in records of before
    status: str = ACTIVE  # of STATUS; only an active device is listened to, or given anything
    next_public_key: str = ""  # has a certificate, and no connection has proved it yet (SPEC 8)
    former_public_key: str = ""  # the identity key before this one

    @property
    def pairing(self) -> bytes:
        return bytes.fromhex(self.pairing_public_key)


@dataclass(frozen=True)
class Seen:
    """What a device last said of itself; `seen` is unix seconds."""

    seen: float
    hello: messages.Hello


class Inventory:
    """The records under one folder, usually `devices/`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, device_id: str) -> Path:
        return self.folder / f"{names.check_device_id(device_id)}.json"

    def add(self, device: Device, replace: bool = False) -> None:
        """Write a record. Raises Refused when there is one and `replace` is not given."""
        check(device, str(self.path(device.id)))
        text = json.dumps(asdict(device), indent=2) + "\n"
        files.write(self.path(device.id), text.encode(), force=replace)

    def get(self, device_id: str) -> Device | None:
        """The record of a device, or None. Raises UsageError for a damaged one."""
        path = self.path(device_id)
        try:
            data: object = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: not a device record: {error}") from error
        device = _record(data, str(path))
        if device.id != device_id:
            raise UsageError(f"{path}: expected the record of {device_id}, got {device.id}")
        return device

    def mark(self, device_id: str, status: str) -> Device:
        """Note what became of a device. Raises UsageError for an unknown one."""
        return self.change(device_id, status=status)

    def change(self, device_id: str, **members: str) -> Device:
        """Change members of a record that is there, one process after the other.

        Raises UsageError for an unknown device.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with lock.held(self.folder / "lock", f"the inventory {self.folder}", LOCK_S):
            device = self.get(device_id)
            if device is None:
                raise UsageError(
                    f"no device {device_id!r} in this fleet", "`uward devices` lists them"
                )
            changed = replace(device, **members)  # type: ignore[arg-type]
            self.add(changed, replace=True)
        return changed

    def __iter__(self) -> Iterator[Device]:
        for path in sorted(self.folder.glob("*.json")):
            device = self.get(path.stem)
            if device is not None:
                yield device


def _record(data: object, where: str) -> Device:
    if not isinstance(data, dict):
        raise UsageError(f"{where}: expected an object, got {type(data).__name__}")
    values = cast("dict[str, Any]", data)
    known = {field.name: field for field in fields(Device)}
    for key in values:
        if key not in known:
            raise UsageError(f"{where}: unknown key {key!r}", nearest(key, known))
    try:
        device = Device(**values)
    except TypeError as error:
        raise UsageError(f"{where}: expected {', '.join(known)}") from error
    check(device, where)
    return device


def check(device: Device, where: str) -> None:
    """Raises UsageError for a record that cannot be used."""
    names.check_device_id(device.id)
    wrong = [f.name for f in fields(Device) if not isinstance(getattr(device, f.name), f.type)]  # type: ignore[arg-type]
    if wrong:
        raise UsageError(f"{where}: {wrong[0]!r} is of the wrong type")
    if device.status not in STATUS:
        raise UsageError(f"{where}: status is {device.status!r}, expected {', '.join(STATUS)}")
    for name in KEYS:
        if name in OPTIONAL and not getattr(device, name):
            continue
        try:
            size = len(bytes.fromhex(getattr(device, name)))
        except ValueError as error:
            raise UsageError(f"{where}: {name!r} is not hexadecimal") from error
        if size != KEY:
            raise UsageError(f"{where}: {name!r} must be {KEY} bytes, got {size}")


def last_seen(store: Store) -> dict[str, Seen]:
    """device id -> its last hello, for `uward devices`."""
    return {
        device: Seen(when, messages.parse_hello(codec.decode(body)))
        for device, (when, body) in store.hellos().items()
    }
