"""Write a UF2 to an RP2040 in BOOTSEL mode: the drive RPI-RP2, with INFO_UF2.TXT on it."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from host_tools.errors import DeviceError, Refused
from host_tools.image import uf2

INFO = "INFO_UF2.TXT"
BOARD_ID = "RPI-RP2"
INFO_BYTES = 4096  # more than any bootrom writes there
WAYS = "hold BOOTSEL while you plug the board in, or run machine.bootloader() on it"


def find() -> Path:
    """The one BOOTSEL drive that is mounted. Raises DeviceError for none or several."""
    drives = [place for place in _places() if is_drive(place)]
    if not drives:
        raise DeviceError(f"no {BOARD_ID} drive is mounted", WAYS)
    if len(drives) > 1:
        listed = ", ".join(map(str, drives))
        raise DeviceError(f"several {BOARD_ID} drives: {listed}", "name one with --drive")
    return drives[0]


def is_drive(path: Path) -> bool:
    """Is `path` the drive of an RP2040 bootrom?"""
    try:
        with open(path / INFO, encoding="ascii", errors="replace") as file:
            return f"Board-ID: {BOARD_ID}" in file.read(INFO_BYTES)
    except OSError:
        return False


def write(image: bytes, drive: Path) -> None:
    """Check `image` and copy it to `drive`. The board reboots when it has it all."""
    uf2.parse(image)
    if not is_drive(drive):
        raise Refused(f"{drive} is not an {BOARD_ID} drive: it has no right {INFO}", WAYS)
    free = shutil.disk_usage(drive).free
    if free < len(image):
        raise Refused(f"{drive} has room for {free} bytes, the image has {len(image)}")
    try:
        with open(drive / "uward.uf2", "wb") as file:
            file.write(image)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        hint = f"the board may hold half an image now: {WAYS}, and flash it again"
        raise DeviceError(f"writing to {drive} failed: {error}", hint) from error


def _places() -> Iterable[Path]:
    """Where systems mount drives: Linux desktops, macOS."""
    for root in ("/media", "/run/media", "/mnt", "/Volumes"):
        for pattern in ("*", "*/*"):
            yield from Path(root).glob(pattern)
