"""Flash an ESP32 with esptool: the image is written, then read back and compared."""

import subprocess
import sys
import tempfile
from pathlib import Path

from host_tools.boards.catalogue import Board
from host_tools.errors import DeviceError, Refused, UsageError

TIMEOUT_S = 900  # 8 MB at 115200 baud takes 12 minutes
BAUD = "460800"
BLANK = b"\xff"
SECTOR = 4096


def write(board: Board, image: bytes, port: str, *, stub: bool = True) -> None:
    """Write `image` (`image.full.build`) to the board at `port` and verify it. The chip is erased
    first, so that no old file system shows through. Raises DeviceError with esptool's reason."""
    parts = split(board, image)
    with tempfile.TemporaryDirectory() as folder:
        arguments: list[str] = []
        for offset, data in parts:
            path = Path(folder) / f"{offset:x}.bin"
            path.write_bytes(data)
            arguments += [hex(offset), str(path)]
        _esptool(board, port, stub, ["write-flash", "--erase-all", *arguments])
        _esptool(board, port, stub, ["verify-flash", *arguments])


def split(board: Board, image: bytes) -> list[tuple[int, bytes]]:
    """(flash offset, data) of the firmware and of the file system, each without its blank end."""
    flash = board.flash
    if flash.format != "esp":
        raise UsageError(f"{board.name} is not flashed with esptool")
    expected = flash.fs_offset - flash.firmware_offset + flash.fs_size
    if len(image) != expected:
        raise Refused(f"image is {len(image)} bytes, expected {expected} for {board.name}")
    middle = flash.fs_offset - flash.firmware_offset
    parts = [(flash.firmware_offset, image[:middle]), (flash.fs_offset, image[middle:])]
    return [(offset, _trim(data)) for offset, data in parts]


def _trim(data: bytes) -> bytes:
    """Without the blank sectors at its end; one sector at least."""
    used = len(data.rstrip(BLANK))
    return data[: max(SECTOR, -(-used // SECTOR) * SECTOR)]


def _esptool(board: Board, port: str, stub: bool, command: list[str]) -> None:
    chip = board.mcu.lower().replace("-", "")
    options = ["--chip", chip, "--port", port, "--baud", BAUD]
    options += [] if stub else ["--no-stub"]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "esptool", *options, *command],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise DeviceError(f"esptool {command[0]} took longer than {TIMEOUT_S} s") from error
    if done.returncode:
        raise DeviceError(f"esptool {command[0]} failed: {_reason(done)}", _hint(done))


def _reason(done: "subprocess.CompletedProcess[str]") -> str:
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    for line in lines:
        if "error" in line.lower() or "could not" in line.lower():
            return line
    return lines[-1] if lines else "it said nothing"


def _hint(done: "subprocess.CompletedProcess[str]") -> str:
    text = done.stdout + done.stderr
    if "busy" in text or "exclusively" in text:
        return "close the program that holds the port"
    if "Could not open" in text or "could not open" in text:
        return "plug the board in, or give the right --port"
    return "hold BOOT while you press RESET, then try again"
