"""`uward interpreter`: a MicroPython for ESP32, made ready to be signed and released."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from host_tools import project, ui
from host_tools.errors import Refused, UsageError
from host_tools.project import Project
from host_tools.verbs.build import IMAGE
from host_tools.verbs.options import Board, Fleet

ENVELOPE = "image.suit"


def command(
    firmware: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A stock image, or its application alone."),
    ],
    version: Annotated[str, typer.Option(help="Its version, such as 1.27.0.")],
    sequence: Annotated[
        int, typer.Option(help="Above that of every release so far: image and interpreter.")
    ],
    security_version: Annotated[
        int, typer.Option(help="Devices that confirmed it take none below.")
    ] = 1,
    board: Board = None,
    fleet: Fleet = None,
) -> None:
    """Take a MicroPython for ESP32 up for release.

    For boards that were flashed with --ota-partitions: they hold two interpreters, and go back
    to the old one when the new one does not get through the health check. Writes a folder with
    the application and its manifest, which `uward sign` signs and `uward release` offers.

    Not verified on hardware yet.

    Example: uward interpreter ESP32_GENERIC_S3.bin --version 1.28.0 --sequence 7
    """
    found = project.load(fleet)
    made = do_interpreter(
        found, board or found.board, firmware, version, sequence, security_version
    )
    ui.result(made)


def do_interpreter(
    found: Project,
    board_name: str,
    firmware: Path,
    version: str,
    sequence: int,
    security_version: int = 1,
) -> dict[str, Any]:
    """Write application and unsigned envelope. Raises Refused or UsageError, nothing written."""
    from host_tools.boards import catalogue
    from host_tools.flash import partitions
    from host_tools.pki import files
    from host_tools.signing import author

    board = catalogue.load(board_name)
    slot = partitions.ota_slot(board)
    application = partitions.interpreter(board, files.read(firmware, "firmware"))
    if len(application) > slot:
        raise Refused(f"interpreter: {len(application)} bytes do not fit into {slot}")
    manifest, _ = author.build_manifest(
        application,
        sequence,
        security_version,
        version,
        found.vendor_id,
        found.class_id(board.name),
        component="interpreter",
    )
    folder = found.image_folder(board.name, f"interpreter-{version}", sequence)
    if (folder / ENVELOPE).exists():
        raise UsageError(
            f"{os.path.relpath(folder)} is there already", "remove it, or raise --sequence"
        )
    files.write(folder / IMAGE, application)
    files.write(folder / ENVELOPE, author.sign(manifest))
    return {
        "image": os.path.relpath(folder / IMAGE),
        "board": board.name,
        "version": version,
        "sequence": sequence,
        "size": len(application),
        "payload_id": author.payload_id(manifest).hex(),
    }
