"""The Unix port of MicroPython as a board: its file system is one file, its reset is a restart.

A program resets this board by ending its process (`sys.exit`); the target starts it again, as it
does after a crash. `power_cut` is SIGKILL: writes that reached the file stay, the rest is gone.
Ctrl-C interrupts boot.py and main.py; what runs at the raw REPL it does not (the port reads its
terminal raw there), so such a program ends by itself or by `reset`.
"""

import os
import pty
import secrets
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time
import tty
from collections.abc import Mapping, Sequence
from pathlib import Path

from host_tools.boards import cache, catalogue
from host_tools.errors import DeviceError, Refused, UsageError
from host_tools.targets.base import Target
from host_tools.targets.hub import READ_BYTES, ConsoleHub, Lines

BOOT = Path(__file__).with_name("unix_boot.py")
UID_BYTES = 8
QUICK_S = 0.5  # a process that lived shorter than this is started again after a pause
PAUSE_S = 0.2
END_S = 10
PPG_HZ = 100  # what firmware/uward/port/unix_i2c.py replays
PPG_BASE, PPG_SWING = 100_000, 2_000  # counts of 18 bits: a finger, and its pulse


class Unix(Target):
    """The board that lives in `folder`. heap_bytes: of MicroPython's heap; objects take twice
    the room that they take on a 32-bit board. env: added to the process's environment."""

    def __init__(
        self,
        folder: Path,
        *,
        heap_bytes: int | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.board = catalogue.load("unix")
        self.folder = folder
        self.heap_bytes = heap_bytes or self.board.heap_bytes
        self.env = dict(env or {})
        self.restarts = 0
        self._lock = threading.Lock()  # of `_on` and `_process`
        self._on = False
        self._process: subprocess.Popen[bytes] | None = None
        self._hub: ConsoleHub | None = None
        self._terminal = -1
        self._runner: threading.Thread | None = None

    @property
    def flash_path(self) -> Path:
        return self.folder / "flash.bin"

    def flash(self, image: bytes) -> None:
        if self._on:
            raise UsageError("the board is on", "stop it before you flash it")
        if len(image) != self.board.flash.size:
            raise Refused(f"image is {len(image)} bytes, expected {self.board.flash.size}")
        cache.write(self.flash_path, image)

    def start(self) -> None:
        if self._on:
            return
        if not self.flash_path.exists():
            raise UsageError(f"the board in {self.folder} was never flashed", "run uward flash")
        command = self._command()
        self.flash_path.with_name("flash.bin.rtc").unlink(missing_ok=True)
        self._terminal, device = pty.openpty()
        _plain(device)
        self._hub = ConsoleHub(self._type)
        self._on = True
        self._runner = threading.Thread(
            target=self._run, args=(command, device, self._hub), name="unix-board", daemon=True
        )
        self._process = self._spawn(command, device)
        self._runner.start()

    def stop(self) -> None:
        """Kill the process. The port has no orderly way down, and the file needs none."""
        if not self._on:
            return
        with self._lock:
            self._on = False
            self._kill()
        if self._runner is not None:
            self._runner.join(END_S)
        if self._hub is not None:
            self._hub.close()
        os.close(self._terminal)
        self._process = self._hub = self._runner = None

    def reset(self) -> None:
        if not self._on:
            raise DeviceError("the board is off")
        with self._lock:
            self._kill()

    def power_cut(self) -> None:
        self.stop()

    def console(self) -> str:
        if self._hub is None:
            raise DeviceError("the board is off, so it has no console")
        return self._hub.url

    def flash_dump(self) -> bytes:
        try:
            return self.flash_path.read_bytes()
        except FileNotFoundError as error:
            raise UsageError(f"the board in {self.folder} was never flashed") from error

    # what only this board can do

    def replay(self, waveform: Sequence[float], hz: float) -> None:
        """Play a PPG recording to the board's modelled MAX30102, from its next start on."""
        if hz != PPG_HZ:
            raise UsageError(f"the Unix board replays {PPG_HZ} Hz, not {hz}")
        low, high = min(waveform), max(waveform)
        scale = PPG_SWING / ((high - low) or 1.0)
        samples = (PPG_BASE + round((value - low) * scale) for value in waveform)
        path = self.folder / "ppg.bin"
        cache.write(path, b"".join(sample.to_bytes(3, "big") for sample in samples))
        self.env["UWARD_PPG"] = str(path.resolve())

    def strap(self, closed: bool) -> None:
        """Tie the console strap to ground, or let go of it."""
        if closed:
            self._strap.touch()
        else:
            self._strap.unlink(missing_ok=True)

    @property
    def _strap(self) -> Path:
        return self.folder / "strap"

    def _command(self) -> list[str]:
        beside = str(Path(sys.executable).parent)
        program = shutil.which("micropython", path=beside) or shutil.which("micropython")
        if program is None:
            raise DeviceError("there is no micropython command", "run make setup")
        heap = f"heapsize={self.heap_bytes}"
        return [program, "-X", heap, "-i", str(BOOT), str(self.flash_path.resolve())]

    def _spawn(self, command: list[str], device: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            stdin=device,
            stdout=device,
            stderr=device,
            env={**os.environ, **self._board_env(), **self.env},
            preexec_fn=_take_terminal,
            start_new_session=True,
        )

    def _board_env(self) -> dict[str, str]:
        return {"UWARD_UNIQUE_ID": self._uid(), "UWARD_STRAP": str(self._strap.resolve())}

    def _uid(self) -> str:
        path = self.folder / "uid.bin"
        if not path.exists():
            cache.write(path, secrets.token_bytes(UID_BYTES))
        return path.read_bytes().hex()

    def _run(self, command: list[str], device: int, hub: ConsoleHub) -> None:
        """Carry output and start the process again whenever it ended, until `stop`."""
        reader = threading.Thread(target=self._read, args=(self._terminal, hub), daemon=True)
        reader.start()
        process = self._process
        while process is not None:
            began = time.monotonic()
            process.wait()
            if self._on and time.monotonic() - began < QUICK_S:
                time.sleep(PAUSE_S)
            process = self._again(command, device)
        os.close(device)  # the reader meets the end of the terminal
        reader.join(END_S)

    def _again(self, command: list[str], device: int) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if not self._on:
                return None
            self.restarts += 1
            _plain(device)
            self._process = self._spawn(command, device)
            return self._process

    def _read(self, terminal: int, hub: ConsoleHub) -> None:
        lines = Lines(lambda line: self.on_line(line))
        while True:
            try:
                data = os.read(terminal, READ_BYTES)
            except OSError:
                return  # EIO: nobody has the other side open any more
            hub.publish(data)
            lines.feed(data)

    def _type(self, data: bytes) -> None:
        os.write(self._terminal, data)

    def _kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)


def _plain(device: int) -> None:
    """No echo, no line editing, no translation; Ctrl-C interrupts the program that runs."""
    tty.setraw(device)
    modes = termios.tcgetattr(device)
    modes[3] |= termios.ISIG
    modes[6][termios.VQUIT] = modes[6][termios.VSUSP] = b"\0"
    termios.tcsetattr(device, termios.TCSANOW, modes)


def _take_terminal() -> None:
    """In the child: make the pseudo-terminal its own, so that Ctrl-C reaches it."""
    import fcntl

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
