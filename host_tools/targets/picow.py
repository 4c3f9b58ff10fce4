"""The emulated Pico W as a target: a process of its own that keeps its flash in a folder.

A second `PicoW` on the same folder talks to the same board as long as its process lives.
"""

import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from host_tools.boards import cache, catalogue
from host_tools.errors import DeviceError, UsageError
from host_tools.image import uf2
from host_tools.targets.base import Target
from host_tools.targets.hub import LOOPBACK, READ_BYTES, Lines

READY_S = 180  # the first time, the fast core is built
ANSWER_S = 60
LEAVE_S = 30
POLL_S = 0.05


class PicoW(Target):
    """The board that lives in `folder`.

    seed: of its randomness, for tests. pace: emulated seconds per second; 0 runs free. detach:
    the board's process outlives this one until `close`; otherwise it ends, flash kept, with it.
    """

    def __init__(
        self, folder: Path, *, seed: int | None = None, pace: float = 1.0, detach: bool = False
    ) -> None:
        self.board = catalogue.load("rpi_pico_w")
        self.folder = folder.resolve()  # its process works in another directory
        self._options = [] if seed is None else ["--seed", str(seed)]
        self._options += ["--pace", str(pace)] + ([] if detach else ["--tied"])
        self._detach = detach
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._listening: socket.socket | None = None

    # the target interface

    def flash(self, image: bytes) -> None:
        contents = uf2.to_flash(image, self.board.flash.size)
        if self._state() is not None and self.ask("status")["on"]:
            raise UsageError("the emulated board is on", "stop it before you flash it")
        cache.write(self.folder / "flash.bin", contents)

    def start(self) -> None:
        if not (self.folder / "flash.bin").exists():
            raise UsageError(f"the board in {self.folder} was never flashed", "run uward flash")
        self._listen()
        self.ask("on")

    def stop(self) -> None:
        if self._state() is not None:
            self.ask("off")
        if not self._detach:
            self.close()

    def reset(self) -> None:
        self.ask("reset")

    def power_cut(self) -> None:
        self.ask("off")

    def console(self) -> str:
        return self._running()["console"]

    def flash_dump(self) -> bytes:
        if self._state() is not None:
            self.ask("dump")
        try:
            return (self.folder / "flash.bin").read_bytes()
        except FileNotFoundError as error:
            raise UsageError(f"the board in {self.folder} was never flashed") from error

    # what only an emulated board can do

    def fit_secure_element(self) -> None:
        """Solder an ATECC608 with a random secret onto the board; it is there from power-on."""
        cache.write(self.folder / "secure-element.key", secrets.token_bytes(32))

    def cut_at(self, operation: int, mode: str = "half", seed: int = 0) -> None:
        """Cut the power at the flash operation that is `operation` ahead (1 is the next)."""
        self.ask("cut_at", at=operation, mode=mode, seed=seed)

    def network(self, **changes: Any) -> list[tuple[str, int]]:
        """Set ports={guest: host}, refuse=[ports], delay_s, down, security, names; drop=True.
        Returns the (address, port) of every connection that the board opened so far."""
        return [(address, port) for address, port in self.ask("net", **changes)["log"]]

    def pace(self, rate: float) -> None:
        """Run at `rate` emulated seconds per second from now on; 0 runs free."""
        self.ask("pace", rate=rate)

    def replay(self, waveform: Sequence[float], hz: float) -> None:
        """Play a PPG recording to the board's MAX30102 (I2C0: SDA GP4, SCL GP5)."""
        self.ask("ppg", waveform=list(waveform), hz=hz)

    def sensor(self) -> dict[str, int]:
        """Samples that the MAX30102 `produced`, that were `fetched`, and that were `lost`."""
        answer = self.ask("ppg")
        return {key: answer[key] for key in ("produced", "fetched", "lost")}

    def strap(self, closed: bool) -> None:
        """Tie the console strap to ground, or let go of it."""
        self.ask("pin", number=self.board.strap_pin, level=not closed)

    def status(self) -> dict[str, Any]:
        """on, seconds (emulated, since power-on), lived (the same in all power-ons), resets, usb,
        operations, erases, programs, cuts, core."""
        return self.ask("status")

    def ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Send one operation of the control channel (`emulator/run.py`), return its answer."""
        state = self._running()
        if self._control is None:
            self._control = _connect(state["control"])
        request = {"token": state["token"], "op": operation, **arguments}
        try:
            self._control.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(_line(self._control))
        except (OSError, ValueError) as error:
            self._control.close()
            self._control = None
            raise DeviceError(
                f"the emulated board does not answer {operation}: {error}"
            ) from error
        if "error" in answer:
            raise DeviceError(f"the emulated board refuses {operation}: {answer['error']}")
        return answer

    def close(self) -> None:
        """End the board's process; its flash is kept."""
        state = self._state()
        if state is not None:
            self.ask("leave")
            _wait_for(lambda: not _alive(state["pid"]) or self._reaped(), LEAVE_S)
        for sock in (self._control, self._listening):
            if sock is not None:
                sock.close()
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait(LEAVE_S)
        self._control = self._listening = self._process = None

    # its process

    def _state(self) -> dict[str, Any] | None:
        """What state.json says of a process that lives; None without one."""
        try:
            state: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
        except (OSError, ValueError):
            return None
        return state if _alive(state["pid"]) and not self._reaped() else None

    def _reaped(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def _running(self) -> dict[str, Any]:
        state = self._state()
        if state is None:
            self._spawn()
            state = self._state()
        if state is None:
            raise DeviceError("the emulated board's process ended", self._complaint())
        return state

    def _spawn(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "state.json").unlink(missing_ok=True)
        command = [sys.executable, "-m", "host_tools.targets.emulator.run", str(self.folder)]
        with open(self.folder / "process.log", "wb") as log:
            self._process = subprocess.Popen(
                [*command, *self._options],
                cwd=cache.PROJECT,
                stdin=subprocess.DEVNULL if self._detach else subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C at the terminal is for the verb, not for it
            )
        _wait_for(lambda: (self.folder / "state.json").exists() or self._reaped(), READY_S)

    def _complaint(self) -> str:
        lines = (self.folder / "process.log").read_text("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "it left no message"

    def _listen(self) -> None:
        if self._listening is None:
            self._listening = _connect(int(self.console().rpartition(":")[2]))
            self._listening.settimeout(None)
            lines = Lines(lambda line: self.on_line(line))
            reader = threading.Thread(target=_read, args=(self._listening, lines), daemon=True)
            reader.start()


def _connect(port: int) -> socket.socket:
    try:
        return socket.create_connection((LOOPBACK, port), ANSWER_S)
    except OSError as error:
        raise DeviceError(f"the emulated board's port {port} is closed: {error}") from error


def _line(sock: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        part = sock.recv(READ_BYTES)
        if not part:
            raise ConnectionResetError("connection closed")
        data += part
    return data


def _read(sock: socket.socket, lines: Lines) -> None:
    try:
        while data := sock.recv(READ_BYTES):
            lines.feed(data)
    except OSError:
        return  # closed by `close`, or the board's process ended: there is nothing more to hear


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _wait_for(condition: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise DeviceError(f"the emulated board's process did nothing for {seconds} s")
        time.sleep(POLL_S)
