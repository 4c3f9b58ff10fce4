"""`uward flash`: the generic, secret-free image of a board, onto the board or into a file."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from host_tools import project, ui
from host_tools.errors import UsageError
from host_tools.project import Project
from host_tools.verbs import target
from host_tools.verbs.options import Fleet, Force

if TYPE_CHECKING:
    from host_tools.image.layout import Slot


def command(
    images: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR|FILE", help="Signed images, or a whole image. Default: the last built."
        ),
    ] = None,
    kind: target.Kind = "serial",
    port: target.Port = "",
    name: target.Name = None,
    fleet: Fleet = None,
    drive: Annotated[
        Path | None, typer.Option(help="The BOOTSEL drive of an RP2040. Default: found.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the image there, flash nothing.")
    ] = None,
    ota_partitions: Annotated[
        bool,
        typer.Option(
            "--ota-partitions",
            help="ESP32: make room for two interpreters, so that MicroPython can be updated too.",
        ),
    ] = False,
    force: Force = False,
) -> None:
    """Write the whole generic image to a board, or to a file.

    That is the stock firmware, stage 0, your signed image, the recovery image and the trust
    document. The image holds no secret and is the same for every board of a class. Afterwards
    the board is in state `factory`: enrol it with `uward provision`. What it held before, keys
    included, is gone.

    With --out the image goes into a file, which `uward flash FILE` writes to boards later.

    Example: uward flash --target picow
    """
    found = project.load(fleet)
    ui.result(
        do_flash(
            found,
            kind,
            images=images,
            port=port,
            name=name,
            drive=drive,
            out=out,
            ota=ota_partitions,
            force=force,
        )
    )


def do_flash(
    found: Project,
    kind: str,
    *,
    images: Path | None = None,
    port: str = "",
    name: str | None = None,
    drive: Path | None = None,
    out: Path | None = None,
    ota: bool = False,
    force: bool = False,
) -> dict[str, Any]:
    """Build the full image, then flash it or write it to `out`. Everything is checked first."""
    import hashlib

    from host_tools.boards import catalogue
    from host_tools.flash import partitions, uf2
    from host_tools.image import full
    from host_tools.pki import files

    board = catalogue.load(target.board_name(found, kind))
    if ota:
        board = partitions.with_ota(board)
    if images is not None and images.is_file():
        image = files.read(images, "whole image")
    else:
        image = full.build(board, factory_files(found, board.name, images), ota=ota)
    made = {
        "board": board.name,
        "size": len(image),
        "sha256": hashlib.sha256(image).hexdigest(),
    }
    if out is not None:
        files.write(out, image, force=force)
        return {"image": os.path.relpath(out), **made}
    if kind == "serial" and board.flash.format == "uf2":
        uf2.write(image, drive or uf2.find())
    else:
        with target.open_target(found, kind, port=port, name=name) as there:
            there.board = board
            there.flash(image)
    return {"target": kind, "state": "factory", **made}


def factory_files(found: Project, board: str, images: Path | None = None) -> dict[str, bytes]:
    """The factory file system (SPEC 3). Raises Refused for an image that devices would refuse."""
    from host_tools import keyring
    from host_tools.boards import catalogue
    from host_tools.image import layout

    folder = images or found.last_built(board)
    return layout.factory(
        catalogue.load(board),
        signed_image(found, board, folder / "image.img"),
        signed_image(found, board, folder / "recovery.img"),
        keyring.first_pins(found, board),
        keyring.documents(found),
    )


def signed_image(found: Project, board: str, path: Path, *, interpreter: bool = False) -> "Slot":
    """The image at `path` with the envelope beside it, judged as a device of `board` would.

    interpreter: MicroPython itself is taken too, which is released and never flashed as an image.
    """
    from host_tools import keyring
    from host_tools.flash import partitions
    from host_tools.image import digests
    from host_tools.image.layout import Slot
    from host_tools.pki import files
    from host_tools.signing import author, suit

    if not path.is_file():
        raise UsageError(f"{os.path.relpath(path)}: no such image", "make it with `uward build`")
    image = files.read(path, "image")
    if not (interpreter and partitions.is_application(image)):
        build = digests.inspect(image)
        if build.board != board:
            raise UsageError(f"{os.path.relpath(path)} is for {build.board}, expected {board}")
    envelope_path = path.with_suffix(".suit")
    if not envelope_path.is_file():
        raise UsageError(f"{os.path.relpath(envelope_path)}: not signed yet", "run `uward sign`")
    envelope = files.read(envelope_path, "envelope")
    author.verify(envelope, keyring.current_trust(found))
    manifest = suit.parse(envelope).manifest
    check_image(manifest, image, found.class_id(board))
    return Slot(image, envelope)


def check_image(manifest: bytes, image: bytes, class_id: bytes) -> None:
    """Raises Refused unless `manifest` is for this image and this class."""
    from hashlib import sha256

    from host_tools.errors import Refused
    from host_tools.signing import author, suit

    if author.image_digest(manifest) != sha256(image).digest():
        raise Refused("the envelope is of another image", "sign this one: `uward sign --force`")
    got = suit.parameters(manifest)[suit.P_CLASS]
    if got != class_id:
        raise Refused(f"the envelope is for class {got.hex()}, expected {class_id.hex()}")
