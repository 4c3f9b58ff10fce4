"""`uward attest`: a device proves what runs on it, against the values that `uward build` wrote."""

import time
from typing import Annotated, Any

import typer

from host_tools import project, ui
from host_tools.errors import DeviceError, Refused, UsageError
from host_tools.project import Project
from host_tools.verbs.options import Fleet

WAIT_S = 60.0
POLL_S = 0.25
SHOWN = 16  # hex digits of a digest


def command(
    device: Annotated[str, typer.Argument(metavar="ID", help="Which device.")],
    fleet: Fleet = None,
    seconds: Annotated[float, typer.Option(help="How long to wait for its answer.")] = WAIT_S,
) -> None:
    """Ask a device what runs on it, and judge the signed answer.

    `uward serve` must run; it carries the question. The answer is an Entity Attestation Token
    (RFC 9711): digests of stage 0, image and trust document, boot state, key source, console.
    Exit code 1 unless the device is TRUSTED. On a board whose flash can be read (`uward doctor`)
    a copy of the keys attests as well as the original; two of them are seen.

    Example: uward attest k3v9x2m4q8w1z7t5 --json
    """
    result = do_attest(project.load(fleet), device, seconds)
    ui.result(result, _text(result))
    if result["status"] != "TRUSTED":
        reasons = "; ".join(result["reasons"])
        raise Refused(f"{device} is {result['status']}: {reasons}")


def do_attest(found: Project, device: str, seconds: float = WAIT_S) -> dict[str, Any]:
    """Ask, wait, and judge the token here again. Raises UsageError, DeviceError."""
    from host_tools.fleet import attestations, reference
    from host_tools.fleet.attestations import Folder
    from host_tools.fleet.inventory import Inventory

    record = Inventory(found.folder("devices")).get(device)
    if record is None:
        raise UsageError(f"no device {device!r} in this fleet", "`uward devices` lists them")
    folder = Folder(found.folder("attest"))
    before = folder.load(device)
    nonce = folder.ask(device)
    deadline = time.monotonic() + seconds
    while (answer := folder.load(device)) is None or answer.nonce != nonce.hex():
        if time.monotonic() > deadline:
            raise DeviceError(
                f"{device} did not answer in {seconds:.0f} s",
                "is `uward serve` running, and the device connected? `uward devices` shows both",
            )
        time.sleep(POLL_S)
    result = attestations.judged(
        record,
        bytes.fromhex(answer.token),
        nonce,
        lambda board: reference.load(found, board),
        before,
        time.time(),
    )
    return {
        "device": device,
        "status": result.status,
        "reasons": result.reasons,
        **result.facts,
        "token": result.token,
    }


def _text(result: dict[str, Any]) -> str:
    """As lines; the token, and the digests of stage 0's files in whole, are in the JSON alone."""
    shown = {key: value for key, value in result.items() if key != "token"}
    if "stage0" in shown:
        digests = shown["stage0"].items()
        shown["stage0"] = [f"{name} {value[:SHOWN] or 'absent'}" for name, value in digests]
    return ui.lines(shown)
