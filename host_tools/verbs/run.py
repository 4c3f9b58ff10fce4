"""`uward run`: keep a board running and show what it prints."""

import queue
import time
from pathlib import Path
from typing import Annotated

import typer

from host_tools import project, ui
from host_tools.project import Project
from host_tools.verbs import target
from host_tools.verbs.options import Fleet

LOOK_S = 0.5  # how soon Ctrl-C and the end of `seconds` are noticed


def command(
    kind: target.Kind = "picow",
    port: target.Port = "",
    name: target.Name = None,
    fleet: Fleet = None,
    ppg: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The pulse that an emulated board measures: one number a line, 100 a second. "
            "Default: a recording of heartpy's.",
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="End after so long; otherwise Ctrl-C ends it.")
    ] = None,
    strap: Annotated[
        bool, typer.Option("--strap", help="With the console strap of the board closed.")
    ] = False,
) -> None:
    """Power a board on and print its console until Ctrl-C.

    An emulated board keeps its flash. A locked board prints little and takes no input, but
    with --strap it answers `uward unlock --port URL`, the URL being said at the start.

    Example: uward run --target picow
    """
    found = project.load(fleet)
    do_run(found, kind, port=port, name=name, ppg=ppg, seconds=seconds, strap=strap)


def do_run(
    found: Project,
    kind: str,
    *,
    port: str = "",
    name: str | None = None,
    ppg: Path | None = None,
    seconds: float | None = None,
    strap: bool = False,
) -> None:
    """Run the board, its lines to the terminal. Raises DeviceError, UsageError."""
    from host_tools import pulse

    lines: queue.Queue[str] = queue.Queue()
    deadline = None if seconds is None else time.monotonic() + seconds
    there = target.open_target(found, kind, port=port, name=name)
    there.on_line = lines.put
    samples = pulse.load(ppg)
    with there:
        pulse.replay(there, samples)
        there.start()
        if strap:
            there.strap(True)
            ui.note(f"its console: {there.console()}")
        ui.note(f"{there.board.title} is running; Ctrl-C ends it")
        while deadline is None or time.monotonic() < deadline:
            _show(lines)
    while not lines.empty():
        _show(lines)


def _show(lines: "queue.Queue[str]") -> None:
    try:
        line = lines.get(timeout=LOOK_S)
    except queue.Empty:
        return  # nothing was said; look at the clock again
    ui.event({"line": line}, line)
