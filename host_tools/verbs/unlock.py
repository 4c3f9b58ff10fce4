"""`uward unlock` and `uward lock`: the service console of a locked board (S17)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from host_tools import project, strict, ui
from host_tools.errors import DeviceError, Refused, UsageError
from host_tools.project import Project
from host_tools.verbs.options import Fleet, Passphrase

if TYPE_CHECKING:
    from host_tools.flash.service import Hello, ServiceConsole

ROLES = ("admin", "breakglass")

Line = Annotated[
    str, typer.Option("--port", metavar="PORT", help="Such as /dev/ttyACM0; of `uward run`: URL.")
]


def unlock(
    port: Line,
    fleet: Fleet = None,
    role: Annotated[str, typer.Option(metavar="admin|breakglass")] = "admin",
    wifi: Annotated[
        str | None,
        typer.Option(metavar="SSID", help="Change its network; password as in `provision`."),
    ] = None,
    command: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Hand over a signed command.")
    ] = None,
    recovery: Annotated[
        bool, typer.Option("--recovery", help="Restart it into the recovery image.")
    ] = False,
    stay: Annotated[
        bool, typer.Option("--stay", help="Leave it unlocked, until idle or `uward lock`.")
    ] = False,
    passphrase_file: Passphrase = None,
) -> None:
    """Unlock the service console of a locked board, and do one thing there.

    Tie the board's strap to ground (`uward boards NAME` says which pin), or send the command
    unlock-console; then the board shows a port. It is no REPL: the board states its id, signed,
    and takes an answer that as many holders of role admin sign as the trust document asks.
    Wrong answers lock it for 5 s, 10 s, 20 s, up to an hour, and a reset does not end that.

    Without an option its status is shown. What is typed after unlocking is not protected on the
    cable.

    Example: uward unlock --port /dev/ttyACM0 --wifi ward7
    """
    from host_tools.signing import keys

    strict.choice("role", role, ROLES)
    if sum((wifi is not None, command is not None, recovery)) > 1:
        raise UsageError("give one of --wifi, --command and --recovery")
    found = project.load(fleet)
    request = _request(found, wifi, command, recovery)
    passphrase = keys.passphrase_from(passphrase_file)
    ui.result(do_unlock(found, port, request, role=role, stay=stay, passphrase=passphrase))


def lock(port: Line, fleet: Fleet = None) -> None:
    """Close the service console of a board at once.

    Anybody at the port may do so. It closes by itself after 120 s without a valid request.

    A development board is not locked by this, and it says so: whoever held it could read its
    keys and change its files. `uward flash` and `uward provision --replace` give it new ones.

    Example: uward lock --port /dev/ttyACM0
    """
    ui.result(do_lock(project.load(fleet), port))


def do_unlock(
    found: Project,
    port: str,
    request: tuple[Any, ...],
    *,
    role: str = "admin",
    stay: bool = False,
    passphrase: bytes | None = None,
) -> dict[str, Any]:
    """Unlock, make one request, lock again unless `stay`. Raises Refused, DeviceError."""
    from host_tools import keyring
    from host_tools.flash.service import ServiceConsole

    signers = keyring.signers(found, role, passphrase, [])
    with ServiceConsole(port) as console:
        hello = _greeted(console, found)
        console.unlock(hello, signers)
        answer = console.ask(*request)
        if not stay and request[0] != "recovery":
            console.ask("close")
    shown: dict[str, Any] = {}
    if request[0] == "status":
        shown = dict(answer)
    elif request[0] == "command":
        shown = _result(found, hello.device, request[1], answer)
    return {"device": hello.device, "request": request[0], **shown}


def _result(found: Project, device: str, command: bytes, answer: Any) -> dict[str, Any]:
    """The device's signed word on a command. Raises Refused when it was not done."""
    from host_tools.fleet import commands
    from host_tools.fleet.inventory import Inventory

    record = Inventory(found.folder("devices")).get(device)
    if record is None or not isinstance(answer, bytes):
        raise Refused(f"{device}: expected a signed result, got another")
    result = commands.parse_result(answer, record)
    if (result.device, result.digest) != (device, commands.digest(command)):
        raise Refused("the answer is to another command")
    if result.outcome != "done":
        raise Refused(f"{result.outcome}: {result.event}: {result.detail}")
    return {"outcome": result.outcome, "detail": result.detail}


def do_lock(found: Project, port: str) -> dict[str, Any]:
    """Raises DeviceError when no console is open there, Refused when a REPL is."""
    from host_tools.flash.service import ServiceConsole

    with ServiceConsole(port) as console:
        hello = _greeted(console, found)
        console.ask("close")
    return {"device": hello.device, "console": "closed"}


def _greeted(console: "ServiceConsole", found: Project) -> "Hello":
    """Who is there. Raises Refused for a board that is open, DeviceError when nobody answers."""
    from host_tools.flash import open_board
    from host_tools.fleet.inventory import Inventory

    try:
        return console.hello(Inventory(found.folder("devices")))
    except DeviceError:
        console.close()
        open_board.refuse(console.port)
        raise


def _request(
    found: Project, wifi: str | None, command: Path | None, recovery: bool
) -> tuple[Any, ...]:
    from host_tools.pki import files

    if wifi is not None:
        return ("wifi", wifi, found.wifi_psk())
    if command is not None:
        return ("command", files.read(command, "signed command"))
    return ("recovery",) if recovery else ("status",)
