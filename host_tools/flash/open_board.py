"""A board whose console is open where a locked one was expected (SPEC 12; ADR 0082)."""

from host_tools.errors import DeviceError, Refused
from host_tools.flash.console import Console, RemoteError

ENTER_S = 10.0  # a REPL answers within a second, on a slow emulator in some; a locked board never
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
    message, hint = SAID.get(state, UNKNOWN)
    raise Refused(f"{port}: the board {message}", hint)


def _state(console: Console) -> int:
    """What stage 0 handed over, or -1 where there is none."""
    try:
        return int(console.exec(STATE).strip())
    except (RemoteError, ValueError):
        return -1
