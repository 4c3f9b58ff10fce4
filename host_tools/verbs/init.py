"""`uward init`: a new fleet: CA, broker and collector identities, role keys, trust document."""

import contextlib
import datetime
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from host_tools import project, ui
from host_tools.errors import UsageError
from host_tools.project import Project
from host_tools.verbs.options import Force, Passphrase

PARTS = ("ca", "keys", "trust", "broker", "collector")
IGNORE = ".gitignore"
EMPTY = ("devices", "releases", "log")
HEIGHTS = (10, 15)
TRUST_LIFE_S = 2 * 365 * 24 * 3600  # a document is renewed yearly, with a year to spare
SERVICE_ROLES = ("time", "collector")  # used unattended: a passphrase would lock the services


@dataclass(frozen=True)
class Options:
    """What `uward init` was asked for; the values of a new uward.toml."""

    vendor: str | None = None
    name: str | None = None
    board: str | None = None
    host: str | None = None
    port: int | None = None
    est_port: int | None = None
    ssid: str | None = None
    height: int = 15
    passphrase_file: Path | None = None
    force: bool = False

    def values(self, folder: Path) -> dict[str, Any]:
        """The fields of a new uward.toml. Raises UsageError without a vendor."""
        if self.vendor is None:
            raise UsageError("who makes these devices? expected --vendor", "--vendor example.org")
        name = self.name or folder.resolve().name or "fleet"
        host = self.host or "127.0.0.1"
        port = 8883 if self.port is None else self.port
        return {
            "name": name,
            "vendor": self.vendor,
            "board": self.board or "rpi_pico_w",
            "date": datetime.datetime.now(datetime.timezone.utc).date(),
            "host": host,
            "port": port,
            "est_port": port + 1 if self.est_port is None else self.est_port,
            "broker": f"broker.{self.vendor}",
            "ssid": self.ssid or "",
        }


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The new fleet's folder.")],
    vendor: Annotated[
        str | None, typer.Option(metavar="DOMAIN", help="Your domain, such as example.org.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Default: the folder's name.")] = None,
    board: Annotated[str | None, typer.Option(help="Default: rpi_pico_w.")] = None,
    broker_host: Annotated[
        str | None, typer.Option(metavar="HOST", help="Where devices connect: 127.0.0.1.")
    ] = None,
    broker_port: Annotated[int | None, typer.Option(metavar="PORT", help="Default: 8883.")] = None,
    est_port: Annotated[
        int | None,
        typer.Option(
            metavar="PORT", help="Where devices enrol again: the broker's + 1; 0: nowhere."
        ),
    ] = None,
    ssid: Annotated[str | None, typer.Option(help="The Wi-Fi that devices join.")] = None,
    lms_height: Annotated[
        int,
        typer.Option(metavar="10|15", help="2^N signatures a key; 10 for a throw-away fleet."),
    ] = 15,
    passphrase_file: Passphrase = None,
    force: Force = False,
) -> None:
    """Make a fleet: CA, a key for each role, the first trust document.

    Also identities for the broker and the collector. Keys are files with mode 0600. With a
    passphrase all keys but those of the services are encrypted. An uward.toml that is there
    already is kept and its values count. With --force the fleet that was there is moved to
    DIR/old-<time>, never deleted.

    Example: uward init ward7 --vendor example.org --ssid ward7
    """
    options = Options(
        vendor=vendor,
        name=name,
        board=board,
        host=broker_host,
        port=broker_port,
        est_port=est_port,
        ssid=ssid,
        height=lms_height,
        passphrase_file=passphrase_file,
        force=force,
    )
    with ui.progress("making keys") as advance:
        made = do_init(folder, options, advance)
    ui.result(made)
    ui.note("take ca/root.key and keys/root off this machine; they sign almost nothing")


def do_init(folder: Path, options: Options, advance: ui.Advance) -> dict[str, Any]:
    """Make the fleet in `folder`. On any failure what was there before is unchanged."""
    if options.height not in HEIGHTS:
        raise UsageError(f"LMS height is {options.height}, expected 10 or 15")
    from host_tools import template

    given = folder / project.FILE
    _refuse_second(folder, options)
    with _staged(folder) as staging:
        if given.is_file() and not (folder / "ca").exists():
            _refuse_conflict(options, given)
            shutil.copy(given, staging / project.FILE)
        else:
            template.write(staging / project.FILE, options.values(folder))
        found = project.load(staging)
        made = _make(found, options, advance)
        _set_aside(folder, options)
        _move_in(staging, folder)
    return {"fleet": str(folder), "name": found.name, "board": found.board, **made}


