"""`uward release`: offer a signed image to the devices of its class."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from host_tools import project, ui
from host_tools.project import Project
from host_tools.verbs.flash import signed_image
from host_tools.verbs.options import Board, Fleet


def command(
    images: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="Folder with the signed image. Default: last built."),
    ] = None,
    board: Board = None,
    fleet: Fleet = None,
) -> None:
    """Offer a signed image to the devices of its class.

    Those that run an older one take it; `uward serve` takes it up at once. Devices check it
    themselves: signatures of `release` and `approver`, class, sequence and digest; then they
    try it, and keep it when they are well.

    Example: uward build --version 1.1.0 --sequence 2 && uward sign && uward release
    """
    found = project.load(fleet)
    ui.result(do_release(found, board or found.board, images))


def do_release(found: Project, board: str, images: Path | None = None) -> dict[str, Any]:
    """Publish the image in `images` into releases/. Raises Refused before anything is written."""
    from dataclasses import asdict

    from host_tools.fleet import releases
    from host_tools.pki import files
    from host_tools.signing import author

    folder = images or found.last_built(board)
    slot = signed_image(found, board, folder / "image.img")
    encrypted = author.inspect(slot.envelope)["encrypted_for"] is not None
    payload = files.read(folder / "image.enc", "payload") if encrypted else slot.image
    where = found.folder("releases")
    made = releases.publish(where, slot.envelope, payload, board, found.class_id(board))
    return {"release": os.path.relpath(where / str(made.sequence)), **asdict(made)}
