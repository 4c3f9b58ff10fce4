"""`uward ca`: the fleet's certificate authority: what ends when, who takes over, who is asked."""

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from host_tools import project, strict, ui
from host_tools.errors import Refused, UsageError
from host_tools.project import Project
from host_tools.verbs.options import Fleet, Passphrase

if TYPE_CHECKING:
    from host_tools.pki.ca import Ca
    from host_tools.pki.est_client import EstClient

COLUMNS = ("kind", "name", "ends", "days", "state", "note")
COLOURS = {"ended": "red", "renew": "yellow", "revoked": "dim", "ok": "green"}
DAYS_MAX = 10 * 365  # no certificate outlasts its CA anyway
SERVICES = ("broker", "collector")


def status(
    fleet: Fleet = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what is good and far.")] = False,
) -> None:
    """Show what ends when: CAs, revocation lists, certificates of broker, collector and devices.

    Devices that are fine are counted, not listed; --all lists them. Leaves with 1 when something
    has ended.

    Example: uward ca status
    """
    rows = do_status(project.load(fleet))
    shown = [row for row in rows if everything or ui.json_mode or not _quiet(row)]
    ui.table(shown, COLUMNS, "this fleet has no CA", paint=_paint)
    hidden = len(rows) - len(shown)
    if hidden:
        ui.note(f"{hidden} certificates of devices are fine; --all lists them")
    if any(row["state"] == "ended" for row in rows):
        raise Refused("something has ended", "`uward ca renew`, or devices that ask again")


def renew(
    service: Annotated[str, typer.Argument(metavar="broker|collector")],
    days: Annotated[
        int | None, typer.Option(metavar="N", help="How long it is valid; default: 398.")
    ] = None,
    fleet: Fleet = None,
    passphrase_file: Passphrase = None,
) -> None:
    """Renew the certificate of a service for the key that it has.

    `uward serve` does this itself a month before the end, and takes the new one while it runs.

    Example: uward ca renew broker
    """
    from host_tools.pki import leaf

    found = project.load(fleet)
    strict.choice("service", service, SERVICES)
    if days is not None and not 1 <= days <= DAYS_MAX:
        raise UsageError(f"--days is {days}, expected 1 to {DAYS_MAX}")
    life = None if days is None else datetime.timedelta(days=days)
    made = leaf.renew(open_ca(found, passphrase_file), found.folder(service), life)
    ui.result({"service": service, "serial": f"{made.serial_number:040x}", "ends": day_of(made)})


def lists(fleet: Fleet = None, passphrase_file: Passphrase = None) -> None:
    """Sign new revocation lists, each with the next number.

    `uward serve` does this itself at half their life.

    Example: uward ca lists
    """
    from host_tools.pki.ca import ISSUING

    ca = open_ca(project.load(fleet), passphrase_file)
    bases = [base for kind in ISSUING for base in ca.shelf.bases(kind)]
    ui.result({base: f"{len(ca.renew_crl(base))} bytes" for base in bases})


def revoke(
    serial: Annotated[str, typer.Argument(metavar="SERIAL", help="Hexadecimal.")],
    reason: Annotated[str, typer.Option(help="As RFC 5280 5.3.1 calls it.")] = "unspecified",
    fleet: Fleet = None,
    passphrase_file: Passphrase = None,
) -> None:
    """Revoke one certificate by its serial number.

    For a device that is gone there is `uward stolen`.

    Example: uward ca revoke 4f21c9 --reason keyCompromise
    """
    ca = open_ca(project.load(fleet), passphrase_file)
    full = serial.lower().rjust(40, "0")
    ca.revoke(full, reason)
    ui.result({"revoked": full, "reason": reason})


def sign(
    device: Annotated[str | None, typer.Argument(metavar="ID", help="Default: all.")] = None,
    fleet: Fleet = None,
    passphrase_file: Passphrase = None,
) -> None:
    """Sign what devices ask for while the CA's key needs a passphrase or a token.

    `uward serve` keeps such requests in est/ and delivers what is signed.

    Example: uward ca sign
    """
    found = project.load(fleet)
    ca = open_ca(found, passphrase_file)
    rows = [_signed(found, ca, *one) for one in _waiting(found, ca, device)]
    ui.table(rows, ("device", "outcome"), "nobody waits for a certificate")
    _all_good(rows)


