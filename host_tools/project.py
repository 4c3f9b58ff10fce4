"""The project file `uward.toml`, read strictly, and the fleet's folder around it.

    uward.toml   what this file reads            releases/   what devices are offered
    ca/          certificate authority           devices/    one record a device
    keys/        role keys, group KEK            build/      images and envelopes
    trust/       trust documents, pins           log/        what happened
    boards/      emulated boards                 broker/ collector/  the services
    transparency/  the release log               rollouts/   staged releases

No secret stands in uward.toml: the Wi-Fi password comes from $UWARD_WIFI_PSK or keys/wifi.psk.
"""

import datetime
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from host_tools import strict
from host_tools.errors import UsageError

FILE = "uward.toml"
U32_MAX = 0xFFFFFFFF  # sequence and security version are u32 (SPEC 1)
VERSION_MAX = 32  # bytes of UTF-8; a version is a label, not a text
PSK_MIN, PSK_MAX = 8, 63  # characters of a WPA2 passphrase (IEEE 802.11 J.4)
SSID_MAX = 32  # bytes (IEEE 802.11 9.4.2.2)
PORT_MAX = 65535
ENTRY = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*")
HOLDER = re.compile(r"[a-z0-9][a-z0-9_]{0,31}")


@dataclass(frozen=True)
class Project_:
    """[project]: who makes what, for which board."""

    name: str
    vendor: str
    board: str


@dataclass(frozen=True)
class App:
    """[app]: what goes into the next image. `date` (midnight UTC) becomes the image's build
    time, so that the same project gives the same bytes at any time. `allow` names what the lint
    lets pass. An empty `folder` means the example app."""

    version: str
    sequence: int
    date: datetime.date
    security_version: int = 1
    folder: str = ""
    entry: str = "app.main"
    allow: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class Broker:
    """[broker]: where devices connect, and the name in the broker's certificate.

    est_port: where `uward serve` offers EST (RFC 7030) on the same host; 0 for not at all.
    """

    host: str
    port: int
    name: str
    est_port: int = 0


@dataclass(frozen=True)
class Wifi:
    """[wifi]: the network that devices join; its password stands elsewhere."""

    ssid: str = ""


@dataclass(frozen=True)
class Log:
    """[log]: a folder elsewhere that remembers what was signed; nothing is signed without it."""

    witness: str = ""


@dataclass(frozen=True)
class Role:
    """[roles.<role>]: how many of which holders must sign."""

    threshold: int = 1
    holders: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class Project:
    """A fleet's folder and what its uward.toml says."""

    root: Path
    project: Project_
    app: App
    broker: Broker
    wifi: Wifi
    log: Log
    roles: dict[str, Role]

    @property
    def name(self) -> str:
        return self.project.name

    @property
    def board(self) -> str:
        return self.project.board

    @property
    def vendor_id(self) -> bytes:
        """UUIDv5(DNS, vendor domain), 16 bytes (SPEC 1)."""
        from host_tools.pki import names

        return names.vendor_id(self.project.vendor)

    def class_id(self, board: str) -> bytes:
        """UUIDv5(vendor id, board name), 16 bytes (SPEC 1)."""
        from host_tools.pki import names

        return names.class_id(self.vendor_id, board)

    @property
    def build_time(self) -> int:
        """Unix seconds of midnight UTC on the app's date."""
        day = self.app.date
        return int(datetime.datetime(day.year, day.month, day.day, tzinfo=_UTC).timestamp())

    @property
    def app_folder(self) -> Path | None:
        return self.root / self.app.folder if self.app.folder else None

    def folder(self, name: str) -> Path:
        """A folder of the fleet: `keys`, `releases`, ..."""
        return self.root / name

    def image_folder(self, board: str, version: str, sequence: int) -> Path:
        """Where `build` puts, and `sign`, `flash` and `release` look for, one image."""
        return self.root / "build" / board / f"{version}-{sequence}"

    def last_built(self, board: str) -> Path:
        """The folder of the image that `build` made last; before there is one, where the
        project's own version will be."""
        made = list((self.root / "build" / board).glob("*/image.img"))
        if not made:
            return self.image_folder(board, self.app.version, self.app.sequence)
        return max(made, key=lambda path: path.stat().st_mtime_ns).parent

    @property
    def witness(self) -> Path | None:
        """The folder of [log] witness, or None when the fleet has none (S6)."""
        return self.root / self.log.witness if self.log.witness else None

    def wifi_psk(self) -> str:
        """The Wi-Fi password, from $UWARD_WIFI_PSK or keys/wifi.psk. Raises UsageError when
        there is none or it cannot be one."""
        path = self.root / "keys" / "wifi.psk"
        text = os.environ.get("UWARD_WIFI_PSK")
        if text is None and path.is_file():
            text = path.read_text("utf-8").rstrip("\r\n")
        if text is None:
            raise UsageError(
                f"no password for Wi-Fi {self.wifi.ssid!r}",
                f"set UWARD_WIFI_PSK, or write it to {path}",
            )
        if not PSK_MIN <= len(text) <= PSK_MAX:
            raise UsageError(
                f"the Wi-Fi password has {len(text)} characters, expected {PSK_MIN} to {PSK_MAX}"
            )
        return text


