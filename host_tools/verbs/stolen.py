"""`uward stolen`: a device is gone; from now on nobody believes it."""

from typing import Annotated, Any

import typer

from host_tools import project, ui
from host_tools.project import Project
from host_tools.verbs.options import Fleet, Passphrase


def command(
    device: Annotated[str, typer.Argument(metavar="ID", help="The device that is gone.")],
    fleet: Fleet = None,
    passphrase_file: Passphrase = None,
) -> None:
    """Bar a device: revoke its certificates, take and give it nothing more.

    A running `uward serve` takes nothing of it from its next message on, and ends its session
    when the new revocation list is there. Its record and readings stay. Coming back means
    `uward flash` and `uward provision --replace`.

    Example: uward stolen k3x9k3x9k3x9k3x9k3x9
    """
    from host_tools.signing import keys

    ui.result(do_stolen(project.load(fleet), device, keys.passphrase_from(passphrase_file)))


def do_stolen(found: Project, device: str, passphrase: bytes | None = None) -> dict[str, Any]:
    """Mark first: that needs no key. Raises UsageError for an unknown device, Refused when the
    CA's key is not here (then the mark stands, and the index names the certificates revoked)."""
    from host_tools.fleet.inventory import STOLEN, Inventory
    from host_tools.pki.ca import Ca

    ca = Ca.open(found.folder("ca"), passphrase=passphrase)
    Inventory(found.folder("devices")).mark(device, STOLEN)
    ca.revoke_device(device, "keyCompromise")
    revoked = [item.serial for item in ca.issued() if item.name == device]
    return {"device": device, "status": STOLEN, "revoked": revoked}