def est(
    url: Annotated[str, typer.Argument(metavar="URL", help="https://HOST/.well-known/est")],
    anchor: Annotated[
        Path, typer.Option("--anchor", metavar="PEM", help="CA certificates that it must show.")
    ],
    certificate: Annotated[
        Path | None, typer.Option("--cert", metavar="PEM", help="How this host proves itself.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="PEM")] = None,
    user: Annotated[
        str, typer.Option(help="Instead: a name; the password is $UWARD_EST_PASSWORD, or asked.")
    ] = "",
    device: Annotated[str | None, typer.Option("--device", metavar="ID")] = None,
    lists_file: Annotated[
        Path | None, typer.Option("--crl", metavar="PEM", help="Its revocation list.")
    ] = None,
    fleet: Fleet = None,
) -> None:
    """Have a CA elsewhere sign what devices ask for, by EST (RFC 7030).

    Requests that wait in est/ go to /simpleenroll; what comes back must be for the device's own
    key and name and from the CA of /cacerts, which the broker trusts for devices from then on.

    Example: uward ca est https://ca.example.org/.well-known/est --anchor root.pem --user ward7
    """
    from host_tools.pki.est_client import EstClient, Login

    found = project.load(fleet)
    login = Login(certificate, key, user, _password() if user else "")
    client = EstClient(url, _certificates(anchor), login)
    rows = do_est(found, client, device, lists_file)
    ui.table(rows, ("device", "outcome"), "nobody waits for a certificate")
    _all_good(rows)


def do_status(found: Project) -> list[dict[str, Any]]:
    """One row a certificate or list, the worst first. Raises Refused without a CA."""
    from host_tools.pki import status as statuses
    from host_tools.pki.ca import Ca, utc_now

    now = utc_now()
    rows = statuses.rows(Ca.open(found.folder("ca")), now)
    return [
        {
            "kind": row.kind,
            "name": row.name,
            "ends": row.ends.date().isoformat(),
            "days": (row.ends - now).days,
            "state": row.state,
            "note": row.note,
            "serial": row.serial,
            "issuer": row.issuer,
        }
        for row in rows
    ]


def do_est(
    found: Project, client: "EstClient", device: str | None, lists_file: Path | None = None
) -> list[dict[str, Any]]:
    """Ask for each request that waits. Raises Refused and DeviceError when the CA is not there."""
    from host_tools.fleet import external
    from host_tools.fleet.est_service import make_registrar
    from host_tools.pki.ca import Ca

    ca = Ca.open(found.folder("ca"))
    waiting = _waiting(found, ca, device)
    trusted = client.cacerts()
    external.publish(found, trusted, lists_file)
    registrar = make_registrar(found, ca)
    rows: list[dict[str, Any]] = []
    for name, request in waiting:
        try:
            made, *_ = client.enroll(request, trusted)
            registrar.adopt(name, request, made)
            rows.append({"device": name, "outcome": f"until {day_of(made)}"})
        except Refused as error:
            rows.append({"device": name, "outcome": str(error), "refused": True})
    return rows


def open_ca(found: Project, passphrase_file: Path | None) -> "Ca":
    """The CA, its keys opened by the passphrase in a file or the environment."""
    from host_tools.pki.ca import Ca
    from host_tools.signing import keys

    return Ca.open(found.folder("ca"), passphrase=keys.passphrase_from(passphrase_file))


def _waiting(found: Project, ca: "Ca", device: str | None) -> list[tuple[str, bytes]]:
    from host_tools.fleet.est_service import make_registrar

    waiting = make_registrar(found, ca).waiting()
    if device is not None and device not in dict(waiting):
        raise UsageError(f"device {device!r} waits for no certificate")
    return [one for one in waiting if device in (None, one[0])]


def _signed(found: Project, ca: "Ca", device: str, request: bytes) -> dict[str, Any]:
    from cryptography import x509

    from host_tools.fleet.est_service import make_registrar

    try:
        made = x509.load_der_x509_certificate(make_registrar(found, ca).sign(device, request))
    except Refused as error:
        return {"device": device, "outcome": str(error), "refused": True}
    return {"device": device, "outcome": f"until {day_of(made)}"}


def _all_good(rows: list[dict[str, Any]]) -> None:
    refused = [row["device"] for row in rows if row.get("refused")]
    if refused:
        raise Refused(f"{len(refused)} of {len(rows)} requests were refused")


def _certificates(path: Path) -> Any:
    from cryptography import x509

    from host_tools.pki import files

    try:
        return x509.load_pem_x509_certificates(files.read(path, "anchor"))
    except ValueError as error:
        raise UsageError(f"{path}: expected certificates in PEM") from error


def _password() -> str:
    import os

    given = os.environ.get("UWARD_EST_PASSWORD") or ui.ask_secret("password of the EST server: ")
    if not given:
        raise UsageError("no password for the EST server", "set UWARD_EST_PASSWORD")
    return given


def _quiet(row: dict[str, Any]) -> bool:
    return row["state"] in ("ok", "revoked") and row["kind"] in ("device", "birth")


def _paint(column: str, value: Any) -> str:
    return COLOURS.get(str(value), "") if column == "state" else ""


def day_of(certificate: Any) -> str:
    """The last day of a certificate."""
    ends: datetime.datetime = certificate.not_valid_after_utc
    return ends.date().isoformat()