_UTC = datetime.timezone.utc


def find(folder: str | Path | None = None) -> Path:
    """The fleet's folder: `folder`, or $UWARD_FLEET, or the nearest one upwards that holds a
    uward.toml. Raises UsageError when there is none."""
    given = folder or os.environ.get("UWARD_FLEET")
    if given:
        root = Path(given)
        if not (root / FILE).is_file():
            raise UsageError(f"{root}: no {FILE} there", "make a fleet with `uward init`")
        return root.resolve()
    root = nearest()
    if root is None:
        raise UsageError(
            f"no {FILE} in {Path.cwd()} or above",
            "make a fleet with `uward init DIR`, or name one with --fleet",
        )
    return root


def nearest() -> Path | None:
    """The nearest folder upwards with a uward.toml, or None."""
    here = Path.cwd()
    return next((root for root in (here, *here.parents) if (root / FILE).is_file()), None)


def load(folder: str | Path | None = None) -> Project:
    """The project that `find(folder)` finds. Raises UsageError for anything unexpected in it."""
    root = find(folder)
    return parse(strict.load(root / FILE), root)


def parse(data: dict[str, Any], root: Path) -> Project:
    """A Project from the tables of uward.toml; `root` is the fleet's folder."""
    where = str(root / FILE)
    tables = {"project": Project_, "app": App, "broker": Broker, "wifi": Wifi, "log": Log}
    for key in data:
        if key not in (*tables, "roles"):
            raise UsageError(
                f"{where}: unknown table {key!r}", strict.nearest(key, [*tables, "roles"])
            )
    made = {key: _section(data, key, cls, where) for key, cls in tables.items()}
    project = Project(root=root, roles=_roles(data.get("roles", {}), where), **made)
    return checked(project)


def _section(data: dict[str, Any], key: str, cls: type[Any], where: str) -> Any:
    values = data.get(key, {})
    if not isinstance(values, dict):
        raise UsageError(f"{where}: {key!r} must be a table, written [{key}]")
    return strict.table(cls, values, f"{where}: [{key}]")  # type: ignore[arg-type]


def _roles(data: Any, where: str) -> dict[str, Role]:
    from host_tools.signing.roles import BY_NAME

    if not isinstance(data, dict):
        raise UsageError(f"{where}: 'roles' must be tables, written [roles.<role>]")
    given: dict[str, Any] = data  # type: ignore[assignment]
    for name in given:
        if name not in BY_NAME:
            raise UsageError(f"{where}: unknown role {name!r}", strict.nearest(name, BY_NAME))
    roles = {name: _section(given, name, Role, f"{where}: [roles]") for name in BY_NAME}
    return {name: _role(name, role, where) for name, role in roles.items()}


def _role(name: str, role: Role, where: str) -> Role:
    holders = role.holders or [name]
    for holder in holders:
        _expect(HOLDER.fullmatch(holder), where, f"holder {holder!r}: expected {HOLDER.pattern}")
    _expect(len(set(holders)) == len(holders), where, f"role {name}: a holder is named twice")
    _expect(
        1 <= role.threshold <= len(holders),
        where,
        f"role {name}: threshold is {role.threshold}, expected 1 to {len(holders)} (its holders)",
    )
    return Role(role.threshold, holders)


def checked(project: Project) -> Project:
    """`project` itself. Raises UsageError for a value that cannot be used."""
    from host_tools.boards import catalogue
    from host_tools.image import lint
    from host_tools.pki import names

    where = str(project.root / FILE)
    app, broker = project.app, project.broker
    try:
        catalogue.load(project.board)
        names.vendor_id(project.project.vendor)
    except UsageError as error:
        raise UsageError(f"{where}: {error}", error.hint) from error
    checks: list[tuple[object, str]] = [
        (1 <= len(app.version.encode()) <= VERSION_MAX, f"version is 1 to {VERSION_MAX} bytes"),
        (re.fullmatch(r"[A-Za-z0-9.+_-]+", app.version), "version is letters, digits and . + _ -"),
        (1 <= app.sequence <= U32_MAX, f"sequence is 1 to {U32_MAX}"),
        (0 <= app.security_version <= U32_MAX, f"security_version is 0 to {U32_MAX}"),
        (ENTRY.fullmatch(app.entry), f"entry is a module such as app.main, got {app.entry!r}"),
        (1 <= broker.port <= PORT_MAX, f"port is 1 to {PORT_MAX}"),
        (0 <= broker.est_port <= PORT_MAX, f"est_port is 0 to {PORT_MAX}"),
        (broker.est_port != broker.port, "est_port is another port than the broker's"),
        (len(project.wifi.ssid.encode()) <= SSID_MAX, f"ssid is at most {SSID_MAX} bytes"),
    ]
    for good, message in checks:
        _expect(good, where, message)
    for name in app.allow:
        if name not in lint.RULES:
            hint = strict.nearest(name, lint.RULES) or f"known: {', '.join(lint.RULES)}"
            raise UsageError(f"{where}: allow names {name!r}, which the lint does not know", hint)
    return project


def _expect(good: object, where: str, message: str) -> None:
    if not good:
        raise UsageError(f"{where}: {message}")
