"""A board whose console is open: expected of one from the factory, refused of any other (SPEC 12;
ADR 0082)."""

import time

from host_tools.errors import DeviceError, Refused
from host_tools.flash.console import Console, RemoteError
from host_tools.targets.base import Target

ENTER_S = 10.0  # a REPL answers within a second, on a slow emulator in some; a locked board never
STARTS = 3  # how often a board is started whose stage 0 Ctrl-C ended
START_S = 2.0  # then its boot.py has taken Ctrl-C away, as its first statement
FACTORY, DEVELOPMENT = 0, 1
STATE = "from uward.boot import handover\nprint(handover.info['state'])"
SAID = {
    FACTORY: (
        "is in state factory: nothing to lock, and nothing locked",
        "`uward provision` enrols and locks it",
    ),
    DEVELOPMENT: (
        "is in state development: its console is open, and so were its keys",
        "`uward flash`, then `uward provision --replace`: new keys, its old ones revoked, locked",
    ),
}
UNKNOWN = (
    "opens a REPL and runs no image of uWard",
    "`uward flash`, then `uward provision`: that enrols and locks it",
)


def enter(board: Target) -> Console:
    """The console of a board from the factory, its image mounted. Raises Refused, DeviceError.

    Typed before boot.py's first statement, Ctrl-C opens a REPL with nothing behind it
    (docs/CONSOLE.md): such a board is started again.
    """
    port = board.console()
    for start in range(STARTS):
        if start:
            board.reset()
            time.sleep(START_S)
        console = Console(board.console())
        if _state(console) is not None:
            return console
        console.close()
    raise Refused(f"{port}: the board {UNKNOWN[0]}", UNKNOWN[1])


def refuse(port: str) -> None:
    """Raises Refused when a REPL answers at `port`; a program that ran there starts anew.

    Ctrl-C is typed for that: a byte among others to a locked board, which ignores it.
    """
    try:
        console = Console(port, ENTER_S)
    except DeviceError:
        return
    with console:
        state = _state(console)
        if state == DEVELOPMENT:
            console.start_and_leave("import machine\nmachine.reset()")
    message, hint = UNKNOWN if state is None else SAID.get(state, UNKNOWN)
    raise Refused(f"{port}: the board {message}", hint)


def _state(console: Console) -> int | None:
    """What stage 0 handed over, None where there is none."""
    try:
        return int(console.exec(STATE).strip())
    except (RemoteError, ValueError):
        return None
