"""`uward release`: offer a signed image to the devices of its class."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from host_tools import project, ui
from host_tools.errors import Refused
from host_tools.project import Project
from host_tools.verbs.flash import signed_image
from host_tools.verbs.options import Board, Fleet, Passphrase


def command(
    images: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="Folder with the signed image. Default: last built."),
    ] = None,
    board: Board = None,
    withdraw: Annotated[
        int | None,
        typer.Option(metavar="SEQUENCE", help="Take this release back instead."),
    ] = None,
    passphrase_file: Passphrase = None,
    fleet: Fleet = None,
) -> None:
    """Offer a signed image to the devices of its class.

    Those that run an older one take it; `uward serve` takes it up at once. Devices check it
    themselves: signatures of `release` and `approver`, class, sequence and digest; then they
    try it, and keep it when they are well. A newer release takes the place of an older one
    that is still under way.

    With --withdraw a release is offered no more, and devices give up its download; who has
    installed it keeps it.

    Example: uward build --version 1.1.0 --sequence 2 && uward sign && uward release
    """
    found = project.load(fleet)
    if withdraw is not None:
        ui.result(do_withdraw(found, withdraw))
        return
    ui.result(do_release(found, board or found.board, images, passphrase_file))


def do_release(
    found: Project,
    board: str,
    images: Path | None = None,
    passphrase_file: Path | None = None,
) -> dict[str, Any]:
    """Publish the image in `images` into releases/. Raises Refused before anything is written."""
    from dataclasses import asdict

    from host_tools.fleet import releases
    from host_tools.pki import files
    from host_tools.signing import author

    folder = images or found.last_built(board)
    slot = signed_image(found, board, folder / "image.img", interpreter=True)
    encrypted = author.inspect(slot.envelope)["encrypted_for"] is not None
    payload = files.read(folder / "image.enc", "payload") if encrypted else slot.image
    where = found.folder("releases")
    patches = [
        files.read(folder / f"image.patch-{number}", "patch")
        for number in range(len(author.inspect(slot.envelope)["deltas"]))
    ]
    made = releases.publish(
        where,
        slot.envelope,
        payload,
        board,
        found.class_id(board),
        lambda: _log(found, slot.envelope, passphrase_file),
        patches,
    )
    return {"release": os.path.relpath(where / str(made.sequence)), **asdict(made)}


def do_withdraw(found: Project, sequence: int) -> dict[str, Any]:
    """Take a release back. Raises Refused when there is none of this sequence."""
    from host_tools.fleet import releases

    made = releases.withdraw(found.folder("releases"), sequence)
    return {"withdrawn": made.sequence, "version": made.version, "board": made.board}


def _log(found: Project, envelope: bytes, passphrase_file: Path | None) -> None:
    """Into the release log before any device hears of it, when role `log` has keys (SPEC 14)."""
    from host_tools import keyring
    from host_tools.fleet import limits
    from host_tools.signing import keys
    from host_tools.signing.roles import LOG

    trust = keyring.current_trust(found)
    if LOG.number in trust.roles:
        most = limits.ENVELOPE_BYTES - limits.LOG_PROOF_BYTES  # both come in one packet
        if len(envelope) > most:
            raise Refused(f"envelope: expected at most {most} bytes, got {len(envelope)}")
        passphrase = keys.passphrase_from(passphrase_file)
        signers = keyring.signers_here(found, LOG.name, passphrase, [])
        keyring.release_log(found).append(envelope, trust, signers)
