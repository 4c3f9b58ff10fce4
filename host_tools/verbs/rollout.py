"""`uward rollout`: how staged releases stand; halt, resume or advance one."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from host_tools import project, ui
from host_tools.errors import UsageError
from host_tools.project import Project
from host_tools.verbs.options import Fleet

if TYPE_CHECKING:
    from host_tools.fleet.releases import Release
    from host_tools.fleet.rollout import State
    from host_tools.fleet.rollouts import Rollout, Rollouts

Sequence = Annotated[int, typer.Argument(metavar="SEQUENCE", help="Which release.")]


def show(fleet: Fleet = None) -> None:
    """List the staged releases: stage, and how its devices stand.

    Example: uward rollout show
    """
    columns = (
        "sequence", "version", "stage", "share", "devices", "offered", "trying", "confirmed",
        "failed", "status", "reason",
    )  # fmt: skip
    ui.table(do_show(project.load(fleet)), columns, "no staged release")


def halt(sequence: Sequence, fleet: Fleet = None) -> None:
    """Offer a release to nobody more; devices give up its download. Who has it keeps it.

    Example: uward rollout halt 7
    """
    ui.result(do_halt(project.load(fleet), sequence))


def resume(sequence: Sequence, fleet: Fleet = None) -> None:
    """Go on after a halt. Devices that have failed by now do not halt it again.

    Example: uward rollout resume 7
    """
    ui.result(do_resume(project.load(fleet), sequence))


def advance(sequence: Sequence, fleet: Fleet = None) -> None:
    """Begin the next stage now, though devices of this one have not confirmed.

    Example: uward rollout advance 7
    """
    ui.result(do_advance(project.load(fleet), sequence))


def do_show(found: Project) -> list[dict[str, Any]]:
    """One row a staged release, the newest first."""
    from host_tools.fleet import releases

    with _opened(found) as staged:
        known = reversed(releases.load_all(found.folder("releases")))
        rows = [(release, staged.get(release.sequence)) for release in known]
        return [_row(staged, release, one) for release, one in rows if one is not None]


def do_halt(found: Project, sequence: int) -> dict[str, Any]:
    from host_tools.fleet import rollout

    return _change(found, sequence, lambda one, failed: rollout.halted(one.state, "by hand"))


def do_resume(found: Project, sequence: int) -> dict[str, Any]:
    from host_tools.fleet import rollout

    return _change(found, sequence, lambda one, failed: rollout.resumed(one.state, failed))


def do_advance(found: Project, sequence: int) -> dict[str, Any]:
    from host_tools.fleet import rollout

    return _change(found, sequence, lambda one, failed: rollout.advanced(one.plan, one.state))


def _change(
    found: Project, sequence: int, decide: "Callable[[Rollout, tuple[str, ...]], State]"
) -> dict[str, Any]:
    """Change one rollout; `decide` is given it and the devices that have failed."""
    from host_tools.fleet import releases

    with _opened(found) as staged:
        known = {one.sequence: one for one in releases.load_all(found.folder("releases"))}
        if sequence not in known:
            raise UsageError(f"there is no release {sequence}", "`uward rollout show` lists them")
        release = known[sequence]
        changed = staged.change(
            sequence, lambda one: decide(one, _count(staged, release, one).failed)
        )
        return _row(staged, release, changed)


def _row(staged: "Rollouts", release: "Release", one: "Rollout") -> dict[str, Any]:
    now = _count(staged, release, one)
    return {
        "sequence": one.sequence,
        "version": release.version,
        "stage": f"{one.state.stage + 1} of {len(one.plan.stages)}",
        "share": f"{one.plan.stages[one.state.stage]:.0%}",
        "devices": now.chosen,
        "offered": now.offered,
        "trying": now.trying,
        "confirmed": now.confirmed,
        "failed": list(now.failed),
        "status": one.state.status,
        "reason": one.state.reason,
    }


def _count(staged: "Rollouts", release: "Release", one: "Rollout") -> Any:
    import time

    from host_tools.fleet import rollout

    devices, told = staged.devices(release), staged.told(one)
    return rollout.count(one.plan, one.state, one.payload_key, devices, told, time.time())


@contextmanager
def _opened(found: Project) -> "Generator[Rollouts]":
    """The rollouts, with what the collector's database knows if there is one."""
    from host_tools.fleet import rollouts, service
    from host_tools.fleet.inventory import Inventory
    from host_tools.fleet.store import Store

    folder, inventory = found.folder("rollouts"), Inventory(found.folder("devices"))
    path = service.database_path(found)
    if not path.is_file():
        yield rollouts.Rollouts(folder, inventory, lambda payload: {})
        return
    store = Store(path, read_only=True)
    try:
        yield rollouts.Rollouts(folder, inventory, rollouts.asking(store))
    finally:
        store.close()
