"""The collector's half of each device's data key (SPEC 6, S9; ADR 0055): one file a device, 0600.

Made when the device is enrolled and handed to it then; from then on the device keeps none of it.
The collector gives it back after each attestation that it believes, unless the device is barred.
"""

import secrets
from pathlib import Path

from host_tools.errors import DeviceError
from host_tools.pki import files, names

SHARE = 32  # bytes
FOLDER = "shares"


class Shares:
    """The shares in one folder, usually `shares/`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, device: str) -> Path:
        return self.folder / f"{names.check_device_id(device)}.key"

    def make(self, device: str) -> bytes:
        """A new share; one of an earlier enrolment opens nothing any more."""
        share = secrets.token_bytes(SHARE)
        files.write(self.path(device), share, secret=True, force=True)
        return share

    def get(self, device: str) -> bytes | None:
        """None for a device whose data tier needs no share. Raises DeviceError for a damaged
        file: another share would lock the device's data for good."""
        path = self.path(device)
        try:
            share = path.read_bytes()
        except FileNotFoundError:
            return None
        if len(share) != SHARE:
            raise DeviceError(f"{path}: expected {SHARE} bytes, got {len(share)}")
        return share
