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
    """Write `image` (`image.full.build`) to the board at `port` and verify it. stub: let esptool
    load its flasher, which compresses. Raises DeviceError with esptool's reason."""
    _both(board, image, port, stub, ["write-flash", "verify-flash"])


def verify(board: Board, image: bytes, port: str, *, stub: bool = True) -> None:
    """Raises DeviceError unless the board at `port` holds `image`."""
    _both(board, image, port, stub, ["verify-flash"])


def _both(board: Board, image: bytes, port: str, stub: bool, commands: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        arguments: list[str] = []
        for offset, data in split(board, image):
            path = Path(folder) / f"{offset:x}.bin"
            path.write_bytes(data)
            arguments += [hex(offset), str(path)]
        for command in commands:
            _esptool(board, port, stub, [command, *arguments])


def split(board: Board, image: bytes) -> list[tuple[int, bytes]]:
    """(flash offset, data) of the firmware, without its blank end, and of the whole file system:
    a part of one would let blocks of an older one live on beside it."""
    flash = board.flash
    if flash.format != "esp":
        raise UsageError(f"{board.name} is not flashed with esptool")
    expected = flash.fs_offset - flash.firmware_offset + flash.fs_size
    if len(image) != expected:
        raise Refused(f"image is {len(image)} bytes, expected {expected} for {board.name}")
    middle = flash.fs_offset - flash.firmware_offset
    used = max(1, len(image[:middle].rstrip(BLANK)))
    firmware = image[: -(-used // SECTOR) * SECTOR]
    return [(flash.firmware_offset, firmware), (flash.fs_offset, image[middle:])]


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
    if "could not open" in text.lower():
        return "plug the board in, give the right --port, or close the program that holds it"
    return "hold BOOT while you press RESET, then try again"