def _make(found: Project, options: Options, advance: ui.Advance) -> dict[str, Any]:
    from host_tools import keyring, template
    from host_tools.pki import files
    from host_tools.pki.ca import Ca
    from host_tools.signing import keys, trust

    passphrase = keys.passphrase_from(options.passphrase_file)
    ca = Ca.create(found.folder("ca"), found.name, passphrase=passphrase)
    _make_services(found, ca)
    held = _make_roles(found, options.height, passphrase, advance)
    keys.create_kek(keyring.kek_path(found))
    document = _trust_document(held, ca.anchor())
    signers = keyring.signers(found, "root", passphrase, [])
    envelope = trust.sign(trust.encode_payload(document), signers)
    files.write(found.folder("trust") / "1", envelope)
    for name in EMPTY:
        found.folder(name).mkdir()
    files.write(found.root / IGNORE, template.IGNORE.encode())
    return {
        "fleet_id": document.fleet_id.hex(),
        "trust_document": f"version 1, {len(envelope)} bytes",
        "lms_signatures": 1 << options.height,
        "passphrase": passphrase is not None,
    }


def _make_services(found: Project, ca: Any) -> None:
    import ipaddress

    from host_tools.pki import leaf

    broker = found.broker
    try:
        ipaddress.ip_address(broker.host)
        dns, addresses = [broker.name], [broker.host]
    except ValueError:
        dns, addresses = sorted({broker.name, broker.host}), []
    leaf.make_broker(ca, found.folder("broker"), broker.name, dns, addresses)
    leaf.make_client(ca, found.folder("collector"), "collector")


def _make_roles(
    found: Project, height: int, passphrase: bytes | None, advance: ui.Advance
) -> dict[str, Any]:
    """A key for each holder of each role; returns `{role: trust.Holders}`."""
    from host_tools import keyring
    from host_tools.signing import cose, keys, trust
    from host_tools.signing.roles import BY_NAME

    made: dict[str, Any] = {}
    for name, role in found.roles.items():
        locked = None if name in SERVICE_ROLES else passphrase
        pairs: list[tuple[str, cose.PublicKey]] = []
        for holder in role.holders:
            path = keyring.key_path(found, name, holder)
            algorithm = BY_NAME[name].algorithms[0]
            if algorithm == cose.HSS_LMS:
                public = keys.create_lms(path, height, passphrase=locked, progress=advance)
            elif algorithm == cose.ESP256:
                public = keys.create_esp256(path, passphrase=locked)
            else:
                public = keys.create_ecdh(path, passphrase=locked)
            pairs.append((holder, public))
        made[name] = trust.Holders(role.threshold, tuple(pairs))
    return made


def _trust_document(held: dict[str, Any], anchor: bytes) -> Any:
    from host_tools.pki import names
    from host_tools.signing import trust
    from host_tools.signing.roles import BY_NAME

    now = int(time.time())
    return trust.TrustDocument(
        version=1,
        fleet_id=names.new_fleet_id(),
        issued=now,
        expires=now + TRUST_LIFE_S,
        roles={BY_NAME[name].number: holders for name, holders in held.items()},
        anchors=(anchor,),
    )


def _refuse_second(folder: Path, options: Options) -> None:
    there = [part for part in PARTS if (folder / part).exists()]
    if there and not options.force:
        raise UsageError(
            f"{folder} is a fleet already: {', '.join(there)}",
            "--force moves it to old-<time> and makes a new one: devices enrolled in it are lost",
        )


def _refuse_conflict(options: Options, given: Path) -> None:
    asked = [options.vendor, options.name, options.board, options.host, options.port, options.ssid]
    if any(value is not None for value in asked):
        raise UsageError(
            f"{given} is there and its values count", "leave the options out, or edit the file"
        )


@contextmanager
def _staged(folder: Path) -> Generator[Path, None, None]:
    """A folder beside the final places, on the same file system; gone afterwards."""
    existed = folder.exists()
    staging = folder / ".init"
    shutil.rmtree(staging, ignore_errors=True)  # of an init that was killed
    staging.mkdir(parents=True, mode=0o700)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if not existed:
            with contextlib.suppress(OSError):  # not empty: the fleet is in it
                folder.rmdir()


def _set_aside(folder: Path, options: Options) -> None:
    there = [part for part in (*PARTS, *EMPTY, project.FILE) if (folder / part).exists()]
    if not options.force or "ca" not in there:
        return
    old = folder / f"old-{datetime.datetime.now(datetime.timezone.utc):%Y%m%dT%H%M%S}"
    old.mkdir(mode=0o700)
    for part in there:
        (folder / part).rename(old / part)


def _move_in(staging: Path, folder: Path) -> None:
    """Rename everything to its place; uward.toml last, for it makes a folder a fleet."""
    for part in (*PARTS, *EMPTY):
        if (folder / part).is_dir() and part in EMPTY:
            continue
        (staging / part).rename(folder / part)
    if not (folder / IGNORE).exists():
        (staging / IGNORE).rename(folder / IGNORE)
    (staging / project.FILE).rename(folder / project.FILE)
