"""The emulated board in a process of its own: `python -m host_tools.targets.emulator.run DIR`.

DIR keeps the board: `flash.bin` (2 MB, written at power-off and at a power cut), `uid.bin`,
`secure-element.key` if an ATECC608 is fitted and, while the process runs, `state.json` (mode
0600) with the ports and the token of the control channel. With `--tied` the process ends, flash
kept, when its standard input closes.

The control channel is a TCP connection to 127.0.0.1 that carries one JSON object a line:
`{"token", "op", ...}` answered by `{"ok": true, ...}` or `{"error": sentence}`.
"""

import argparse
import asyncio
import json
import math
import os
import secrets
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from host_tools.boards import cache
from host_tools.targets.emulator import atecc
from host_tools.targets.emulator import board as emulated
from host_tools.targets.emulator.board import Board
from host_tools.targets.emulator.flash import Cut, PowerCut
from host_tools.targets.emulator.i2c import I2CBus
from host_tools.targets.emulator.max30102 import ADDRESS, Max30102
from host_tools.targets.emulator.net import Network
from host_tools.targets.hub import LOOPBACK, ConsoleHub

LINE_BYTES = 4 << 20  # a control line: a recording of some hours is the largest
IDLE_S = 0.02
CATCH_UP = 2.0  # see `Pace`: to the board its peers seem twice as slow then, no more
ELEMENT_SECRET = "secure-element.key"  # 32 bytes
UID_BYTES = 8


