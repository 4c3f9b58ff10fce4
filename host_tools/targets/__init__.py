"""Where an agent runs; `open_target` makes the one that a verb was asked for."""

from pathlib import Path

from host_tools.boards import catalogue
from host_tools.errors import UsageError
from host_tools.targets.base import Target

KINDS = ("picow", "unix", "serial")


def open_target(
    kind: str, folder: Path, *, board: str = "rpi_pico_w", port: str = "", detach: bool = False
) -> Target:
    """The target `kind`: `picow` and `unix` live in `folder`, `serial` is `board` at `port`."""
    if kind == "picow":
        from host_tools.targets.picow import PicoW

        return PicoW(folder, detach=detach)
    if kind == "unix":
        from host_tools.targets.unix import Unix

        return Unix(folder)
    if kind == "serial":
        from host_tools.targets.serial import Serial

        if not port:
            raise UsageError("--target serial needs --port", "for example --port /dev/ttyACM0")
        return Serial(catalogue.load(board), port)
    raise UsageError(f"no target {kind!r}", f"there are {', '.join(KINDS)}")
