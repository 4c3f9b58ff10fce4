"""`uward retire`: a device erases itself for good, and the papers that show it (S15)."""

import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from host_tools import project, ui
from host_tools.errors import Refused, UsageError
from host_tools.project import Project
from host_tools.verbs.options import Fleet, Passphrase

ROLE = "admin"
VALID_S = 300
WAIT_S = 60.0
COMMAND = "retire"
FOLDER = "retired"


def command(
    device: Annotated[str | None, typer.Argument(metavar="ID")] = None,
    fleet: Fleet = None,
    role: Annotated[str, typer.Option(metavar="ROLE[:HOLDER]", help="Who signs.")] = ROLE,
    cosign: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Sign as the second person, and send it.")
    ] = None,
    dump: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Close the case: a dump of the flash.")
    ] = None,
    unproven: Annotated[
        bool, typer.Option("--unproven", help="Close the case without a dump, and say so.")
    ] = False,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long to wait for the receipt.")
    ] = WAIT_S,
    passphrase_file: Passphrase = None,
) -> None:
    """Retire a device: two persons order it, it signs a receipt and erases its flash.

    1. `uward retire ID --role admin:anna` prepares the order. 2. `uward retire --cosign FILE
    --role admin:bert` sends it and keeps the device's signed receipt; the device erases itself
    when the collector has everything, keys first, and goes on after any power cut. 3. `uward
    retire ID --dump FILE` shows by a dump that all is erased, signs that, revokes its
    certificates and closes the record.

    Example: uward retire abcdefgh12345678 --role admin:anna
    """
    from host_tools.signing import keys
    from host_tools.verbs import send

    found = project.load(fleet)
    options = send.Options(role, VALID_S, wait, passphrase_file=passphrase_file)
    if cosign is not None:
        if device is not None:
            raise UsageError("--cosign FILE signs what is in the file: no ID")
        ui.result(do_cosign(found, cosign, options))
    elif device is None:
        raise UsageError("expected ID, or --cosign FILE")
    elif dump is not None or unproven:
        passphrase = keys.passphrase_from(passphrase_file)
        ui.result(do_close(found, device, role, dump, passphrase))
    else:
        ui.result(kept(found, send.do_send(found, device, COMMAND, {}, options)))


def do_cosign(found: Project, path: Path, options: Any) -> dict[str, Any]:
    """The second person. Raises Refused for a prepared command that is none of ours."""
    from host_tools.fleet import commands
    from host_tools.pki import files
    from host_tools.signing import cosign
    from host_tools.verbs import send

    payload, _ = cosign.split(commands.KIND, files.read(path, "prepared command"))
    asked = commands.parse(payload)
    if asked.name != COMMAND:
        raise Refused(f"{path}: expected the command retire, got {asked.name!r}")
    return kept(found, send.do_cosign(found, path, options))


def kept(found: Project, told: dict[str, Any]) -> dict[str, Any]:
    """Keep the receipt where the case's papers are; nothing while a signature is missing."""
    from host_tools.pki import files

    if told.get("outcome") != "done":
        return told
    path = found.folder(FOLDER) / f"{told['device']}.receipt"
    files.write(path, files.read(Path(told["answer"]), "receipt"), force=True)
    return {**told, "answer": os.path.relpath(path)}


def do_close(
    found: Project, device: str, role: str, dump: Path | None, passphrase: bytes | None
) -> dict[str, Any]:
    """Sign what became of it, revoke, mark. Raises Refused: no receipt, a dump that is not
    erased, the CA's or the admin's key is not here."""
    from host_tools import keyring
    from host_tools.boards import catalogue
    from host_tools.fleet import retirement
    from host_tools.fleet.inventory import RETIRED, Inventory
    from host_tools.pki import files
    from host_tools.pki.ca import Ca

    inventory = Inventory(found.folder("devices"))
    record = inventory.get(device)
    if record is None:
        raise UsageError(f"no device {device!r} in this fleet", "`uward devices` lists them")
    folder = found.folder(FOLDER)
    path = folder / f"{device}.receipt"
    if not path.is_file():
        raise Refused(
            f"{device} has given no receipt", "a device that is gone: `uward stolen` bars it"
        )
    data = None if dump is None else files.read(dump, "dump")
    if data is not None:
        retirement.check_erased(catalogue.load(record.board), data)
    ca = Ca.open(found.folder("ca"), passphrase=passphrase)
    (signer,) = keyring.signers(found, role, passphrase, [])[:1]
    closed = retirement.close(device, path.read_bytes(), data, int(time.time()), signer)
    files.write(folder / f"{device}.closed", closed, force=True)
    inventory.mark(device, RETIRED)
    ca.revoke_device(device, "cessationOfOperation")
    return {"device": device, "status": RETIRED, "proven": data is not None}
