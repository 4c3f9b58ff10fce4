"""`uward demo`: the main job, end to end, on a board that is not there."""

from pathlib import Path
from typing import Annotated, Any

import typer

from host_tools import strict, ui

BROKERS = ("embedded", "mosquitto")


def command(
    kind: Annotated[
        str, typer.Option("--target", metavar="picow|unix", help="Emulated Pico W, or Unix port.")
    ] = "picow",
    broker: Annotated[
        str, typer.Option(metavar="embedded|mosquitto", help="Which MQTT broker.")
    ] = "embedded",
    folder: Annotated[
        Path, typer.Option(metavar="DIR", help="Where it works; emptied first.")
    ] = Path(".demo"),
) -> None:
    """Watch the whole job: build, sign, flash, enrol, telemetry, one signed update, attacks.

    A throw-away fleet is made in DIR. Real firmware runs on an emulated Pico W (unmodified stock
    MicroPython), reads a recorded pulse from a modelled sensor, and talks to a real broker.

    Example: uward demo --target unix
    """
    do_demo(kind, broker, folder)


def do_demo(kind: str, broker: Any, folder: Path) -> None:
    """Run the story, each line as it happens, then its table. Raises HostError."""
    from host_tools.demo.story import Story

    strict.choice("broker", broker, BROKERS)
    _refuse_foreign(folder)
    story = Story(folder, kind, broker, lambda line: ui.note(line))
    story.run()
    rows = [
        {
            "what": step.what,
            "outcome": step.outcome,
            "seconds": f"{step.seconds:.1f}",
            "emulated_s": None if step.emulated is None else f"{step.emulated:.1f}",
        }
        for step in story.steps
    ]
    if ui.json_mode:
        ui.result({"steps": rows, **story.closing()})
        return
    ui.table(rows, ("what", "outcome", "seconds", "emulated_s"), "nothing happened")
    ui.result(story.closing())


def _refuse_foreign(folder: Path) -> None:
    """The folder is emptied: it must be ours."""
    from host_tools.errors import UsageError

    if folder.exists() and any(folder.iterdir()) and not (folder / "fleet").is_dir():
        raise UsageError(f"{folder} is not empty and no demo's", "name another with --folder")
