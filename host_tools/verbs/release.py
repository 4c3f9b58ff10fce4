"""`uward release`: offer a signed image to the devices of its class."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from host_tools import project, ui
from host_tools.errors import Refused, UsageError
from host_tools.project import Project
from host_tools.verbs.flash import signed_image
from host_tools.verbs.options import Board, Fleet, Passphrase

if TYPE_CHECKING:
    from host_tools.fleet.releases import Release
    from host_tools.fleet.rollout import Plan


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
    canary: Annotated[
        str | None,
        typer.Option(metavar="SHARE", help="Only so many devices at first, such as 5%."),
    ] = None,
    then: Annotated[
        list[str] | None,
        typer.Option(metavar="SHARE", help="And then so many: 50%, all. Repeatable."),
    ] = None,
    halt_if_failing: Annotated[
        str, typer.Option(metavar="SHARE", help="Halt when so many of a stage's devices fail.")
    ] = "2%",
    passphrase_file: Passphrase = None,
    fleet: Fleet = None,
) -> None:
    """Offer a signed image to the devices of its class.

    Those that run an older one take it; `uward serve` takes it up at once. Devices check it
    themselves: signatures of `release` and `approver`, class, sequence and digest; then they
    try it, and keep it when they are well. A newer release takes the place of an older one
    that is still under way.

    With --canary the release goes out in stages: who is first is decided by a hash of the device's
    id. A stage ends when 9 of 10 of its devices have confirmed; the rollout halts when too many
    refuse, revert or fall silent. `uward rollout` shows it, halts and resumes it.

    With --withdraw a release is offered no more, and devices give up its download; who has
    installed it keeps it.

    Example: uward build --version 1.1.0 --sequence 2 && uward sign && uward release
    """
    found = project.load(fleet)
    if withdraw is not None:
        ui.result(do_withdraw(found, withdraw))
        return
    plan = _plan(canary, then, halt_if_failing)
    ui.result(do_release(found, board or found.board, images, passphrase_file, plan))


def do_release(
    found: Project,
    board: str,
    images: Path | None = None,
    passphrase_file: Path | None = None,
    plan: "Plan | None" = None,
) -> dict[str, Any]:
    """Publish the image in `images` into releases/. Raises Refused before anything is written.

    plan: in which stages; None: to everybody at once.
    """
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

    def before() -> None:
        _log(found, slot.envelope, passphrase_file)
        if plan is not None:
            _begin(found, releases.describe(slot.envelope, board), plan)

    made = releases.publish(
        where,
        slot.envelope,
        payload,
        board,
        found.class_id(board),
        before,
        patches,
    )
    facts = {"release": os.path.relpath(where / str(made.sequence)), **asdict(made)}
    return facts if plan is None else {**facts, "stages": [f"{one:.0%}" for one in plan.stages]}


def do_withdraw(found: Project, sequence: int) -> dict[str, Any]:
    """Take a release back. Raises Refused when there is none of this sequence."""
    from host_tools.fleet import releases

    made = releases.withdraw(found.folder("releases"), sequence)
    return {"withdrawn": made.sequence, "version": made.version, "board": made.board}


def _plan(canary: str | None, then: list[str] | None, halt: str) -> "Plan | None":
    """The stages that were asked for, or None. Raises UsageError."""
    from host_tools.fleet import rollout

    if canary is None:
        if then:
            raise UsageError("--then without a first stage", "add --canary 5%")
        return None
    shares = tuple(rollout.share(text) for text in (canary, *(then or ["all"])))
    return rollout.check(rollout.Plan(shares, rollout.share(halt)))


def _begin(found: Project, release: "Release", plan: "Plan") -> None:
    """The rollout's file is there before the release is: nobody hears of it too early."""
    from host_tools.fleet.inventory import Inventory
    from host_tools.fleet.rollouts import Rollouts

    inventory = Inventory(found.folder("devices"))
    Rollouts(found.folder("rollouts"), inventory, lambda payload: {}).begin(release, plan)


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