class Machine:
    """One board through all its power-ons."""

    def __init__(self, folder: Path, seed: int | None, pace: float | None) -> None:
        self.folder = folder
        self.seed = seed
        self.pace = pace
        self.network = Network()
        self.sensor = Max30102()
        self.board: Board | None = None
        self.paused = False
        self.leaving = False
        self.cut: Cut | None = None
        self.cuts = 0
        self.lived = 0.0  # emulated seconds of the power-ons before this one
        self._typed = bytearray()
        self.hub = ConsoleHub(self._typed.extend)

    @property
    def flash_path(self) -> Path:
        return self.folder / "flash.bin"

    def uid(self) -> bytes:
        """This board's unique id: drawn once, kept beside its flash."""
        path = self.folder / "uid.bin"
        if not path.exists():
            cache.write(path, secrets.token_bytes(UID_BYTES))
        return path.read_bytes()

    async def run(self) -> None:
        """Drive the board until `leaving`; a power cut switches it off."""
        while not self.leaving:
            if self.board is None or self.paused:
                await asyncio.sleep(IDLE_S)
                continue
            if self._typed:
                typed = bytes(self._typed)
                del self._typed[: len(typed)]
                self.board.send(typed)
            try:
                await self.board.astep()
            except PowerCut:
                self.cuts += 1
                self._power_off()
        self._power_off()

    def _devices(self) -> list[Any]:
        """The sensor, and a secure element where its slot's secret lies beside the flash."""
        secret = self.folder / ELEMENT_SECRET
        if not secret.exists():
            return [I2CBus({ADDRESS: self.sensor})]
        element = atecc.Atecc({atecc.SLOT: secret.read_bytes()})
        return [element, I2CBus({ADDRESS: self.sensor, atecc.ADDRESS: element})]

    def _power_off(self) -> None:
        if self.board is not None:
            self.network.drop_connections()
            cache.write(self.flash_path, self.board.flash_bytes())
            self.lived += self.board.seconds
            self.board = None
        self.cut = None

    # operations of the control channel; each returns what is added to the answer

    def on(self, request: dict[str, Any]) -> dict[str, Any]:
        if self.board is None:
            self._typed.clear()
            self.board = Board(
                self.flash_path.read_bytes() if self.flash_path.exists() else b"",
                network=self.network,
                devices=self._devices(),
                seed=self.seed,
                uid=self.uid(),
                pace=self.pace,
                catch_up=CATCH_UP,
            )
            self.board.simulator.bind_loop()
            self.board.on_output = self.hub.publish
            self.board.flash.cut = self.cut
        return {}

    def off(self, request: dict[str, Any]) -> dict[str, Any]:
        self._power_off()
        return {}

    def reset(self, request: dict[str, Any]) -> dict[str, Any]:
        self._powered().reset()
        return {}

    def pause(self, request: dict[str, Any]) -> dict[str, Any]:
        self.paused = bool(request.get("paused", True))
        return {}

    def cut_at(self, request: dict[str, Any]) -> dict[str, Any]:
        """Cut the power at flash operation `at`, counted from now (or from the next power-on)."""
        at, mode = int(request["at"]), str(request.get("mode", "half"))
        done = 0 if self.board is None else self.board.flash.operations
        self.cut = Cut(done + at, mode, int(request.get("seed", 0)))
        if self.board is not None:
            self.board.flash.cut = self.cut
        return {}

    def set_pace(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run at `rate` emulated seconds per second from now on, over power-ons; 0 runs free."""
        rate = float(request["rate"])
        if not 0 <= rate < math.inf:
            raise ValueError(f"pace {rate}, expected 0 or more")
        self.pace = rate or None
        if self.board is not None:
            self.board.set_pace(self.pace, CATCH_UP)
        return {}

    def net(self, request: dict[str, Any]) -> dict[str, Any]:
        """Set ports, refuse, delay_s, down, security, names; `drop` forgets all connections."""
        network = self.network
        if "ports" in request:
            network.ports = {int(guest): int(host) for guest, host in request["ports"].items()}
        if "refuse" in request:
            network.refuse = {int(port) for port in request["refuse"]}
        network.delay_s = float(request.get("delay_s", network.delay_s))
        network.down = bool(request.get("down", network.down))
        network.security = str(request.get("security", network.security))
        if "names" in request:
            network.names = None if request["names"] is None else set(request["names"])
        if request.get("drop"):
            network.drop_connections()
        return {"log": network.log}

    def ppg(self, request: dict[str, Any]) -> dict[str, Any]:
        """Replay `waveform` at `hz` on the sensor, if given; the sensor's counts."""
        if "waveform" in request:
            self.sensor.replay([float(value) for value in request["waveform"]], request["hz"])
        sensor = self.sensor
        return {"produced": sensor.produced, "fetched": sensor.fetched, "lost": sensor.lost}

    def pin(self, request: dict[str, Any]) -> dict[str, Any]:
        """Drive GPIO `number` from outside to `level`."""
        self._powered().mcu.gpio[int(request["number"])].set_input_value(bool(request["level"]))
        return {}

    def xip(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"modelled": emulated.set_xip_miss(int(request["cycles"]))}

    def dump(self, request: dict[str, Any]) -> dict[str, Any]:
        """Write the flash as it is now to flash.bin; the board goes on."""
        if self.board is not None:
            cache.write(self.flash_path, self.board.flash_bytes())
        return {"path": str(self.flash_path)}

    def status(self, request: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = {"core": emulated.CORE, "on": False, "cuts": self.cuts}
        answer["lived"] = self.lived
        if self.board is not None:
            flash = self.board.flash
            answer |= {
                "on": True,
                "seconds": self.board.seconds,
                "lived": self.lived + self.board.seconds,
                "resets": self.board.resets,
                "usb": self.board.connected,
                "operations": flash.operations,
                "erases": sum(flash.erases.values()),
                "programs": flash.programs,
                "stack": self.board.stack_used(),
            }
        return answer

    def leave(self, request: dict[str, Any]) -> dict[str, Any]:
        self.leaving = True
        return {}

    def _powered(self) -> Board:
        if self.board is None:
            raise ValueError("the board is off")
        return self.board


OPERATIONS: dict[str, Callable[[Machine, dict[str, Any]], dict[str, Any]]] = {
    "on": Machine.on,
    "off": Machine.off,
    "reset": Machine.reset,
    "pause": Machine.pause,
    "cut_at": Machine.cut_at,
    "pace": Machine.set_pace,
    "net": Machine.net,
    "ppg": Machine.ppg,
    "pin": Machine.pin,
    "xip": Machine.xip,
    "dump": Machine.dump,
    "status": Machine.status,
    "leave": Machine.leave,
}


def answer(machine: Machine, token: str, line: bytes) -> dict[str, Any]:
    """The answer to one control line. Whatever is wrong with it becomes one sentence."""
    try:
        request: dict[str, Any] = json.loads(line)
        if not secrets.compare_digest(str(request.get("token")), token):
            return {"error": "wrong token"}
        operation = OPERATIONS.get(str(request.get("op")))
        if operation is None:
            return {"error": f"no operation {request.get('op')!r}"}
        return {"ok": True, **operation(machine, request)}
    except (AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        return {"error": f"{type(error).__name__}: {error}"}


async def serve(machine: Machine, tied: bool) -> None:
    """Run the machine and its control channel."""
    token = secrets.token_hex(16)

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(json.dumps(answer(machine, token, line)).encode() + b"\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(client, LOOPBACK, 0, limit=LINE_BYTES)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: machine.leave({}))
    if tied:
        loop.add_reader(sys.stdin.fileno(), _parent_left, machine)
    state = {
        "pid": os.getpid(),
        "console": machine.hub.url,
        "control": server.sockets[0].getsockname()[1],
        "token": token,
    }
    path = machine.folder / "state.json"
    cache.write(path, json.dumps(state).encode())  # made by mkstemp: mode 0600
    try:
        await machine.run()
    finally:
        path.unlink(missing_ok=True)
        server.close()
        machine.hub.close()


def _parent_left(machine: Machine) -> None:
    if not os.read(sys.stdin.fileno(), 1):
        machine.leaving = True


def main() -> None:
    parser = argparse.ArgumentParser(description="one emulated Pico W")
    parser.add_argument("folder", type=Path, help="where its flash is kept")
    parser.add_argument("--seed", type=int, help="of its randomness; for tests only")
    parser.add_argument("--pace", type=float, default=1.0, help="0 runs free; default 1.0")
    parser.add_argument("--tied", action="store_true", help="end when standard input closes")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    machine = Machine(options.folder, options.seed, options.pace or None)
    asyncio.run(serve(machine, options.tied))


if __name__ == "__main__":
    main()
