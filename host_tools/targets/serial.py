"""A real board on a serial port; the same interface, as far as a host can reach.

An RP2040 takes its image as UF2 in BOOTSEL mode, an ESP32 through esptool.
"""

import contextlib
import threading
from pathlib import Path

import serial

from host_tools.boards.catalogue import Board
from host_tools.errors import DeviceError, UsageError
from host_tools.flash import esp, uf2
from host_tools.flash.console import Console
from host_tools.targets.base import Target
from host_tools.targets.hub import READ_BYTES, Lines

READ_S = 0.2


class Serial(Target):
    """The board at `port`, of kind `board`. drive: its BOOTSEL drive, found when None.

    Lines are read from `start` until `console` gives the port away, and again after `start`.
    """

    def __init__(self, board: Board, port: str, *, drive: Path | None = None) -> None:
        if "serial" not in board.targets:
            raise UsageError(f"{board.name} has no serial port")
        self.board = board
        self.port = port
        self._drive = drive
        self._stop = threading.Event()
        self._reader: threading.Thread | None = None

    def flash(self, image: bytes) -> None:
        self.stop()
        if self.board.flash.format == "esp":
            esp.write(self.board, image, self.port)
        else:
            uf2.write(image, self._drive or uf2.find())

    def start(self) -> None:
        """Listen to the port. The board has its own power switch."""
        if self._reader is not None:
            return
        try:
            line = serial.serial_for_url(self.port, timeout=READ_S, exclusive=True)
        except (OSError, ValueError) as error:
            raise DeviceError(f"cannot open {self.port}: {error}") from error
        self._stop.clear()
        self._reader = threading.Thread(target=self._read, args=(line,), daemon=True)
        self._reader.start()

    def stop(self) -> None:
        """Let go of the port."""
        self._stop.set()
        if self._reader is not None:
            self._reader.join()
            self._reader = None

    def reset(self) -> None:
        """Reset through the REPL; a locked board needs its button."""
        with Console(self.console()) as console:
            console.start_and_leave("import machine\nmachine.reset()")

    def power_cut(self) -> None:
        raise UsageError("a real board's power is not ours to cut", "use --target picow")

    def console(self) -> str:
        self.stop()
        return self.port

    def flash_dump(self) -> bytes:
        raise UsageError(
            "this target does not read a real board's flash",
            "RP2040: picotool save --all; ESP32: esptool read-flash",
        )

    def _read(self, line: serial.Serial) -> None:
        lines = Lines(lambda text: self.on_line(text))
        with line, contextlib.suppress(OSError):  # unplugged: nothing more comes
            while not self._stop.is_set():
                lines.feed(line.read(max(1, min(READ_BYTES, line.in_waiting))))
