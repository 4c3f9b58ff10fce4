"""Releases as they are offered to devices and served in blocks (SPEC 8)."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

from host_tools.errors import DeviceError, HostError, Refused
from host_tools.fleet import limits
from host_tools.fleet.messages import Get, Hello
from host_tools.fleet.pace import Bucket
from host_tools.fleet.releases import (
    ENVELOPE,
    IMAGE,
    INTERPRETER,
    PATCH,
    PAYLOAD,
    RECORD,
    WITHDRAWN,
    Release,
    load,
)
from host_tools.signing import author

log = logging.getLogger(__name__)


class Withdrawn(Refused):
    """Blocks of a release that was taken back: a device gives its download up."""


class Releases:
    """What is offered to whom. Reads the folder again when it has changed.

    `admits`: whether a device may have a release yet (`rollouts`); by default every device may.
    """

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], float],
        admits: Callable[[Release, str], bool] = lambda release, device: True,
    ) -> None:
        self._folder = folder
        self._admits = admits
        self._clock = clock  # seconds, monotonic
        self._names: list[str] = []
        self._known: list[Release] = []
        self._withdrawn: set[int] = set()
        self._blocks: dict[bytes, list[bytes]] = {}  # payload id -> blocks, of one release
        self._budgets: dict[str, Bucket] = {}

    def names(self) -> list[str]:
        """What lies in the folder: another list means that something was published."""
        self._refresh()
        return self._names

    def newest(self, board: str, device: str, component: str = IMAGE) -> Release | None:
        """The newest release of a component that a device of a board may have, or None."""
        fitting = (
            release
            for release in self.offered()
            if release.component == component and release.fits(board, device)
        )
        return next((release for release in fitting if self._admits(release, device)), None)

    def offered(self) -> list[Release]:
        """Every release that was not withdrawn, the newest first."""
        self._refresh()
        return [one for one in reversed(self._known) if one.sequence not in self._withdrawn]

    def due(self, device: str, hello: Hello) -> Release | None:
        """The release that a device with this hello should be offered, or None.

        A recovery image takes whatever is newest: the slots behind it do not start (S4). The
        interpreter comes when the image is the newest, where a board has room for two.
        """
        newest = self.newest(hello.board, device)
        if newest is not None and (newest.sequence > hello.sequence or hello.slot == "r"):
            return newest
        if hello.interpreter is None or hello.trial:
            return None
        newest = self.newest(hello.board, device, INTERPRETER)
        return None if newest is None or newest.sequence <= hello.interpreter else newest

    def envelope(self, release: Release) -> bytes:
        """The signed envelope. Raises DeviceError when it cannot be read."""
        return self._read(release, ENVELOPE)

    def blocks(self, device: str, get: Get) -> list[tuple[int, bytes]]:
        """(index, bytes) of the blocks asked for. Raises Withdrawn, and Refused (unknown, beyond,
        too fast)."""
        self._refresh()
        known = [release for release in self._known if release.payload_key == get.payload]
        if not known:
            raise Refused(f"{device}: asks for payload {get.payload.hex()}, which is none of ours")
        release = known[0]
        if release.sequence in self._withdrawn:
            raise Withdrawn(f"release {release.version} was withdrawn")
        if not self._admits(release, device):
            raise Withdrawn(f"the rollout of release {release.version} is halted")
        if get.first + get.count > release.all_blocks:
            raise Refused(
                f"{device}: asks for blocks up to {get.first + get.count - 1}, "
                f"payload {release.payload_id} has {release.all_blocks}"
            )
        now = self._clock()
        full = Bucket(limits.BLOCK_RATE, limits.BLOCK_BURST, now)
        if not self._budgets.setdefault(device, full).take(get.count, now):
            raise Refused(f"{device}: asks for more than {limits.BLOCK_RATE:.0f} blocks a second")
        blocks = self._all_blocks(release)
        return [(i, blocks[i]) for i in range(get.first, get.first + get.count)]

    def _all_blocks(self, release: Release) -> list[bytes]:
        key, size = release.payload_key, author.BLOCK_SIZE
        if key not in self._blocks:
            names = [PAYLOAD, *(PATCH % number for number in range(len(release.patches)))]
            parts = [self._read(release, name) for name in names]
            blocks = [part[at : at + size] for part in parts for at in range(0, len(part), size)]
            if len(blocks) != release.all_blocks:
                raise DeviceError(f"{self._folder / str(release.sequence)}: it was damaged")
            self._blocks = {key: blocks}
        return self._blocks[key]

    def _read(self, release: Release, name: str) -> bytes:
        path = self._folder / str(release.sequence) / name
        try:
            return path.read_bytes()
        except OSError as error:
            raise DeviceError(f"{path}: cannot be read: {error.strerror}") from error

    def _refresh(self) -> None:
        try:
            listed = sorted(os.listdir(self._folder))
        except FileNotFoundError:
            listed = []
        back = [name for name in listed if (self._folder / name / WITHDRAWN).is_file()]
        found = [*listed, *(f"{name}/{WITHDRAWN}" for name in back)]
        if found != self._names:
            self._names, self._known = found, self._load_good()
            self._withdrawn = {int(name) for name in back if name.isdecimal()}

    def _load_good(self) -> list[Release]:
        """Damaged records must not stop the collector; `uward doctor` names them."""
        good: list[Release] = []
        for path in sorted(self._folder.glob("[0-9]*/" + RECORD)):
            try:
                good.append(load(path))
            except HostError as error:
                log.warning("release left out: %s", error)
        return sorted(good, key=lambda release: release.sequence)
