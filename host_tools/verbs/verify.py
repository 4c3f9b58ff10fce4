"""`uward verify`: what an envelope says, and whether devices of this fleet would take it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from host_tools import project, ui
from host_tools.errors import Refused
from host_tools.project import Project
from host_tools.verbs.options import Fleet


def command(
    envelope: Annotated[Path, typer.Argument(help="A .suit file.")],
    image: Annotated[
        Path | None,
        typer.Argument(help="Its image or payload. Default: the one beside it, if any."),
    ] = None,
    fleet: Fleet = None,
) -> None:
    """Show an envelope and judge it as a device would.

    Judged are signatures, roles, class and, when it is there, the image. Exit code 1 says that
    devices of this fleet refuse it.

    Example: uward verify build/rpi_pico_w/1.0.0-1/image.suit
    """
    facts, error = do_verify(project.load(fleet), envelope, image)
    ui.result(facts)
    if error:
        raise error


def do_verify(
    found: Project, path: Path, image_path: Path | None = None
) -> tuple[dict[str, Any], Refused | None]:
    """(what the envelope says, why it is refused or None). Raises Refused for what is none."""
    from host_tools.pki import files
    from host_tools.signing import author

    envelope = files.read(path, "envelope")
    facts = author.inspect(envelope)
    facts["signatures"] = [f"{one['algorithm']} {one['kid']}" for one in facts["signatures"]]
    try:
        facts["signed_by"] = _judge(found, envelope, facts, _beside(path, image_path))
    except Refused as error:
        return {**facts, "verdict": "refused"}, error
    return {**facts, "verdict": "accepted"}, None


def _beside(path: Path, given: Path | None) -> Path | None:
    choices = [given] if given else [path.with_suffix(".enc"), path.with_suffix(".img")]
    return next((choice for choice in choices if choice.is_file() or choice == given), None)


def _judge(
    found: Project, envelope: bytes, facts: dict[str, Any], payload_path: Path | None
) -> list[str]:
    from hashlib import sha256

    from host_tools import keyring
    from host_tools.boards import catalogue
    from host_tools.pki import files
    from host_tools.signing import author, suit

    holders = author.verify(envelope, keyring.current_trust(found))
    if facts["vendor_id"] != found.vendor_id.hex():
        raise Refused(f"vendor is {facts['vendor_id']}, expected {found.vendor_id.hex()}")
    if facts["class_id"] not in {found.class_id(name).hex() for name in catalogue.names()}:
        raise Refused(f"class {facts['class_id']} is no board of this vendor")
    if payload_path is not None:
        data = files.read(payload_path, "image")
        manifest = suit.parse(envelope).manifest
        if sha256(data).digest() != author.image_digest(manifest):
            author.check_payload(manifest, data)
    return [f"{role}: {', '.join(names)}" for role, names in holders.items()]
