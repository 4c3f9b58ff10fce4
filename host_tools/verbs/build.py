"""`uward build`: firmware and app to one image."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from host_tools import project, ui
from host_tools.errors import UsageError
from host_tools.project import App, Project
from host_tools.verbs.options import Board, Fleet

IMAGE = "image.img"
RECOVERY = "recovery.img"
TIME_MAX = 0xFFFFFFFF  # build times are u32


def command(
    fleet: Fleet = None,
    board: Board = None,
    version: Annotated[str | None, typer.Option(help="Instead of the project's.")] = None,
    sequence: Annotated[int | None, typer.Option(help="Instead of the project's.")] = None,
    security_version: Annotated[int | None, typer.Option(help="Instead of the project's.")] = None,
    app: Annotated[Path | None, typer.Option(help="Folder of the program.")] = None,
    build_time: Annotated[
        int | None,
        typer.Option(
            envvar="SOURCE_DATE_EPOCH",
            help="Unix seconds that the image names. Default: the project's date.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for image.img and recovery.img.")
    ] = None,
) -> None:
    """Compile the agent and your program into one image.

    The recovery image, which only fetches a signed release, is made beside it, and
    reference.json with the digests that `uward attest` compares. The same sources, version
    and date give the same bytes, on any machine and at any time.

    Example: uward build --version 1.1.0 --sequence 2
    """
    found = project.load(fleet)
    changed = _changed(found.app, version, sequence, security_version)
    ui.result(
        do_build(
            project.checked(replace(found, app=changed)),
            board or found.board,
            app=app,
            build_time=build_time,
            out=out,
        )
    )


def do_build(
    found: Project,
    board_name: str,
    *,
    app: Path | None = None,
    build_time: int | None = None,
    out: Path | None = None,
) -> dict[str, Any]:
    """Write both images; returns what was made. Raises Refused or UsageError, nothing written."""
    import hashlib

    from host_tools.boards import catalogue
    from host_tools.fleet import reference
    from host_tools.image import build, sources
    from host_tools.image.digests import Build
    from host_tools.pki import files

    board = catalogue.load(board_name)
    facts = Build(
        version=found.app.version,
        sequence=found.app.sequence,
        security_version=found.app.security_version,
        time=_time(found.build_time if build_time is None else build_time),
        board=board.name,
        entry=found.app.entry,
        arch=board.mpy_arch,
        strap=board.strap_pin,
    )
    folder = app or found.app_folder or sources.EXAMPLE_APP
    images = build.images(board, facts, folder, found.app.allow)
    target = out or found.image_folder(board.name, facts.version, facts.sequence)
    files.write(target / RECOVERY, images.recovery, force=True)
    files.write(target / reference.FILE, _reference(facts, images, board), force=True)
    files.write(target / IMAGE, images.app, force=True)
    return {
        "image": os.path.relpath(target / IMAGE),
        "board": board.name,
        "version": facts.version,
        "sequence": facts.sequence,
        "security_version": facts.security_version,
        "size": len(images.app),
        "sha256": hashlib.sha256(images.app).hexdigest(),
        "recovery_size": len(images.recovery),
        "recovery_sha256": hashlib.sha256(images.recovery).hexdigest(),
    }


def _reference(facts: Any, images: Any, board: Any) -> bytes:
    """What `uward attest` compares with."""
    import hashlib

    from host_tools.fleet import reference
    from host_tools.image import layout

    return reference.Reference(
        facts.board,
        facts.version,
        facts.sequence,
        facts.security_version,
        hashlib.sha256(images.app).hexdigest(),
        hashlib.sha256(images.recovery).hexdigest(),
        reference.stage0({**layout.loose(), **layout.stage0(board)}),
    ).encoded()


def _changed(
    app: App, version: str | None, sequence: int | None, security_version: int | None
) -> App:
    return replace(
        app,
        version=app.version if version is None else version,
        sequence=app.sequence if sequence is None else sequence,
        security_version=app.security_version if security_version is None else security_version,
    )


def _time(seconds: int) -> int:
    if not 0 <= seconds <= TIME_MAX:
        raise UsageError(f"build time is {seconds}, expected unix seconds up to {TIME_MAX}")
    return seconds
